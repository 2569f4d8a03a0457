"""What the data occupies: asked of the logs and stores now and then, so that a scrape never waits."""

import asyncio
from datetime import UTC, datetime
from typing import Final

import msgspec
import structlog

from appliance.components.upkeep import StoreSize
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.engine.engine import Engine
from appliance.errors import DashError

EVERY_SECS: Final = 60.0

log = structlog.get_logger("storage")


class Occupied(msgspec.Struct, frozen=True):
    """Bytes in the file system: each pipeline's log, each organisation's file of rows (and what of it is whose)."""

    at: datetime
    bronze: dict[PipelineId, int]
    silver: dict[OrganisationId, StoreSize]
    owners: dict[PipelineId, OrganisationId]


class StorageWatch:
    """Belongs to the event loop. ``latest``: what was found last."""

    def __init__(self, engine: Engine, clock: Clock = utc_now) -> None:
        self._engine, self._clock = engine, clock
        self.latest = Occupied(datetime.fromtimestamp(0, UTC), {}, {}, {})
        self._troubled: set[OrganisationId] = set()

    async def run(self) -> None:
        """Look once a minute; returns only by cancellation."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_SECS)

    async def look(self) -> Occupied:
        """Look now. Of a store that cannot answer, what it said before counts on."""
        owners = {run.pipeline.id: run.pipeline.organisation_id for run in self._engine.runs()}
        run = self._engine.workers.run
        bronze = await run("read", self._bronze, list(owners))
        silver: dict[OrganisationId, StoreSize] = {}
        for organisation_id in sorted(set(owners.values())):
            found = await run("read", self._silver, organisation_id) or self.latest.silver.get(organisation_id)
            if found is not None:
                silver[organisation_id] = found
        self.latest = Occupied(self._clock(), bronze, silver, owners)
        return self.latest

    def _bronze(self, pipelines: list[PipelineId]) -> dict[PipelineId, int]:
        return {pipeline_id: self._log(pipeline_id) for pipeline_id in pipelines}

    def _log(self, pipeline_id: PipelineId) -> int:
        """Measure one log, after taking in copies of damaged segments that somebody may have put back."""
        upkeep = self._engine.bronze.upkeep
        try:
            upkeep.quarantined(pipeline_id)
            return upkeep.size(pipeline_id)
        except DashError as error:
            log.warning("storage.log_not_measured", pipeline=pipeline_id, error=str(error))
            return self.latest.bronze.get(pipeline_id, 0)

    def _silver(self, organisation_id: OrganisationId) -> StoreSize | None:
        try:
            size = self._engine.silver(organisation_id).upkeep.size()
        except DashError as error:
            if organisation_id not in self._troubled:
                log.warning("storage.not_measured", organisation=organisation_id, error=str(error))
            self._troubled.add(organisation_id)
            return None
        self._troubled.discard(organisation_id)
        return size
