"""Polling: asks a source on its schedule, backs off when it fails, and lets Bronze acknowledge each page."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import structlog

from appliance.components.bronze import BronzeLog
from appliance.components.source import Page, PullSource, Resumable
from appliance.domain.clock import Clock
from appliance.domain.ids import PipelineId
from appliance.domain.retry import Backoff
from appliance.engine.receive import Receiver
from appliance.engine.turns import Turn
from appliance.errors import ConfigError, DashError, TransientError
from appliance.observe.masking import cleaned

SLOW_RETRY_SECS = 300.0  # for what only a person can mend
POKED_REST_SECS = 0.01  # after a poke: what else comes at this moment is taken together

Checkpoints = Sequence[dict[str, Any] | None]

log = structlog.get_logger("poll")


async def _nowhere(_: PipelineId) -> Checkpoints:
    return ()


class Poller:
    """Polls one source until cancelled; its checkpoint lives in Bronze, beside the events it stands behind.

    ``elsewhere``: asked once whenever polling begins here, for the checkpoints of when others polled this source, if it
    can make something of them. Where one of them does not answer, polling waits for it. ``turn``: of this node among
    several, to be had before anything is polled; None: this one polls alone, or by a checkpoint that nobody else knows.
    """

    def __init__(
        self, pipeline_id: PipelineId, source: PullSource, *, bronze: BronzeLog, receiver: Receiver, clock: Clock
    ) -> None:
        self._pipeline_id = pipeline_id
        self._source = source
        self._bronze, self._receiver, self._clock = bronze, receiver, clock
        self._backoff = Backoff()
        self._poked = asyncio.Event()
        self._backing_off = False
        self.elsewhere: Callable[[PipelineId], Awaitable[Checkpoints]] = _nowhere
        self._elsewhere: Checkpoints | None = None
        self.turn: Turn | None = None
        self.error: str | None = None

    def poke(self) -> None:
        """Say that there is something to poll for now. A source that is being backed off from keeps its peace."""
        self._poked.set()

    async def run(self) -> None:
        """Poll at once, then whenever the schedule says so or somebody pokes; returns only by cancellation."""
        self._elsewhere = None
        if self.turn is not None:
            self.turn.tenure.doubt()  # others may have polled since this was ended last
        while True:
            self._poked.clear()
            wait = await self._poll_once()
            if self._backing_off:
                await asyncio.sleep(wait)
            else:
                await self._wait(wait)

    async def _wait(self, secs: float) -> None:
        """Wait so long, or until somebody pokes."""
        try:
            async with asyncio.timeout(secs):
                await self._poked.wait()
        except TimeoutError:
            return
        await asyncio.sleep(POKED_REST_SECS)

    async def _poll_once(self) -> float:
        """Poll, and return the seconds to wait before the next time."""
        began, self._backing_off = self._clock(), False
        try:
            self._receiver.check_room()  # before asking: what cannot be kept is not fetched
            await self._take_turn()
            async for page in self._source.poll(await self._checkpoint()):
                await self._keep(page)
        except ConfigError as error:
            self._say(error)
            return SLOW_RETRY_SECS
        except Exception as error:  # noqa: BLE001 - the boundary of one source: the others go on
            self._say(error)
            self._backing_off = True
            return self._backoff.failed(error.retry_after_secs if isinstance(error, TransientError) else None)
        if self.error is not None:
            log.info("poll.recovered", pipeline=self._pipeline_id)
        self.error = None
        self._backoff.worked()
        return self._until_due(began)

    async def _take_turn(self) -> None:
        """Go on from the place that the tenure began with; where nobody ever polled, from what can be found."""
        if self.turn is not None and not await self.turn.begin(self._keep) and self._elsewhere is None:
            self._elsewhere = ()

    async def _checkpoint(self) -> dict[str, Any] | None:
        own = self._bronze.checkpoint(self._pipeline_id) or None  # an empty one: a tenure that began with nothing
        if not isinstance(self._source, Resumable):
            return own
        if self._elsewhere is None:
            self._elsewhere = await self.elsewhere(self._pipeline_id)
        return self._source.resumed(own, self._elsewhere)

    async def _keep(self, page: Page) -> None:
        """Make a page durable. Cancelled, it still waits for that: the next poller has to know the checkpoint."""
        page = page if self.turn is None else self.turn.named(page)
        storing = asyncio.ensure_future(self._receiver.pull(self._pipeline_id, page))
        try:
            await asyncio.shield(storing)
        except asyncio.CancelledError:
            await asyncio.gather(storing, return_exceptions=True)
            raise
        finally:
            if self.turn is not None and not page.payloads:
                self.turn.moved()

    def _until_due(self, began: datetime) -> float:
        now = self._clock()
        due = self._source.schedule.due(began)
        if due <= now:  # a poll that outlasts its interval does not pile up: missed instants are skipped
            due = self._source.schedule.due(now)
        return max(0.0, (due - now).total_seconds())

    def _say(self, error: Exception) -> None:
        told = cleaned(str(error) if isinstance(error, DashError) else f"{type(error).__name__}: {error}")
        if told != self.error:
            log.warning("poll.failed", pipeline=self._pipeline_id, error=told)
        self.error = told
