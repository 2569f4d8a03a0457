"""Polling page by page: what HTTP and GraphQL have in common. One poll is a run through all pages."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import msgspec
from msgspec import Raw

from appliance.components.resources import OutboundRequest, OutboundResponse, Resources
from appliance.components.source import Page, Schedule
from appliance.errors import BadRequest, TransientError
from appliance.sources.increment import Mark, fresh
from appliance.sources.items import parse_path
from appliance.sources.pagination import Taken
from appliance.sources.poll_config import PollConfig, schedule_of
from appliance.sources.poll_request import conditional

_LARGE = 64 * 1024  # bytes of a page from which on splitting it is left to a thread
_PATIENCE_SECS = 10.0  # a rest up to so long is taken within a poll; a longer one ends it


class Rising(NamedTuple):
    """A value in each item that grows: only what is higher than the highest seen is asked for."""

    path: str
    initial: str | None


class Dialect(Protocol):
    """How one kind of server is asked, and how its answers are read. Pure; ``items`` may be called in a thread."""

    @property
    def plan(self) -> str:
        """A short name for what is polled and in which steps: a place in another plan means nothing."""
        ...

    @property
    def rising(self) -> Rising | None: ...

    @property
    def remembers(self) -> bool:
        """Whether ETag and Last-Modified of an answer hold for the next poll: one that has a single page."""
        ...

    def request(self, place: str | None, since: str | None) -> OutboundRequest:
        """Return the request for the page at ``place`` of what is newer than ``since``; ConfigError: no such place."""
        ...

    def forgotten(self, response: OutboundResponse) -> bool:
        """Return whether the server does not know any more the place that was saved: cursors do not live for ever."""
        ...

    def judged(self, response: OutboundResponse, page: int) -> bool:
        """Return whether ``response`` is a page; False: it says that there is none. ``page``: how many came before.

        Raises:
            TransientError, ConfigError: as ``PullSource.poll``.
        """
        ...

    def items(self, response: OutboundResponse) -> Sequence[Raw]:
        """Return the items of a page, verbatim. Raises BadRequest (not readable), TransientError, ConfigError."""
        ...

    def following(self, taken: Taken) -> str | None:
        """Return the place of the next page; None: this was the last."""
        ...

    def rest_secs(self, response: OutboundResponse, now: datetime) -> float:
        """Return how long the server wants to be left alone after this answer."""
        ...


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


class PagedPoll:
    """One poll is a run through all pages. A run that was cut off goes on at the page it had reached."""

    def __init__(self, config: PollConfig, dialect: Dialect, resources: Resources) -> None:
        self._dialect, self._resources = dialect, resources
        self._max_pages = config.max_pages
        self._schedule = schedule_of(config, resources.pipeline_id)
        self._rest_until: datetime | None = None

    @property
    def schedule(self) -> Schedule:
        return self._schedule

    async def poll(self, checkpoint: dict[str, Any] | None) -> AsyncIterator[Page]:
        """See ``PullSource.poll``. At most ``max_pages``; the next poll goes on where this one stopped."""
        progress = self._resumed(checkpoint)
        may_restart = progress.place is not None
        for _ in range(self._max_pages):
            response = await self._send(progress)
            if may_restart and self._dialect.forgotten(response):
                self._resources.log.warning("poll.restarted", reason="the server has forgotten the saved place")
                progress = _new_run(progress)
                response = await self._send(progress)
            may_restart = False
            is_page = self._dialect.judged(response, progress.page)
            page, progress = await self._taken(progress, response, is_page)
            if page is not None:
                yield page
            if progress.place is None:
                return

    def _resumed(self, checkpoint: dict[str, Any] | None) -> Progress:
        """Return where to go on: at the saved page, or with a new run."""
        rising = self._dialect.rising
        first = Progress(plan=self._dialect.plan, since=Mark(rising.initial if rising else None))
        try:
            saved = msgspec.convert(checkpoint, Progress) if checkpoint else first
        except msgspec.ValidationError:  # of another kind of source that this pipeline had before
            saved = first
        if saved.plan != self._dialect.plan:
            saved = msgspec.structs.replace(first, run=saved.run)
        return saved if saved.place is not None else _new_run(saved)

    async def _send(self, progress: Progress) -> OutboundResponse:
        request = self._dialect.request(progress.place, progress.since.value)
        if progress.asked == progress.since.value:
            request = conditional(request, progress.etag, progress.modified)
        await self._rested(request.url)
        response = await self._resources.outbound.send(request)
        now = self._resources.clock()
        self._rest_until = now + timedelta(seconds=self._dialect.rest_secs(response, now))
        return response

    async def _rested(self, url: str) -> None:
        """Leave the server alone for as long as it asked to be."""
        if self._rest_until is None:
            return
        wait = (self._rest_until - self._resources.clock()).total_seconds()
        if wait > _PATIENCE_SECS:
            raise TransientError(f"polling {shown(url)} rests for {wait:.0f} s: the server's limit is used up", wait)
        if wait > 0:
            await asyncio.sleep(wait)

    async def _taken(
        self, progress: Progress, response: OutboundResponse, is_page: bool
    ) -> tuple[Page | None, Progress]:
        """Return what is new in ``response`` (None: nothing to be kept) and the progress after it."""
        if not is_page:
            return _page([], response, progress, _ended(progress))
        if len(response.body) > _LARGE:
            return await asyncio.to_thread(self._read, progress, response)
        return self._read(progress, response)

    def _read(self, progress: Progress, response: OutboundResponse) -> tuple[Page | None, Progress]:
        try:
            found = self._dialect.items(response)
        except BadRequest as error:  # often a page of HTML from something in between
            raise TransientError(f"polling {shown(response.url)} failed: {error}") from error
        items, high, rising = found, progress.high, self._dialect.rising
        if rising is not None:
            items, high = fresh(found, parse_path(rising.path), progress.since, progress.high)
        place = self._dialect.following(
            Taken(response.url, response.headers, response.body, len(found), progress.place)
        )
        if place is not None:
            self._dialect.request(place, None)  # refuse a place that cannot be asked for before it is saved
        after = msgspec.structs.replace(progress, place=place, high=high, page=progress.page + 1)
        if self._dialect.remembers:
            validators = response.headers.get("etag"), response.headers.get("last-modified")
            after = msgspec.structs.replace(
                after, etag=validators[0], modified=validators[1], asked=progress.since.value
            )
        return _page(items, response, progress, after if place is not None else _ended(after))


def shown(url: str) -> str:
    """Return ``url`` as messages show it: parameters may carry credentials."""
    return repr(url.partition("?")[0])


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
