"""The engine: starts, stops and shows the pipelines of this process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from collections.abc import Mapping as PyMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec
import pyarrow as pa
import structlog

from appliance.components.bronze import BronzeLog
from appliance.components.mapper import Mapped, Mapper
from appliance.components.partitions import Share
from appliance.components.resources import Upstream
from appliance.components.silver import Progress, SilverStore, Table
from appliance.components.source import PullSource, PushSource
from appliance.domain.chunks import chunk_rules
from appliance.domain.clock import Clock, utc_now
from appliance.domain.event import Frame
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.mapping import Mapping
from appliance.domain.pipeline import Pipeline, State
from appliance.domain.stats import LiveStats
from appliance.engine.batches import Course
from appliance.engine.crowd import Crowd
from appliance.engine.disk_guard import DiskGuard
from appliance.engine.drift import Drifts
from appliance.engine.elsewhere import Elsewhere
from appliance.engine.hot_cache import HotCache
from appliance.engine.looked_at import LookedAt
from appliance.engine.payloads import numbers_payload, pipeline_topic, pipelines_topic, rows_payload
from appliance.engine.poll import Poller
from appliance.engine.receive import Receiver, door_of, pushed
from appliance.engine.refine import Commit, Means, Refiner
from appliance.engine.run import Run
from appliance.engine.throttle import Pressure
from appliance.engine.topics import Hub
from appliance.engine.trial import trial
from appliance.engine.turns import Turns, checkpoints_elsewhere
from appliance.engine.upstream import Upstreams
from appliance.engine.warming import warm, warm_all
from appliance.engine.workers import Workers
from appliance.errors import FatalError, NotFound

NUMBERS_EVERY_SECS: Final = 1.0
STARTED_AT_ONCE: Final = 4  # pipelines: some wait for the disk while others are compiled
ROOM_AGAIN_SECS: Final = 2.0  # how long refining waits before it looks whether the disk has room again

log = structlog.get_logger("engine")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the engine works with."""

    bronze: BronzeLog
    silver_of: Callable[[OrganisationId], SilverStore]  # opens at first use; blocking
    source_of: Callable[[Pipeline, Upstream], PushSource | PullSource]
    mapper: Mapper
    workers: Workers
    clock: Clock = utc_now
    disk: DiskGuard | None = None  # None: nobody watches it
    lookout: Elsewhere | None = None  # not None: every pipeline is run by other nodes, and only shown by this one


