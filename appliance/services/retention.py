"""Retention: the job that removes what has grown old, of every pipeline of every organisation, and gives space back."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, Protocol

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.components.deliveries import Settled
from appliance.components.feed import Reading, readings_of
from appliance.components.partitions import held, logs_of, several
from appliance.components.silver import SilverStore
from appliance.components.upkeep import Compacted
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.partition import partition_of, spoken
from appliance.domain.pipeline import Retention, State
from appliance.domain.replay import ReplayState
from appliance.domain.retention import (
    Bounds,
    Readers,
    bounds,
    compacted_now,
    expirable_up_to,
    trimmable_up_to,
    worth_compacting,
)
from appliance.engine.attempt import Attempt
from appliance.errors import DashError, NotFound
from appliance.services.ports import Engine
from appliance.services.readers import Node, nodes, readers
from appliance.services.retention_rules import PipelineRound, Round, default_retention, note_round
from appliance.storage.control import pipelines as store
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import ReplayRow

QUIET_EVENTS_PER_SEC: Final = 100.0
UNDER_WAY: Final = timedelta(minutes=10)  # no request takes longer from its receipt until its events are durable
_NOT_BEGUN: Final = (ReplayState.WAITING.value, ReplayState.REBUILDING.value)

log = structlog.get_logger("retention")


class Disk(Protocol):
    @property
    def slow(self) -> bool:
        """Whether the disk is nearly full."""
        ...


class Kept(msgspec.Struct, frozen=True):
    """One pipeline with how long it keeps what, and who else reads it."""

    pipeline_id: PipelineId
    bounds: Bounds
    readers: tuple[PipelineId, ...]
    waiting: tuple[int, ...]


class RetentionJob:
    """One round at a time. Blocking work is done in the thread for upkeep, so nobody waits for it."""

    def __init__(
        self, plane: ControlPlane, engine: Engine, disk: Disk, compact_above: float, clock: Clock = utc_now
    ) -> None:
        """``compact_above``: share of free blocks from which a file of rows is written anew."""
        self._plane, self._engine, self._disk = plane, engine, disk
        self._above, self._clock = compact_above, clock
        self._wanted: dict[OrganisationId, datetime] = {}  # since when compaction waits for a quiet moment
        self.keeps_rows: Callable[[], bool] = lambda: True  # whether the rows that nodes share are for this one to keep
        self.freed_bytes = 0  # since the start, for the metrics
        self.removed_events = 0
        self.removed_rows = 0

    async def run(self, attempt: Attempt) -> None:
        """Make a round over all organisations; what cannot be done of one does not stop the others."""
        plan = await self._plane.read(self._plan)
        for place, (organisation_id, kept) in enumerate(plan.items()):
            attempt.tell(place, len(plan), f"organisation {organisation_id}")
            done = await self._round(organisation_id, kept)
            self.freed_bytes += done.bytes_freed
            self.removed_events += done.events
            self.removed_rows += done.rows
            await self._plane.write(partial(note_round, organisation_id=organisation_id, done=done))

    def _plan(self, tx: Session) -> dict[OrganisationId, list[Kept]]:
        """Return every pipeline there is with what counts for it."""
        plan: defaultdict[OrganisationId, list[Kept]] = defaultdict(list)
        defaults: dict[str, Retention] = {}
        graph: dict[str, list[Node]] = {}
        for row, version in store.everything(tx):
            owner = row.organisation_id
            if row.state == State.DELETED.value:
                continue
            if owner not in graph:
                defaults[owner] = default_retention(tx, owner)
                graph[owner] = nodes(tx, OrganisationId(owner))
            own = msgspec.convert(version.definition.get("retention", {}), Retention)
            pipeline_id = PipelineId(row.id)
            reading = tuple(node.id for node in readers(graph[owner], pipeline_id))
            kept = Kept(pipeline_id, bounds(own, defaults[owner]), reading, _waiting(tx, pipeline_id))
            plan[OrganisationId(owner)].append(kept)
        return plan

    async def _round(self, organisation_id: OrganisationId, kept: Sequence[Kept]) -> Round:
        run, began, at = self._engine.workers.run, time.monotonic(), self._clock()
        silver = await run("upkeep", self._engine.silver, organisation_id)
        done = [await run("upkeep", self._tidy, silver, one, at) for one in kept]
        arranged = [await run("upkeep", self._arranged, silver, one, at) for one in kept if self.keeps_rows()]
        if await run("upkeep", several, self._engine.bronze):
            await run("upkeep", self._settle, silver, [one.pipeline_id for one in kept], at)
        compacted, postponed = None, None
        if self.keeps_rows():
            compacted, postponed = await self._compact(organisation_id, silver, [one.pipeline_id for one in kept])
        return Round(
            at=at,
            took_secs=round(time.monotonic() - began, 3),
            events=sum(one.events for one in done),
            rows=sum(one.rows for one in done),
            bytes_freed=sum(one.bytes_freed for one in done) + _given_back(compacted),
            pipelines=[one for one in done if one.worth_telling],
            compacted=compacted,
            postponed=postponed,
            arranged=sum(arranged),
        )

    def _tidy(self, silver: SilverStore, kept: Kept, now: datetime) -> PipelineRound:
        """Remove what may go of one pipeline; blocking."""
        try:
            return self._tidied(silver, kept, now)
        except NotFound as error:  # it does not run, or is being deleted
            return PipelineRound(pipeline_id=kept.pipeline_id, error=str(error))
        except DashError as error:
            log.warning("retention.delayed", pipeline=kept.pipeline_id, error=str(error))
            return PipelineRound(pipeline_id=kept.pipeline_id, error=str(error))

    def _tidied(self, silver: SilverStore, kept: Kept, now: datetime) -> PipelineRound:
        wanted, rows = kept.bounds, 0
        if wanted == Bounds():
            return PipelineRound(pipeline_id=kept.pipeline_id)
        places = self._places(kept)
        if wanted.silver_age is not None and self.keeps_rows():
            rows = self._trimmed(silver, kept.pipeline_id, places, now - wanted.silver_age)
        before = None if wanted.bronze_age is None else now - wanted.bronze_age
        if before is None and wanted.bronze_bytes is None:
            return PipelineRound(pipeline_id=kept.pipeline_id, rows=rows)
        reading = self._readers(silver, kept, places)
        last = expirable_up_to(reading)
        upkeep = self._engine.bronze.upkeep
        gone = upkeep.expire(kept.pipeline_id, before=before, keep_bytes=wanted.bronze_bytes, up_to=last)
        return PipelineRound(
            pipeline_id=kept.pipeline_id,
            events=gone.events,
            segments=gone.segments,
            bytes_freed=gone.bytes_freed,
            rows=rows,
            held_back=self._held_back(kept, reading, before),
        )

    def _arranged(self, silver: SilverStore, kept: Kept, now: datetime) -> int:
        """Let the store keep old rows of one pipeline more densely; blocking. The next round goes on with it."""
        try:
            return silver.upkeep.arrange(self._engine.table(kept.pipeline_id), now)
        except NotFound:  # it does not run, or is being deleted
            return 0
        except DashError as error:
            log.warning("retention.not_arranged", pipeline=kept.pipeline_id, error=str(error))
            return 0

    def _trimmed(
        self, silver: SilverStore, pipeline_id: PipelineId, places: Sequence[Reading | None], before: datetime
    ) -> int:
        """Remove old rows of all nodes' events, which whoever reads them has read; return how many."""
        table = self._engine.table(pipeline_id)
        if not places:  # all at once: whole tables and chunks of rows are dropped, whoever's they are
            return silver.upkeep.trim(table, before)
        refined = silver.partitions([pipeline_id]).get(pipeline_id, {}).values()
        standing = [Readers(refined=one.seq, downstream=_downstream(places, one.seq)) for one in refined]
        return sum(silver.upkeep.trim(table, before, trimmable_up_to(one)) for one in standing)

    def _settle(self, silver: SilverStore, pipelines: Sequence[PipelineId], now: datetime) -> None:
        """Say how far this node's events are refined, and forget claims of deliveries; blocking."""
        bronze = self._engine.bronze
        try:
            for one in pipelines:
                up_to = self._refined_up_to(silver, one, now) - UNDER_WAY
                silver.deliveries.settle(one, Settled(up_to, bronze.upkeep.first_seq(one), held(bronze)))
            forgotten = silver.deliveries.forget()
        except DashError as error:
            log.warning("retention.not_settled", error=str(error))
            return
        log.debug("retention.settled", pipelines=len(pipelines), forgotten=forgotten)

    def _refined_up_to(self, silver: SilverStore, pipeline_id: PipelineId, now: datetime) -> datetime:
        """Return when the oldest event was received that this node has not refined; ``now``: there is none."""
        bronze = self._engine.bronze
        last, refined = bronze.last_seq(pipeline_id), silver.progress(pipeline_id).seq
        waiting = bronze.read(pipeline_id, refined, 1, 1) if refined < last else []
        return min(now, datetime.fromtimestamp(waiting[0].received_us / 1e6, UTC)) if waiting else now

    def _places(self, kept: Kept) -> list[Reading | None]:
        """Return how far each reader has read the pipeline; None: it has not begun."""
        bronze = self._engine.bronze
        return [readings_of(logs_of(bronze, reader), reader).get(kept.pipeline_id) for reader in kept.readers]

    def _readers(self, silver: SilverStore, kept: Kept, places: Sequence[Reading | None]) -> Readers:
        generations = silver.generations.all(kept.pipeline_id)
        refined = next((one.progress.seq for one in generations if one.live), 0)
        return Readers(
            refined=refined,
            others=tuple(one.progress.seq for one in generations if not one.live),
            waiting=kept.waiting,
            downstream=_downstream(places, refined),
        )

    def _held_back(self, kept: Kept, reading: Readers, before: datetime | None) -> str | None:
        """Return who still needs events that are old enough to go; None: nobody does."""
        last = expirable_up_to(reading)
        if before is None or self._engine.bronze.upkeep.seq_at(kept.pipeline_id, before) - 1 <= last:
            return None
        for reader, place in zip(kept.readers, reading.downstream, strict=True):
            if place <= last:
                return f"pipeline {reader!r} has read the rows up to event {spoken(place)}"
        if last < reading.refined:
            return f"a replay, or its way back, needs the events from {spoken(last + 1)} on"
        return f"the pipeline is refined up to event {spoken(last)}"

    async def _compact(
        self, organisation_id: OrganisationId, silver: SilverStore, pipelines: Sequence[PipelineId]
    ) -> tuple[Compacted | None, str | None]:
        """Write the file of the rows anew where that is worth it, in a quiet moment if one comes within a day."""
        run, pressing = self._engine.workers.run, self._disk.slow
        try:
            size = await run("upkeep", silver.upkeep.size)
            if not worth_compacting(size.file_bytes, size.free_bytes, self._above, pressing=pressing):
                self._wanted.pop(organisation_id, None)
                return None, None
            waited = self._clock() - self._wanted.setdefault(organisation_id, self._clock())
            if not compacted_now(waited, quiet=self._quiet(pipelines), pressing=pressing):
                return None, "waits for a quiet moment, for a day at most"
            compacted = await run("upkeep", silver.upkeep.compact)
        except DashError as error:
            return None, str(error)
        self._wanted.pop(organisation_id, None)
        log.info("silver.compacted", organisation=organisation_id, freed_bytes=_given_back(compacted))
        return compacted, None

    def _quiet(self, pipelines: Sequence[PipelineId]) -> bool:
        rate = 0.0
        for pipeline_id in pipelines:
            try:
                rate += self._engine.stats(pipeline_id).rate_per_sec
            except NotFound:
                continue
        return rate < QUIET_EVENTS_PER_SEC


def read_up_to(reading: Reading | None, refined: int) -> int:
    """Return the last event of the partition of ``refined`` that a reader has read; none: the one before its first."""
    return (reading or Reading()).place.up_to(partition_of(refined))


def _downstream(places: Sequence[Reading | None], refined: int) -> tuple[int, ...]:
    return tuple(read_up_to(place, refined) for place in places)


def _given_back(compacted: Compacted | None) -> int:
    return 0 if compacted is None else max(0, compacted.before_bytes - compacted.after_bytes)


def _waiting(tx: Session, pipeline_id: PipelineId) -> tuple[int, ...]:
    """Return the first event of each replay that has no generation yet whose progress would speak for it."""
    wanted = select(ReplayRow.document).where(ReplayRow.pipeline_id == pipeline_id, ReplayRow.state.in_(_NOT_BEGUN))
    documents = tx.scalars(wanted).all()
    return tuple(one.get("first_seq") or 1 for one in documents if one.get("generation") is None)
