"""The onlooker: keeps what a node shows that runs no pipelines as new as the stores, without refining anything."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable
from typing import Final

import structlog

from appliance.components.nodes import NodeStore
from appliance.components.silver import Progress
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.engine.bells import rung
from appliance.engine.elsewhere import Elsewhere
from appliance.engine.engine import Engine
from appliance.engine.payloads import pipeline_topic
from appliance.engine.warming import newest
from appliance.errors import DashError

LOOK_SECS: Final = 3.0  # as often as nodes tell; news of commits comes sooner
PAUSE_SECS: Final = 0.5  # between two looks, however much is committed
TOLD_SECS: Final = 2 * LOOK_SECS  # after news, what is found to have changed is what the news was of
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
        self._told: dict[PipelineId, float] = {}  # when news of it came last, monotonic
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
        now = time.monotonic()
        news, self._news = self._news, set()
        self._told.update(dict.fromkeys(news, now))
        self._followed = {topic: self._followed.get(topic, now) for topic in self._engine.hub.listeners}
        try:
            self._elsewhere.said = await self._engine.workers.run("control", self._nodes.doings)
            await self._look_at_rows(news)
        except DashError as error:
            self._news |= news
            if not self._troubled:
                log.warning("onlooker.blind", error=str(error))
            self._troubled = True
            return
        if self._troubled:
            log.info("onlooker.sees_again")
        self._troubled = False

    async def _look_at_rows(self, news: Collection[PipelineId]) -> None:
        for run in self._engine.runs():
            shares = self._engine.elsewhere.get(run.pipeline.id, {}).values()
            progress = _together(one.refined for one in shares)
            if progress == run.refiner.progress and run.pipeline.id not in news:
                continue
            silver = await self._engine.workers.run("control", self._engine.silver, run.pipeline.organisation_id)
            rows = await newest(run.refiner.course.table, silver, self._engine.workers)
            run.refiner.progress = progress
            run.cache.show(rows)
            self._show(run.pipeline.id)

    def _show(self, pipeline_id: PipelineId) -> None:
        """Show the rows anew to those who follow them here, unless they come by themselves, from where they are made.

        They do where news of commits comes; but nobody elsewhere knows yet of those who have just begun to follow.
        """
        topic, now = pipeline_topic(pipeline_id), time.monotonic()
        told = now - self._told.get(pipeline_id, -TOLD_SECS) < TOLD_SECS
        if not told:
            self._changed(pipeline_id)
        if not told or now - self._followed.get(topic, now) < SETTLING_SECS:
            self._engine.hub.deliver(topic, self._engine.snapshot(pipeline_id))


def _together(partitions: Iterable[Progress]) -> Progress:
    """Return how far all of them are as one; its number is the greatest."""
    seq, outcome = 0, Outcome()
    for one in partitions:
        seq, outcome = max(seq, one.seq), outcome + one.outcome
    return Progress(seq, outcome)
