"""The onlooker: keeps what a node shows that runs no pipelines as new as the stores, without refining anything."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

import structlog

from appliance.components.nodes import NodeStore
from appliance.components.silver import Progress, RecordQuery
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.ledger import Outcome
from appliance.engine.bells import rung
from appliance.engine.elsewhere import Elsewhere
from appliance.engine.engine import Engine
from appliance.engine.hot_cache import KEPT_ROWS
from appliance.engine.payloads import pipeline_topic
from appliance.engine.run import Run
from appliance.errors import DashError

LOOK_SECS: Final = 3.0  # as often as nodes tell; news of commits comes sooner
PAUSE_SECS: Final = 0.5  # between two looks, however much is committed
SETTLING_SECS: Final = 3.0  # until other nodes know that rows are followed here, and send them

log = structlog.get_logger("onlooker")


class Onlooker:
    """Belongs to the event loop. ``changed``: called with each pipeline that was found to have other rows than before,
    unless news had come of it."""

    def __init__(
        self, engine: Engine, elsewhere: Elsewhere, nodes: NodeStore, changed: Callable[[PipelineId], None]
    ) -> None:
        self._engine, self._elsewhere, self._nodes, self._changed = engine, elsewhere, nodes, changed
        self._news: set[PipelineId] = set()
        self._some = asyncio.Event()
        self._followed: dict[str, float] = {}  # topics of rows -> since when, monotonic
        self._troubled = False

    def committed(self, pipeline_id: PipelineId) -> None:
        """Note that another node has committed rows of a pipeline."""
        self._news.add(pipeline_id)
        self._some.set()

    async def run(self) -> None:
        """Look again and again; returns only by cancellation."""
        while True:
            await self.look()
            await asyncio.sleep(PAUSE_SECS)
            await rung(self._some, LOOK_SECS - PAUSE_SECS)

    async def look(self) -> None:
        """Look now: at what the nodes tell, and at how far every pipeline is stored. What fails is as it was before."""
        news, self._news = self._news, set()
        self._note_followed()
        try:
            self._elsewhere.said = await self._engine.workers.run("control", self._nodes.doings)
            await self._look_at_all(news)
        except DashError as error:
            self._news |= news
            if not self._troubled:
                log.warning("onlooker.blind", error=str(error))
            self._troubled = True
            return
        if self._troubled:
            log.info("onlooker.sees_again")
        self._troubled = False

    async def _look_at_all(self, news: Collection[PipelineId]) -> None:
        by_owner: dict[OrganisationId, list[Run]] = {}
        for run in self._engine.runs():
            by_owner.setdefault(run.pipeline.organisation_id, []).append(run)
        for organisation_id, runs in by_owner.items():
            await self._look_at(organisation_id, runs, news)

    async def _look_at(
        self, organisation_id: OrganisationId, runs: Sequence[Run], news: Collection[PipelineId]
    ) -> None:
        work = self._engine.workers.run
        silver = await work("control", self._engine.silver, organisation_id)
        found = await work("read", silver.partitions, [run.pipeline.id for run in runs])
        for run in runs:
            progress = _together(found.get(run.pipeline.id, {}).values())
            if progress == run.refiner.progress and run.pipeline.id not in news:
                continue
            run.refiner.progress = progress
            rows = await work("read", silver.records, run.refiner.course.table, RecordQuery(limit=KEPT_ROWS))
            run.cache.show(rows.sort_by([("_time", "ascending"), ("_seq", "ascending")]))
            self._show(run.pipeline.id, told=run.pipeline.id in news)

    def _show(self, pipeline_id: PipelineId, *, told: bool) -> None:
        """Show the rows anew to those who follow them here, unless they come by themselves, from where they were made.

        ``told``: news of them came, so that dashboards know. Who has just begun to follow is not known elsewhere yet.
        """
        topic = pipeline_topic(pipeline_id)
        if not told:
            self._changed(pipeline_id)
        if not told or time.monotonic() - self._followed.get(topic, 0.0) < SETTLING_SECS:
            self._engine.hub.deliver(topic, self._engine.snapshot(pipeline_id))

    def _note_followed(self) -> None:
        now = time.monotonic()
        self._followed = {topic: self._followed.get(topic, now) for topic in self._engine.hub.listeners}


def _together(partitions: Iterable[Progress]) -> Progress:
    """Return how far all of them are as one; its number is the greatest."""
    seq, outcome = 0, Outcome()
    for one in partitions:
        seq, outcome = max(seq, one.seq), outcome + one.outcome
    return Progress(seq, outcome)
