"""HTTP poll: asks somebody else's server for JSON, page by page, and remembers where it was."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Raw

from appliance.components.resources import OutboundRequest, OutboundResponse, Resources
from appliance.components.source import PullSource
from appliance.domain.clock import Clock
from appliance.domain.retry import retry_after_secs
from appliance.errors import ConfigError, Problem, TransientError
from appliance.sources.http_poll_config import HttpPollConfig
from appliance.sources.items import parse_path, split_page
from appliance.sources.paged_poll import Dialect, PagedPoll, Rising, shown
from appliance.sources.pagination import ByCursor, ByLink, ByPage, NoPages, Taken
from appliance.sources.poll_request import fingerprint, request_for

LATER = (408, 425, 429)  # and all from 500 on: try again
_FORGOTTEN = (400, 404, 410, 422)

__all__ = ["HttpPoll", "HttpPollConfig"]


class HttpDialect:
    """Plain requests: the answer's status says how it went, a path where the items are."""

    def __init__(self, config: HttpPollConfig, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._items = parse_path(config.items)
        self.plan = fingerprint(config)
        self.rising = Rising(config.since.path, config.since.initial) if config.since else None
        # Of several pages, others may change when the first does not.
        self.remembers = isinstance(config.pagination, NoPages)

    def request(self, place: str | None, since: str | None) -> OutboundRequest:
        """See ``Dialect.request``."""
        return request_for(self._config, place, since)

    def forgotten(self, response: OutboundResponse) -> bool:
        """See ``Dialect.forgotten``."""
        return isinstance(self._config.pagination, ByCursor | ByLink) and response.status in _FORGOTTEN

    def judged(self, response: OutboundResponse, page: int) -> bool:
        """See ``Dialect.judged``."""
        status = response.status
        if status in (204, 304) or (status == 404 and page > 0 and isinstance(self._config.pagination, ByPage)):
            return False
        if 200 <= status < 300:
            return True
        raise refusal(response, self._clock())

    def items(self, response: OutboundResponse) -> Sequence[Raw]:
        """See ``Dialect.items``."""
        return split_page(response.body, response.headers.get("content-type", ""), self._items)

    def following(self, taken: Taken) -> str | None:
        """See ``Dialect.following``."""
        return self._config.pagination.following(taken)

    def rest_secs(self, response: OutboundResponse, now: datetime) -> float:
        """Return 0: a server that is asked too much answers 429."""
        return 0.0


class HttpPoll(PagedPoll):
    """Polls by ``HttpDialect``."""

    def __init__(self, config: HttpPollConfig, resources: Resources) -> None:
        super().__init__(config, HttpDialect(config, resources.clock), resources)


def refusal(response: OutboundResponse, now: datetime, said: str = "") -> ConfigError | TransientError:
    """Return what an answer that is not a success comes to. ``said``: the server's own words, if it had any."""
    status = response.status
    told = f"polling {shown(response.url)} failed: it answered {status}{said and ': '}{said}"
    if status >= 500 or status in LATER:
        asked = retry_after_secs(response.headers.get("retry-after"), now)
        return TransientError(told, 1.0 if asked is None else asked)
    return ConfigError([Problem("/source", told, _remedy(response))])


def _remedy(response: OutboundResponse) -> str:
    match response.status:
        case 401 | 403:
            return "check the source's auth: the server wants other credentials"
        case 404 | 410:
            return "check the source's url"
        case status if 300 <= status < 400:
            return f"it redirects to {response.headers.get('location', 'nowhere').partition('?')[0]!r}: use that as url"
        case _:
            return "check the source's url, params and body"


_: type[PullSource] = HttpPoll
_d: type[Dialect] = HttpDialect
