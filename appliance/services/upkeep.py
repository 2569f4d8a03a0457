"""The jobs that keep data within its bounds: which recur, and which the disk asks for."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from appliance.components.jobs import JobStore, NewJob
from appliance.domain.clock import Clock
from appliance.domain.disk import DiskState
from appliance.domain.job import on_node
from appliance.domain.schedule import Every
from appliance.engine.jobs import Recurring, Station
from appliance.errors import DashError
from appliance.services.ports import Workers
from appliance.services.retention import RetentionJob
from appliance.services.storage import SAMPLE_EVERY, Storage

ROUND: Final = "retention.round"

log = structlog.get_logger("retention")


def recurring_upkeep(retention: RetentionJob, storage: Storage, period: timedelta) -> list[Recurring]:
    """Return the jobs; ``period``: between two rounds of retention."""
    return [
        Recurring(ROUND, Every(period), retention.run, per_node=True, always=True),
        Recurring("storage.sample", Every(SAMPLE_EVERY), storage.sample, per_node=True, always=True),
    ]


class Pressing:
    """Has a round of retention made at once when the disk becomes nearly full, and again when it is."""

    def __init__(self, jobs: JobStore, workers: Workers, clock: Clock, station: Station) -> None:
        self._jobs, self._workers, self._clock, self._station = jobs, workers, clock, station
        self._tasks: set[asyncio.Task[None]] = set()

    def changed(self, state: DiskState) -> None:
        """Hear of the state of the disk; called on the event loop."""
        if state.rank >= DiskState.SLOW.rank:
            task = asyncio.get_running_loop().create_task(self._ask(state), name="retention now")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self, state: DiskState) -> None:
        minute = self._clock().replace(second=0, microsecond=0).isoformat()
        here = (on_node(self._station.node_id),) if self._station.node_id else ()
        key = ":".join((ROUND, state.value, minute, *here))
        job = NewJob(kind=ROUND, priority=1, unique_key=key, needs=here)
        try:
            await self._workers.run("control", self._jobs.enqueue, job)
        except DashError as error:
            log.warning("retention.not_hurried", error=str(error))  # the next round comes by itself
        self._station.bell.ring()
