"""Shares: what this node has received is told to the others, and what they have received and refined is known here."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

import structlog

from appliance.components.bronze import BronzeLog
from appliance.components.partitions import Received, ReceivedBook, Share
from appliance.components.silver import Progress
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.partition import Partition, base_of
from appliance.engine.engine import Engine
from appliance.errors import DashError

EVERY_SECS: Final = 1.0

log = structlog.get_logger("engine")

Known = dict[PipelineId, dict[int, Share]]


class Shares:
    """Of one node, with partition ``own`` and its log ``bronze``; ``own`` None: it keeps no events, and only asks."""

    def __init__(self, engine: Engine, bronze: BronzeLog, own: Partition | None, book: ReceivedBook) -> None:
        self._engine, self._bronze, self._own, self._book = engine, bronze, own, book
        self._told: dict[PipelineId, Received] = {}
        self._lags = Lags()
        self._trouble: str | None = None

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_SECS)

    async def look(self) -> None:
        """Tell what has changed here, and take over what is known of the others; without a database: neither."""
        runs = self._engine.runs()
        owners = {run.pipeline.id: run.pipeline.organisation_id for run in runs}
        before = {run.pipeline.id: run.refiner.progress for run in runs}
        try:
            await self._engine.workers.run("control", self._tell)
            known, stored = await self._engine.workers.run("control", self._ask, owners)
        except DashError as error:
            if str(error) != self._trouble:
                log.warning("shares.unheard", error=str(error))
            self._trouble = str(error)
            return
        self._trouble = None
        self._engine.elsewhere = known
        self._engine.lag_elsewhere = self._lags.longest(known, time.monotonic())
        for pipeline_id, progress in stored.items():
            self._engine.counted(pipeline_id, before[pipeline_id], progress)

    def _tell(self) -> None:
        if self._own is None:
            return
        now = {one: self._received(one, self._own) for one in self._bronze.pipelines()}
        changed = [one for one in now.values() if self._told.get(one.pipeline_id) != one]
        gone = [one for one in self._told if one not in now]
        if changed or gone:
            self._book.publish(self._own, changed, gone)
        self._told = now

    def _received(self, pipeline_id: PipelineId, own: Partition) -> Received:
        bronze = self._bronze
        first, last = bronze.upkeep.first_seq(pipeline_id), bronze.last_seq(pipeline_id)
        return Received(pipeline_id, own, first, last)

    def _ask(self, owners: Mapping[PipelineId, OrganisationId]) -> tuple[Known, dict[PipelineId, Progress]]:
        """Return the shares of others, and what is stored of this node's events in the same pipelines; blocking."""
        said: dict[OrganisationId, dict[PipelineId, dict[int, int]]] = {}
        published = self._book.published()
        self._told = {one.pipeline_id: one for one in published if one.partition == self._own}  # whoever removed some
        for one in published:
            if one.pipeline_id in owners:
                lasts = said.setdefault(owners[one.pipeline_id], {}).setdefault(one.pipeline_id, {})
                lasts.update({one.partition: one.last_seq} if one.partition != self._own else {})
        known: Known = {}
        stored: dict[PipelineId, Progress] = {}
        for organisation_id, shared in said.items():
            refined = self._engine.silver(organisation_id).partitions(list(shared))
            for pipeline_id, lasts in shared.items():
                known[pipeline_id] = _shares(lasts, refined[pipeline_id], self._own)
                if self._own is not None:
                    stored[pipeline_id] = refined[pipeline_id].get(self._own, Progress(base_of(self._own)))
        return known, stored


class Lags:
    """How long other nodes' events wait to be refined, as it looks from here, to about a second."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[PipelineId, int], tuple[int, float]] = {}  # the last event then, and since when

    def longest(self, known: Known, now: float) -> float:
        """Return the seconds since which an event is known that is not refined yet; ``now``: of a monotonic clock."""
        pending = {
            (pipeline_id, number): share
            for pipeline_id, shares in known.items()
            for number, share in shares.items()
            if share.refined.seq < share.last_seq
        }
        waiting = {}
        for where, share in pending.items():
            before = self._waiting.get(where)
            noticed = before is not None and share.refined.seq < before[0]
            waiting[where] = before if noticed and before else (share.last_seq, now)
        self._waiting = waiting
        return max((now - since for _, since in waiting.values()), default=0.0)


def _shares(lasts: Mapping[int, int], refined: Mapping[int, Progress], own: int | None) -> dict[int, Share]:
    others = sorted({*lasts, *refined} - {own})
    bases = {number: base_of(Partition(number)) for number in others}
    return {
        number: Share(lasts.get(number, bases[number]), refined.get(number, Progress(bases[number])))
        for number in others
    }
