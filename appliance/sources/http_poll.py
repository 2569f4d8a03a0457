"""HTTP poll: asks somebody else's server for JSON, page by page, and remembers where it was."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from zlib import crc32

import msgspec
from msgspec import Raw

from appliance.components.resources import OutboundResponse, Resources
from appliance.components.source import Page, PullSource, Schedule
from appliance.domain.quantity import parse_duration
from appliance.domain.retry import retry_after_secs
from appliance.domain.schedule import Cron, Every
from appliance.errors import BadRequest, ConfigError, Problem, TransientError
from appliance.sources.http_poll_config import HttpPollConfig
from appliance.sources.increment import Mark, fresh
from appliance.sources.items import parse_path, split_page
from appliance.sources.pagination import ByCursor, ByLink, ByPage, NoPages, Taken
from appliance.sources.poll_request import conditional, fingerprint, request_for

_LARGE = 64 * 1024  # bytes of a page from which on splitting it is left to a thread
_LATER = (408, 425, 429)
_FORGOTTEN = (400, 404, 410, 422)
_MILLISECOND = timedelta(milliseconds=1)

__all__ = ["HttpPoll", "HttpPollConfig"]


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """The checkpoint: where this source is.

    ``place``: the page to ask for next; None: the run is over. ``high``: of the run under way; it becomes ``since``
    when all pages came, as servers need not sort. ``run`` and ``page`` make a name for each page.
    """

    plan: str  # fingerprint of the configuration: a place in another plan means nothing
    run: int = 0
    page: int = 0
    place: str | None = None
    since: Mark = Mark()
    high: Mark = Mark()
    etag: str | None = None
    modified: str | None = None
    asked: str | None = None  # the value of ``since`` in the request that etag and modified belong to


class HttpPoll:
    """One poll is a run through all pages. A run that was cut off goes on at the page it had reached."""

    def __init__(self, config: HttpPollConfig, resources: Resources) -> None:
        self._config, self._resources = config, resources
        self._plan = fingerprint(config)
        self._items = parse_path(config.items)
        self._schedule = _schedule(config, resources.pipeline_id)

    @property
    def schedule(self) -> Schedule:
        return self._schedule

    async def poll(self, checkpoint: dict[str, Any] | None) -> AsyncIterator[Page]:
        """See ``PullSource.poll``. At most ``max_pages``; the next poll goes on where this one stopped."""
        progress = self._resumed(checkpoint)
        may_restart = progress.place is not None
        for _ in range(self._config.max_pages):
            response = await self._send(progress)
            if may_restart and self._is_expired(response):
                self._resources.log.warning("http_poll.restarted", reason="the server has forgotten the saved place")
                progress = _new_run(progress)
                response = await self._send(progress)
            may_restart = False
            page, progress = await self._taken(progress, self._judged(response, progress))
            if page is not None:
                yield page
            if progress.place is None:
                return

    def _resumed(self, checkpoint: dict[str, Any] | None) -> Progress:
        """Return where to go on: at the saved page, or with a new run."""
        first = Progress(plan=self._plan, since=Mark(self._config.since.initial if self._config.since else None))
        try:
            saved = msgspec.convert(checkpoint, Progress) if checkpoint else first
        except msgspec.ValidationError:  # of another kind of source that this pipeline had before
            saved = first
        if saved.plan != self._plan:
            saved = msgspec.structs.replace(first, run=saved.run)
        return saved if saved.place is not None else _new_run(saved)

    async def _send(self, progress: Progress) -> OutboundResponse:
        request = request_for(self._config, progress.place, progress.since.value)
        if progress.asked == progress.since.value:
            request = conditional(request, progress.etag, progress.modified)
        return await self._resources.outbound.send(request)

    def _is_expired(self, response: OutboundResponse) -> bool:
        """Return whether the server has forgotten the place that was saved: cursors do not live for ever."""
        return isinstance(self._config.pagination, ByCursor | ByLink) and response.status in _FORGOTTEN

    def _judged(self, response: OutboundResponse, progress: Progress) -> OutboundResponse:
        """Return ``response`` if it is a page, or says that there is none.

        Raises:
            TransientError, ConfigError: as ``PullSource.poll``.
        """
        status = response.status
        past_the_end = status == 404 and progress.page > 0 and isinstance(self._config.pagination, ByPage)
        if 200 <= status < 300 or status == 304 or past_the_end:
            return response
        told = f"polling {_shown(response.url)} failed: it answered {status}"
        if status >= 500 or status in _LATER:
            asked = retry_after_secs(response.headers.get("retry-after"), self._resources.clock())
            raise TransientError(told, 1.0 if asked is None else asked)
        raise ConfigError([Problem("/source", told, _remedy(response))])

    async def _taken(self, progress: Progress, response: OutboundResponse) -> tuple[Page | None, Progress]:
        """Return what is new in ``response`` (None: nothing to be kept) and the progress after it."""
        if response.status in (204, 304, 404):
            return _page([], response, progress, _ended(progress))
        if len(response.body) > _LARGE:
            return await asyncio.to_thread(self._read, progress, response)
        return self._read(progress, response)

    def _read(self, progress: Progress, response: OutboundResponse) -> tuple[Page | None, Progress]:
        try:
            found = split_page(response.body, response.headers.get("content-type", ""), self._items)
        except BadRequest as error:  # often a page of HTML from something in between
            raise TransientError(f"polling {_shown(response.url)} failed: {error}") from error
        items, high = found, progress.high
        if self._config.since is not None:
            items, high = fresh(found, parse_path(self._config.since.path), progress.since, progress.high)
        place = self._config.pagination.following(
            Taken(response.url, response.headers, response.body, len(found), progress.place)
        )
        if place is not None:
            request_for(self._config, place, None)  # refuse a place that cannot be asked for before it is saved
        after = msgspec.structs.replace(progress, place=place, high=high, page=progress.page + 1)
        if isinstance(self._config.pagination, NoPages):  # of several pages, others may change when this one does not
            validators = response.headers.get("etag"), response.headers.get("last-modified")
            after = msgspec.structs.replace(
                after, etag=validators[0], modified=validators[1], asked=progress.since.value
            )
        return _page(items, response, progress, after if place is not None else _ended(after))


def _page(
    items: Sequence[Raw], response: OutboundResponse, before: Progress, after: Progress
) -> tuple[Page | None, Progress]:
    """Return the page to be stored; None: there is nothing in it, and being there again would make no difference."""
    if not items and after.place is None and _lasting(before) == _lasting(after):
        return None, after
    name = hashlib.blake2b(f"{before.plan}/{before.run}/{before.page}/".encode(), digest_size=16)
    for item in items:
        name.update(b"%d:" % len(memoryview(item)))
        name.update(item)
    page = Page(items, msgspec.to_builtins(after), name.hexdigest(), urlsplit(response.url).hostname)
    return page, after


def _lasting(progress: Progress) -> tuple[object, ...]:
    return progress.place, progress.since, progress.etag, progress.modified


def _new_run(progress: Progress) -> Progress:
    return msgspec.structs.replace(progress, run=progress.run + 1, page=0, place=None, high=progress.since)


def _ended(progress: Progress) -> Progress:
    return msgspec.structs.replace(progress, place=None, since=progress.high)


def _shown(url: str) -> str:
    return repr(url.partition("?")[0])


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


def _schedule(config: HttpPollConfig, pipeline_id: str) -> Schedule:
    if config.cron is not None:
        return Cron(config.cron, config.timezone)
    interval = parse_duration(config.interval or "60s")
    # Pipelines of the same interval are spread over it, so that they do not all ask in the same second.
    phase = crc32(pipeline_id.encode()) % (interval // _MILLISECOND)
    return Every(interval, phase * _MILLISECOND)


_: type[PullSource] = HttpPoll
