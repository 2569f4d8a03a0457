"""The jobs that keep data within its bounds: which recur, and which the disk asks for."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from appliance.components.jobs import JobStore, NewJob
from appliance.domain.clock import Clock
from appliance.domain.disk import DiskState
from appliance.domain.schedule import Every
from appliance.engine.jobs import Recurring
from appliance.errors import DashError
from appliance.services.ports import Workers
from appliance.services.retention import RetentionJob
from appliance.services.storage import SAMPLE_EVERY, Storage

ROUND: Final = "retention.round"

log = structlog.get_logger("retention")


def recurring_upkeep(retention: RetentionJob, storage: Storage, period: timedelta) -> list[Recurring]:
    """Return the jobs; ``period``: between two rounds of retention."""
    return [
        Recurring(ROUND, Every(period), retention.run),
        Recurring("storage.sample", Every(SAMPLE_EVERY), storage.sample),
    ]


class Pressing:
    """Has a round of retention made at once when the disk becomes nearly full, and again when it is."""

    def __init__(self, jobs: JobStore, workers: Workers, clock: Clock, bell: asyncio.Event) -> None:
        self._jobs, self._workers, self._clock, self._bell = jobs, workers, clock, bell
        self._tasks: set[asyncio.Task[None]] = set()

    def changed(self, state: DiskState) -> None:
        """Hear of the state of the disk; called on the event loop."""
        if state.rank >= DiskState.SLOW.rank:
            task = asyncio.get_running_loop().create_task(self._ask(state), name="retention now")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self, state: DiskState) -> None:
        minute = self._clock().replace(second=0, microsecond=0).isoformat()
        job = NewJob(kind=ROUND, priority=1, unique_key=f"{ROUND}:{state.value}:{minute}")
        try:
            await self._workers.run("control", self._jobs.enqueue, job)
        except DashError as error:
            log.warning("retention.not_hurried", error=str(error))  # the next round comes by itself
        self._bell.set()
