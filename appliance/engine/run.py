"""One pipeline while it runs: its door, its refiner, its poller, its hot cache and its numbers."""

import asyncio
import time
from datetime import datetime

import structlog

from appliance.components.bronze import BronzeLog
from appliance.domain.clock import Clock
from appliance.domain.ledger import Ledger
from appliance.domain.partition import local_of
from appliance.domain.pipeline import Pipeline, State
from appliance.domain.stats import LiveStats
from appliance.engine.hot_cache import HotCache
from appliance.engine.meter import Meter
from appliance.engine.poll import Poller
from appliance.engine.refine import Refiner

log = structlog.get_logger("engine")


class Run:
    """Holds the tasks of one pipeline. Made running by ``start``; ended by ``stop``, after the batch under way."""

    def __init__(
        self, pipeline: Pipeline, refiner: Refiner, poller: Poller | None, *, cache: HotCache, bronze: BronzeLog
    ) -> None:
        self.pipeline = pipeline
        self.refiner, self.poller, self.cache = refiner, poller, cache
        self._bronze = bronze
        self._meter = Meter()
        self._tasks: list[asyncio.Task[None]] = []  # refining first
        self.last_received_at: datetime | None = None
        self.held = False

    def start(self, *, polling: bool = True) -> None:
        """Begin to refine, and to poll: ``polling`` False: that is another node's until ``poll`` is called."""
        self._tasks.append(asyncio.create_task(self.refiner.run(), name=f"refine {self.pipeline.id}"))
        if polling:
            self.poll()

    @property
    def wants_polling(self) -> bool:
        """Return whether somebody, here or elsewhere, should poll the source."""
        return self.poller is not None and self.pipeline.state is State.RUNNING

    def poll(self) -> None:
        """Begin to poll the source, where it wants that and nobody does so here already."""
        if self.poller is not None and self.wants_polling and len(self._tasks) == 1:
            self._tasks.append(asyncio.create_task(self.poller.run(), name=f"poll {self.pipeline.id}"))

    async def leave_polling(self, patience_secs: float = 0.0) -> None:
        """End polling; returns when the page under way is durable. Refining goes on.

        ``patience_secs``: wait so long at most until all that was polled is refined, so that nobody polls it again.
        """
        polling, self._tasks[1:] = self._tasks[1:], []
        for task in polling:
            task.cancel()
        await asyncio.gather(*polling, return_exceptions=True)
        if polling and patience_secs and not self.failed:
            await self.refiner.at_rest(patience_secs)

    async def stop(self) -> None:
        """Stop polling at once and refining after its batch; a second call does nothing."""
        self.refiner.stop()
        for polling in self._tasks[1:]:
            polling.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def hold(self) -> None:
        """End refining after the batch under way, until ``go_on``; receiving and polling go on."""
        self.held = True
        self.refiner.stop()
        await asyncio.gather(*self._tasks[:1], return_exceptions=True)

    def go_on(self) -> None:
        """Refine again, from where the store stands; nothing happens where refining had failed or was not held."""
        if not self.held:
            return
        self.held = False
        if self._tasks and not self.refiner.fatal:
            self.refiner.resume()
            self._tasks[0] = asyncio.create_task(self.refiner.run(), name=f"refine {self.pipeline.id}")

    def arrived(self, clock: Clock, events: int) -> None:
        """Note that ``events`` became durable."""
        self._meter.add(events)
        self.last_received_at = clock()
        self.refiner.poke()

    @property
    def failed(self) -> bool:
        """Return whether refining has ended on a FatalError."""
        return self.refiner.fatal

    @property
    def state(self) -> State:
        """Return FAILED while it has failed, else what the pipeline is meant to be."""
        return State.FAILED if self.failed else self.pipeline.state

    @property
    def error(self) -> str | None:
        return self.refiner.error or (self.poller.error if self.poller else None)

    def stats(self) -> LiveStats:
        """Return the pipeline's numbers of this moment; costs no I/O."""
        received = local_of(self._bronze.last_seq(self.pipeline.id))
        progress = self.refiner.progress
        refined = local_of(progress.seq)
        waiting = self.refiner.waiting_since
        lag = max(0, received - refined)
        return LiveStats(
            rate_per_sec=round(self._meter.rate(), 2),
            lag_events=lag,
            lag_secs=round(time.monotonic() - waiting, 3) if waiting is not None and lag else 0.0,
            last_received_at=self.last_received_at,
            last_error=self.error,
            ledger=Ledger.of(received, refined, progress.outcome),
        )