class Engine:
    """All running pipelines. Belongs to the event loop; blocking work goes to ``workers``."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.bronze = parts.bronze
        self.workers = parts.workers
        self.hub = Hub()
        self.crowd = Crowd()
        self.drifts = Drifts()
        self._lookout = parts.lookout
        self.receiver = Receiver(parts.bronze, parts.clock, parts.disk)
        self._runs: dict[PipelineId, Run] = {}
        self._changing = asyncio.Lock()
        self._numbers: asyncio.Task[None] | None = None
        self._warming: asyncio.Task[None] | None = None
        self._upstreams = Upstreams(self)
        self.followers: list[Callable[[Commit], None]] = [self._upstreams.committed]
        self.leaving: list[Callable[[PipelineId], Awaitable[None]]] = []  # told of a pipeline that is being deleted
        self.elsewhere: PyMapping[PipelineId, PyMapping[int, Share]] = {}  # what other nodes have of pipelines
        self.lag_elsewhere = 0.0  # seconds, of the one of them whose refining is furthest behind
        self.may_poll: Callable[[PipelineId], bool] = lambda _: True  # whether this node polls for that pipeline
        self.resting: Callable[[], bool] = lambda: False  # whether what has not begun waits
        self.turns: Turns | None = None  # not None: other nodes may poll what this one polls now

    @property
    def looks(self) -> bool:
        """Return whether other nodes run the pipelines, and this one only shows them."""
        return self._lookout is not None

    def silver(self, organisation_id: OrganisationId) -> SilverStore:
        """Return the organisation's store; blocking the first time."""
        return self._parts.silver_of(organisation_id)

    async def start_pipeline(self, pipeline: Pipeline) -> None:
        """Run ``pipeline`` in this version, instead of the one that ran before; its table is created or widened first.

        A node that only looks knows it from then on, and starts nothing of it.

        Raises:
            Invalid: the mapping does not compile.
            Conflict: a column would change its type. What ran before still runs.
            FatalError: its log cannot be trusted.
        """
        await warm(await self._begun(pipeline), self)

    async def _begun(self, pipeline: Pipeline) -> Run:
        """Start ``pipeline``; its hot cache is empty yet."""
        course = self.course_of(pipeline)
        source = self._parts.source_of(pipeline, self._upstreams.of(pipeline))
        silver = await self.workers.run("control", self.silver, pipeline.organisation_id)
        await self.workers.run("control", self.bronze.last_seq, pipeline.id)  # that its log opens at all
        await self.workers.run("control", silver.prepare, course.table)
        stands = None if self.turns is None else await self.workers.run("control", silver.progress, pipeline.id)
        async with self._changing:
            before = self._runs.get(pipeline.id)
            if before is not None:
                await before.stop()
            run = self._make(pipeline, course, source, silver)
            run.refiner.progress = stands or run.refiner.progress
            if before is not None:
                run.refiner.progress, run.last_received_at = before.refiner.progress, before.last_received_at
            self._runs[pipeline.id] = run
            if not self.looks:
                self._open_door(run, source)
                self._upstreams.started(pipeline)
            run.start(polling=self.may_poll(pipeline.id))
        log.info("pipeline.started", pipeline=pipeline.id, version=pipeline.version, state=pipeline.state.value)
        return run

    def course_of(self, pipeline: Pipeline, generation: int | None = None) -> Course:
        """Return how ``pipeline`` is refined in this version, into its live table or another generation of it.

        Raises:
            Invalid: the mapping does not compile.
        """
        compiled = self._parts.mapper.compile(pipeline.document.mapping)
        rollups = tuple(pipeline.document.rollups)
        chunks = chunk_rules(pipeline.document.chunks)
        columns = compiled.columns
        table = Table(pipeline.id, columns, compiled.keyed, generation, rollups, era=pipeline.era, chunks=chunks)
        return Course(pipeline.id, pipeline.version, compiled, table, pipeline.document.persist)

    def means_of(self, silver: SilverStore) -> Means:
        """Return what rows are refined into ``silver`` with."""
        parts, watch = self._parts, self.drifts.offer
        if parts.disk is None:
            return Means(parts.bronze, silver, parts.mapper, parts.workers, watch=watch, crowd=self.crowd)
        room = partial(parts.disk.check, ROOM_AGAIN_SECS)
        return Means(parts.bronze, silver, parts.mapper, parts.workers, room, self.crowd, watch)

    def check_startable(self, pipeline: Pipeline) -> None:
        """Return if ``pipeline`` could be started now. Raises Invalid, ConfigError."""
        self.course_of(pipeline)
        self._parts.source_of(pipeline, self._upstreams.of(pipeline))

    @asynccontextmanager
    async def held(self, pipeline_id: PipelineId) -> AsyncIterator[None]:
        """Keep the pipeline from refining, after the batch under way; receiving goes on.

        At the end it goes on from where its store stands then, unless it was started anew meanwhile.
        """
        run = self._runs.get(pipeline_id)
        if run is not None:
            await run.hold()
        try:
            yield
        finally:
            if run is not None and self._runs.get(pipeline_id) is run:
                run.go_on()

    def rows_changed(self, pipeline_id: PipelineId) -> None:
        """Tell everybody who looks that the pipeline's rows are others than before."""
        run = self._runs.get(pipeline_id)
        if run is None:
            return
        self.hub.publish(pipeline_topic(pipeline_id), self.snapshot(pipeline_id))
        told = Commit(pipeline_id, run.refiner.progress, pa.table({}), 0, 0.0)
        for follow in self.followers:
            follow(told)

    def pressure(self) -> Pressure:
        """Return what the appliance does beside replays."""
        stats = [run.stats() for run in self.runs() if run.error is None and not run.held]
        return Pressure(
            lag_secs=max([self.lag_elsewhere, *(one.lag_secs for one in stats)]),
            received_per_sec=sum(one.rate_per_sec for one in stats),
            reading=self.workers.busy("read"),
            disk_slow=self._parts.disk is not None and self._parts.disk.slow,
        )

    def _make(self, pipeline: Pipeline, course: Course, source: PushSource | PullSource, silver: SilverStore) -> Run:
        turn = None if self.turns is None or pushed(source) else self.turns.of(pipeline.id, silver)
        refiner = Refiner(course, self.means_of(silver), self._committed, turn.tenure if turn else None)
        if self._lookout is not None:
            return LookedAt(pipeline, refiner, self._lookout, HotCache(course.table))
        poller = None
        if not pushed(source):
            poller = Poller(
                pipeline.id,
                source,  # type: ignore[arg-type]  # whatever is not pushed is polled
                bronze=self.bronze,
                receiver=self.receiver,
                clock=self._parts.clock,
            )
            poller.elsewhere = partial(checkpoints_elsewhere, self.bronze, self.workers)
        if poller is not None and turn is not None:
            poller.turn, turn.moved = turn, refiner.moved
        return Run(pipeline, refiner, poller, cache=HotCache(course.table), bronze=self.bronze)

    def _open_door(self, run: Run, source: PushSource | PullSource) -> None:
        door = door_of(run.pipeline, source)
        door.told.append(lambda events: run.arrived(self._parts.clock, events))
        self.receiver.open(run.pipeline.id, door)

    async def stop_pipeline(self, pipeline_id: PipelineId) -> None:
        """Take no more events and end refining after its batch; unknown: nothing happens."""
        async with self._changing:
            self.receiver.shut(pipeline_id)
            run = self._runs.pop(pipeline_id, None)
            if run is not None:
                await run.stop()

    async def delete_pipeline(self, pipeline_id: PipelineId) -> None:
        """Stop the pipeline and remove its rows, dead letters and Bronze."""
        run = self._runs.get(pipeline_id)
        for leave in self.leaving:
            await leave(pipeline_id)
        await self.stop_pipeline(pipeline_id)
        self.drifts.forget(pipeline_id)
        if run is not None:
            silver = self.silver(run.pipeline.organisation_id)
            await self.workers.run("control", silver.drop, pipeline_id)
        await self.workers.run("control", self.bronze.delete, pipeline_id)

    def run_of(self, pipeline_id: PipelineId) -> Run:
        """Return the running pipeline.

        Raises:
            NotFound: it does not run in this process.
        """
        run = self._runs.get(pipeline_id)
        if run is None:
            raise NotFound(f"pipeline {pipeline_id!r} does not run here")
        return run

    def runs_here(self, pipeline_id: PipelineId) -> bool:
        return pipeline_id in self._runs

    def running_ids(self) -> set[PipelineId]:
        """Return the pipelines of this process, also those that are paused or have failed."""
        return set(self._runs)

    def pipeline(self, pipeline_id: PipelineId) -> Pipeline | None:
        """Return the pipeline as it runs here; None: it does not."""
        run = self._runs.get(pipeline_id)
        return None if run is None else run.pipeline

    def runs(self) -> list[Run]:
        return list(self._runs.values())

    def table(self, pipeline_id: PipelineId) -> Table:
        return self.run_of(pipeline_id).refiner.course.table

    def state(self, pipeline_id: PipelineId, meant: State) -> State:
        """Return FAILED where starting failed or refining ended on a FatalError, else what was ``meant``."""
        run = self._runs.get(pipeline_id)
        return State.FAILED if run is None or run.failed else meant

    def takes_turns(self, pipeline_id: PipelineId) -> bool:
        """Return whether several nodes take turns to poll for the pipeline."""
        run = self._runs.get(pipeline_id)
        return self.turns is not None and run is not None and run.poller is not None

    def settled_seq(self, pipeline_id: PipelineId) -> int:
        """Return the last event here that a replay may refine: of what nodes take turns to poll, the last stored."""
        last = self.bronze.last_seq(pipeline_id)
        return min(last, self.run_of(pipeline_id).refiner.progress.seq) if self.takes_turns(pipeline_id) else last

    def stats(self, pipeline_id: PipelineId) -> LiveStats:
        return self._stats(self.run_of(pipeline_id))

    def _stats(self, run: Run) -> LiveStats:
        """Return a pipeline's numbers over all nodes, those of others as they were about a second ago."""
        shares = self.elsewhere.get(run.pipeline.id, {}).values()
        return run.stats().beside(share.ledger for share in shares)

    def committed_elsewhere(self, pipeline_id: PipelineId) -> None:
        """Poke who reads a pipeline that another node has committed rows of."""
        self._upstreams.poke(pipeline_id)

    def counted(self, pipeline_id: PipelineId, before: Progress, stored: Progress) -> None:
        """Take over what other nodes have done to what is refined here; nothing where refining has moved on since.

        ``before``: as it stood before the store was asked. They amend, erase and replace single events; or put another
        generation in use, which this node has to refine its own events into.
        """
        run = self._runs.get(pipeline_id)
        if run is None or run.refiner.progress.seq != before.seq:
            return
        if stored.seq < before.seq:
            run.refiner.exchanged(stored)
        elif stored.seq == before.seq:
            run.refiner.amended(stored)

    def recent(self, pipeline_id: PipelineId) -> list[dict[str, Any]]:
        """Return the newest 100 rows, oldest first, ready for JSON."""
        return self.run_of(pipeline_id).cache.rows()

    def snapshot(self, pipeline_id: PipelineId) -> bytes:
        """Return what a new follower of the pipeline's topic is sent first."""
        run = self.run_of(pipeline_id)
        return rows_payload(pipeline_id, run.cache.rows(), run.refiner.progress.seq, self._stats(run), snapshot=True)

    def erased(self, pipeline_id: PipelineId, seqs: Collection[int], progress: Progress | None = None) -> None:
        """Show rows of these events no longer among the newest, and the ledger as it is without them."""
        run = self._runs.get(pipeline_id)
        if run is None:
            return
        if progress is not None:
            run.refiner.amended(progress)
        topic = pipeline_topic(pipeline_id)
        if run.cache.forget(frozenset(seqs)) and self.hub.heard(topic):
            self.hub.publish(topic, self.snapshot(pipeline_id))

    async def preview(self, mapping: Mapping, frames: Sequence[Frame]) -> Mapped:
        """Map ``frames``, or their beginning, without storing anything: see ``trial``."""
        return await self.workers.run("read", trial, self._parts.mapper, mapping, frames)

    def _committed(self, commit: Commit) -> None:
        run = self._runs.get(commit.pipeline_id)
        if run is None:
            return
        rows = run.cache.add(commit.rows)
        topic = pipeline_topic(commit.pipeline_id)
        if self.hub.heard(topic):
            self.hub.publish(topic, rows_payload(commit.pipeline_id, rows, commit.progress.seq, self._stats(run)))
        for follow in self.followers:
            follow(commit)

    async def start(self, pipelines: Sequence[Pipeline]) -> None:
        """Start everything that was running or paused; one that cannot start is logged and does not stop the others.

        Their newest rows are read afterwards: nobody waits for them who only sends.
        """
        room = asyncio.Semaphore(STARTED_AT_ONCE)
        await asyncio.gather(*(self._start_one(pipeline, room) for pipeline in pipelines))
        self._warming = asyncio.create_task(warm_all(self), name="warming")
        self._numbers = asyncio.create_task(self._tell_numbers(), name="numbers")

    async def _start_one(self, pipeline: Pipeline, room: asyncio.Semaphore) -> None:
        async with room:
            try:
                await self._begun(pipeline)
            except Exception as error:
                log.error("pipeline.not_started", pipeline=pipeline.id, error=str(error), exc_info=error)
                hint = f": {error.hint}" if isinstance(error, FatalError) else ""
                self.receiver.refuse(pipeline.id, f"{error}{hint}")

    async def stop(self) -> None:
        """Drain receiving and end every run after its batch; whoever opened stores and workers closes them."""
        await self.receiver.drain()
        for task in (self._warming, self._numbers):
            if task is not None:
                task.cancel()
        await asyncio.gather(*(run.stop() for run in self.runs()))

    async def _tell_numbers(self) -> None:
        """Publish every pipeline's numbers once a second, where somebody listens and something changed."""
        told: dict[str, bytes] = {}
        while True:
            await asyncio.sleep(NUMBERS_EVERY_SECS)
            for organisation_id in {run.pipeline.organisation_id for run in self.runs()}:
                topic = pipelines_topic(organisation_id)
                if not self.hub.heard(topic):
                    told.pop(topic, None)
                    continue
                payload = self.numbers(organisation_id)
                if told.get(topic) != payload:
                    told[topic] = payload
                    self.hub.publish(topic, payload)

    def numbers(self, organisation_id: OrganisationId) -> bytes:
        """Return the numbers of all pipelines of one organisation, as its topic carries them."""
        return numbers_payload(
            [
                {"id": run.pipeline.id, "state": run.state.value, **msgspec.structs.asdict(self._stats(run))}
                for run in self.runs()
                if run.pipeline.organisation_id == organisation_id
            ]
        )
