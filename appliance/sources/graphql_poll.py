"""GraphQL poll: asks one query again and again, along a Relay connection, and remembers where it was."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw

from appliance.components.resources import Log, OutboundRequest, OutboundResponse, Resources
from appliance.components.source import PullSource
from appliance.domain.clock import Clock
from appliance.domain.quantity import parse_duration, parse_size
from appliance.errors import BadRequest, ConfigError, Problem, TransientError
from appliance.sources.graphql_answer import GraphqlAnswer, failure, read_answer, rest_secs, said
from appliance.sources.graphql_poll_config import GraphqlPollConfig
from appliance.sources.http_poll import refusal
from appliance.sources.items import parse_path, split_items, text_at, value_at
from appliance.sources.paged_poll import Dialect, PagedPoll, Rising, shown
from appliance.sources.pagination import Taken
from appliance.sources.poll_request import with_params

_MAX_CHARS = 4_096  # of a cursor: it is kept in the checkpoint
_ACCEPT = "application/graphql-response+json, application/json;q=0.9"

__all__ = ["GraphqlPoll", "GraphqlPollConfig"]


class GraphqlDialect:
    """Queries by POST: whether it went well stands in the body, whatever the status says."""

    remembers = False

    def __init__(self, config: GraphqlPollConfig, clock: Clock, log: Log) -> None:
        self._config, self._clock, self._log = config, clock, log
        self._items = parse_path(config.items)
        self._page_info = (*parse_path(config.pagination.connection), "pageInfo") if config.pagination else None
        self.plan = _fingerprint(config)
        self.rising = Rising(config.since.path, config.since.initial) if config.since else None

    def request(self, place: str | None, since: str | None) -> OutboundRequest:
        """See ``Dialect.request``."""
        config, variables = self._config, dict(self._config.variables)
        if config.since is not None and since is not None:
            variables[config.since.variable] = _value(since) if config.since.number else since
        if config.pagination is not None and place is not None:
            variables[config.pagination.variable] = place
        body: dict[str, Any] = {"query": config.query, "variables": variables}
        if config.operation is not None:
            body["operationName"] = config.operation
        auth = config.auth
        headers = {"Accept": _ACCEPT, "Content-Type": "application/json", **config.headers}
        return OutboundRequest(
            url=with_params(config.url, auth.params() if auth else {}),
            method="POST",
            headers={**headers, **(auth.headers() if auth else {})},
            body=msgspec.json.encode(body),
            timeout_secs=parse_duration(config.timeout).total_seconds(),
            max_bytes=parse_size(config.max_page),
        )

    def forgotten(self, response: OutboundResponse) -> bool:
        """Return whether the saved cursor is refused: the query worked before, so it is not the query."""
        if response.status not in (200, 400, 422):
            return False
        try:
            answer = read_answer(response.body)
        except BadRequest:
            return False
        if not answer.errors or not self._is_without_items(response):
            return False
        return isinstance(self._failure(answer, response), ConfigError)

    def judged(self, response: OutboundResponse, page: int) -> bool:
        """See ``Dialect.judged``. What stands in the body is judged by ``items``."""
        if 200 <= response.status < 300:
            return True
        now, told = self._clock(), self._told(response)
        wait = rest_secs(None, response.headers, now)
        if response.status == 403 and wait > 0:  # GitHub's way to say 429
            raise TransientError(f"{self._doing(response)} failed: it answered 403{told and ': '}{told}", wait)
        raise refusal(response, now, told)

    def items(self, response: OutboundResponse) -> Sequence[Raw]:
        """See ``Dialect.items``."""
        answer = read_answer(response.body)
        if not answer.errors:
            return split_items(response.body, self._items)
        if not answer.has_data:
            raise self._failure(answer, response)
        if self._config.partial == "fail" or self._is_without_items(response):
            told = f"{self._doing(response)} gave data with errors: {said(answer.errors)}"
            raise TransientError(f"{told}: set 'partial' to 'keep' to take what there is, if that will do")
        self._log.warning("graphql_poll.partial", errors=len(answer.errors), first=said(answer.errors))
        return [item for item in split_items(response.body, self._items) if bytes(item) != b"null"]

    def following(self, taken: Taken) -> str | None:
        """Return the cursor after the page. Raises ConfigError: the server does not tell it."""
        if self._page_info is None:
            return None
        more = value_at(taken.body, (*self._page_info, "hasNextPage"))
        if more is None or bytes(more) not in (b"true", b"false"):
            raise _unpaged("there is no pageInfo.hasNextPage at the connection", "check 'connection' and the query")
        if bytes(more) == b"false":
            return None
        cursor = text_at(taken.body, (*self._page_info, "endCursor"))
        if not cursor or len(cursor) > _MAX_CHARS:
            raise _unpaged("there are more pages and no usable pageInfo.endCursor", "ask the query for endCursor")
        if cursor == taken.place:
            raise _unpaged(
                "the server answers the same page again", "use the cursor's variable as 'after' of the connection"
            )
        return cursor

    def rest_secs(self, response: OutboundResponse, now: datetime) -> float:
        """See ``Dialect.rest_secs``. An answer that is an error is backed off from instead."""
        if not 200 <= response.status < 300:
            return 0.0
        try:
            answer = read_answer(response.body)
        except BadRequest:
            return 0.0
        return rest_secs(answer.extensions, response.headers, now) if answer.has_data else 0.0

    def _is_without_items(self, response: OutboundResponse) -> bool:
        found = value_at(response.body, self._items)
        return found is None or bytes(found) == b"null"

    def _failure(self, answer: GraphqlAnswer, response: OutboundResponse) -> Exception:
        return failure(self._doing(response), answer, response, self._clock())

    def _doing(self, response: OutboundResponse) -> str:
        return f"polling {shown(response.url)}"

    def _told(self, response: OutboundResponse) -> str:
        """Return the server's own words beside a status; empty: it had none."""
        try:
            errors = read_answer(response.body).errors
        except BadRequest:
            return ""
        return said(errors) if errors else ""


class GraphqlPoll(PagedPoll):
    """Polls by ``GraphqlDialect``."""

    def __init__(self, config: GraphqlPollConfig, resources: Resources) -> None:
        super().__init__(config, GraphqlDialect(config, resources.clock, resources.log), resources)


def _fingerprint(config: GraphqlPollConfig) -> str:
    plan = [config.url, config.query, config.operation, config.variables, config.pagination, config.since]
    return hashlib.sha256(msgspec.json.encode(plan, order="deterministic")).hexdigest()[:16]


def _value(written: str) -> Any:
    """Return a number as JSON writes it; anything else as text."""
    try:
        found = msgspec.json.decode(written)
    except msgspec.DecodeError:
        return written
    return found if isinstance(found, int | float) and not isinstance(found, bool) else written


def _unpaged(told: str, remedy: str) -> ConfigError:
    return ConfigError([Problem("/source/pagination", told, remedy)])


_: type[PullSource] = GraphqlPoll
_d: type[Dialect] = GraphqlDialect
