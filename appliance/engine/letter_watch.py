"""How many events are dead, and for how long: asked of the stores now and then, so that a scrape never waits."""

import asyncio
from collections import defaultdict
from typing import Final

import structlog

from appliance.components.letters import LetterCount
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.engine.engine import Engine
from appliance.errors import DashError

EVERY_SECS: Final = 15.0

log = structlog.get_logger("letters")


class LetterWatch:
    """Counts the dead letters of every pipeline that has had one, every 15 seconds."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._counts: dict[PipelineId, LetterCount] = {}

    def count(self, pipeline_id: PipelineId) -> LetterCount:
        """Return what was counted last."""
        return self._counts.get(pipeline_id, LetterCount(0, None))

    async def run(self) -> None:
        """Count on; returns only by cancellation."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_SECS)

    async def look(self) -> None:
        """Count now. A store that cannot answer leaves what was counted before."""
        for organisation_id, pipeline_ids in self._concerned().items():
            silver = await self._engine.workers.run("control", self._engine.silver, organisation_id)
            try:
                found = await self._engine.workers.run("read", silver.letters.count, pipeline_ids)
            except DashError as error:
                log.warning("letters.not_counted", organisation=organisation_id, error=str(error))
                continue
            self._counts.update(found)

    def _concerned(self) -> dict[OrganisationId, list[PipelineId]]:
        """Return the pipelines that have dead letters, or had some when last looked at."""
        concerned: defaultdict[OrganisationId, list[PipelineId]] = defaultdict(list)
        runs = {run.pipeline.id: run for run in self._engine.runs()}
        self._counts = {one: count for one, count in self._counts.items() if one in runs}
        for pipeline_id, run in runs.items():
            if run.refiner.progress.outcome.dead or pipeline_id in self._counts:
                concerned[run.pipeline.organisation_id].append(pipeline_id)
        return concerned
