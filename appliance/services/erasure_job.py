"""The job of an erasure: find, follow downstream, erase, and look once more. Whatever step dies is done again.

What is found is written down before anything is erased, so that a crash in between forgets nothing: of an event that is
gone from Bronze already, its dead letter could not be found again.
"""

from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

import msgspec
import structlog
from msgspec.structs import replace
from sqlalchemy.orm import Session

from appliance.components.jobs import NewJob
from appliance.domain.clock import Clock, utc_now
from appliance.domain.erasure import (
    Erasure,
    ErasureState,
    Range,
    Target,
    joined,
    members,
    moved,
    ranges_of,
)
from appliance.domain.ids import PipelineId
from appliance.domain.job import on_node
from appliance.domain.partition import base_of, partition_of, up_to
from appliance.domain.pipeline import PipelineDocument
from appliance.engine.attempt import Attempt
from appliance.errors import NotFound
from appliance.services.erasure_documents import Wanted, payload_of
from appliance.services.erasure_finding import Find, Finding
from appliance.services.ports import Engine
from appliance.services.query_documents import conditions
from appliance.services.readers import nodes, readers
from appliance.storage.control import erasures as store
from appliance.storage.control import pipelines
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.jobs import enqueue
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.vault import Vault

JOB: Final = "erasure.run"
MOST_ATTEMPTS: Final = 1_000  # an erasure that was accepted is not given up
LOOKS_AGAIN_AFTER: Final = timedelta(seconds=15)  # by then what was read before has been committed
LOOKS_AT_MOST: Final = timedelta(minutes=15)  # no batch is under way for longer
_BY: Final = "erasure"

log = structlog.get_logger("erasure")


def job_for(erasure: Erasure, step: str, **more: Any) -> NewJob:
    """Return the job that does ``step`` of an erasure."""
    return NewJob(
        kind=JOB,
        payload={"id": erasure.id},
        unique_key=f"{JOB}:{erasure.id}:{step}",
        max_attempts=MOST_ATTEMPTS,
        needs=(on_node(erasure.node_id),) if erasure.node_id else (),
        organisation_id=erasure.organisation_id,
        cancellable=False,
        **more,
    )


class ErasureJob:
    """Blocking work is done in the thread for upkeep, step by step."""

    def __init__(
        self, plane: ControlPlane, vault: Vault, engine: Engine, finding: Finding, clock: Clock = utc_now
    ) -> None:
        self._plane, self._vault, self._engine = plane, vault, engine
        self._finding, self._clock = finding, clock
        self._under_way: set[str] = set()

    async def run(self, attempt: Attempt) -> None:
        """Do what is left of one erasure."""
        erasure_id = str(attempt.payload["id"])
        if erasure_id in self._under_way:
            return
        self._under_way.add(erasure_id)
        try:
            erasure = await self._plane.read(lambda tx: store.load(tx, erasure_id))
            if erasure is not None:
                await self._attempt(erasure)
        finally:
            self._under_way.discard(erasure_id)

    async def _attempt(self, erasure: Erasure) -> None:
        try:
            await self._go_on(erasure)
        except Exception as error:
            latest = await self._plane.read(lambda tx: store.load(tx, erasure.id)) or erasure
            await self._save(replace(latest, error=str(error)))
            raise

    async def _go_on(self, erasure: Erasure) -> None:
        if erasure.state in (ErasureState.WAITING, ErasureState.FINDING):
            erasure = await self._find(erasure)
        if erasure.state is ErasureState.ERASING:
            erasure = await self._erase(erasure)
        elif erasure.state is ErasureState.CONFIRMING:
            await self._confirm(erasure)

    async def _save(self, erasure: Erasure) -> Erasure:
        await self._plane.write(lambda tx: store.save(tx, erasure))
        return erasure

    async def _find(self, erasure: Erasure) -> Erasure:
        """Find the events, and what came from them downstream; write it down, and forget what was looked for."""
        wanted = msgspec.json.decode(self._vault.unseal(str(erasure.wanted)), type=Wanted)
        begun = moved(erasure, ErasureState.FINDING, searched_events=0, total_events=0, notes=())
        search = _Search(self._plane, self._engine, self._finding, begun)
        for pipeline_id in erasure.pipelines:
            await search.chosen(pipeline_id, wanted)
        await search.downstream()
        targets = tuple([await self._counted(erasure, one) for one in search.targets.values()])
        erasure = moved(
            search.erasure,
            ErasureState.FOUND if erasure.dry_run else ErasureState.ERASING,
            targets=targets,
            notes=tuple(search.notes),
            wanted=None,
            error=None,
            finished_at=self._clock() if erasure.dry_run else None,
        )
        return await self._save(erasure)

    async def _counted(self, erasure: Erasure, target: Target) -> Target:
        run = self._engine.workers.run
        try:
            rows = await run(
                "upkeep", self._finding.row_count, erasure.organisation_id, target.pipeline_id, target.ranges
            )
        except NotFound:  # it does not run: there are rows, but nobody to ask
            rows = 0
        segments = await run("upkeep", self._finding.segment_count, target.pipeline_id, target.ranges)
        return replace(target, rows=rows, segments=segments)

    async def _erase(self, erasure: Erasure) -> Erasure:
        for place, target in enumerate(erasure.targets):
            if not target.erased:
                await self._erase_in(erasure, target.pipeline_id, target.ranges)
                done = (*erasure.targets[:place], replace(target, erased=True), *erasure.targets[place + 1 :])
                erasure = await self._save(replace(erasure, targets=done))
        now = self._clock()
        erasure = await self._save(moved(erasure, ErasureState.CONFIRMING, erased_at=now, error=None))
        await self._again(erasure)
        return erasure

    async def _erase_in(self, erasure: Erasure, pipeline_id: PipelineId, ranges: Sequence[Range]) -> None:
        """Erase these events of one pipeline: from the log first, so that nothing is refined from them any more."""
        run, seqs = self._engine.workers.run, members(ranges)
        if not seqs or not await self._exists(erasure, pipeline_id):
            return
        await run("upkeep", self._engine.bronze.upkeep.erase, pipeline_id, seqs, erasure.reason, erasure.created_by)
        silver = await run("upkeep", self._engine.silver, erasure.organisation_id)
        progress = await run("upkeep", silver.upkeep.erase, self._engine.table(pipeline_id), seqs)
        self._engine.erased(pipeline_id, seqs, progress)

    async def _exists(self, erasure: Erasure, pipeline_id: PipelineId) -> bool:
        found = await self._plane.read(lambda tx: nodes(tx, erasure.organisation_id))
        return any(node.id == pipeline_id for node in found)

    async def _again(self, erasure: Erasure) -> None:
        """Have the job come back a little later."""
        at = self._clock() + LOOKS_AGAIN_AFTER
        job = job_for(erasure, f"confirm-{at.isoformat()}", run_at=at)
        await self._plane.write(lambda tx: enqueue(tx, job, self._clock()))

    async def _confirm(self, erasure: Erasure) -> None:
        """Erase once more what a batch or a page that was under way has brought back; then it is done."""
        search = _Search(self._plane, self._engine, self._finding, erasure)
        search.targets = {one.pipeline_id: one for one in erasure.targets}
        await search.downstream(again=True)
        for pipeline_id, target in search.targets.items():
            await self._erase_in(erasure, pipeline_id, target.ranges)
        targets = tuple(replace(one, erased=True) for one in search.targets.values())
        now = self._clock()
        late = now - (erasure.erased_at or now) >= LOOKS_AT_MOST
        if not late and await self._behind(erasure, targets):
            await self._save(replace(erasure, targets=targets, error=None))
            await self._again(erasure)
            return
        await self._forget_blocks(erasure)
        done = moved(erasure, ErasureState.DONE, targets=targets, finished_at=now, error=None)
        deed = Deed(
            organisation_id=done.organisation_id, who=_BY, action="erasure.done", target=done.id,
            detail={"events": {one.pipeline_id: one.events for one in targets}},
        )  # fmt: skip

        def end(tx: Session) -> None:
            store.save(tx, done)
            record(tx, deed, now)

        await self._plane.write(end)
        log.info("erasure.done", erasure=done.id, events=sum(one.events for one in targets))

    async def _forget_blocks(self, erasure: Erasure) -> None:
        """Write the file of the rows anew: what was erased lies in its free blocks until then."""
        silver = await self._engine.workers.run("upkeep", self._engine.silver, erasure.organisation_id)
        await self._engine.workers.run("upkeep", silver.upkeep.compact)

    async def _behind(self, erasure: Erasure, targets: Sequence[Target]) -> bool:
        """Return whether a generation has yet to pass the last event: what it read before may come back."""
        run = self._engine.workers.run
        silver = await run("upkeep", self._engine.silver, erasure.organisation_id)
        for target in targets:
            generations = await run("upkeep", silver.generations.all, target.pipeline_id)
            if any(_reads_on(one.progress.seq, target.ranges) for one in generations):
                return True
        return False


class _Search:
    """One search under way: what was found of which pipeline, and how many events were looked at."""

    def __init__(self, plane: ControlPlane, engine: Engine, finding: Finding, erasure: Erasure) -> None:
        self._plane, self._engine, self._finding = plane, engine, finding
        self.erasure = erasure
        self.targets: dict[PipelineId, Target] = {}
        self.notes: list[str] = list(erasure.notes)

    async def chosen(self, pipeline_id: PipelineId, wanted: Wanted) -> None:
        """Find what was asked for in one pipeline."""
        run, finder = self._engine.workers.run, self._finding.finder
        ends = await run("upkeep", self._finding.ends, pipeline_id)
        found = {seq for seq in wanted.seqs if any(seq in up_to(last) for last in ends)}
        ways = [wanted.payload_conditions()] if wanted.payload else []
        if where := conditions(wanted.where):
            found |= await run("upkeep", self._finding.rows, self.erasure.organisation_id, pipeline_id, where)
            said = payload_of(wanted.where, (await self._document(pipeline_id)).mapping)
            if said is not None:
                ways.append(said)
            elif not ways:
                self.notes.append(
                    f"dead letters, filtered and superseded events of {pipeline_id} were not looked at: 'where' cannot "
                    "be said of the events themselves; give 'payload' as well"
                )
        if ways:
            found |= await self._scan(pipeline_id, (), lambda frames: _united(finder.matching, frames, ways))
        self._add(pipeline_id, found, ends, derived=False)

    async def downstream(self, *, again: bool = False) -> None:
        """Follow every row to the pipelines that read it, and on from there.

        ``again``: what was looked at before is not, but for what comes from events that were not known then.
        """
        graph = await self._plane.read(lambda tx: nodes(tx, self.erasure.organisation_id))
        finder, waiting = self._finding.finder, deque((one, again) for one in self.targets)
        while waiting:
            upstream, only_new = waiting.popleft()
            seqs = members(self.targets[upstream].ranges)
            for node in readers(graph, upstream) if seqs else ():
                known = self.targets.get(node.id)
                ends = await self._engine.workers.run("upkeep", self._finding.ends, node.id)
                searched = known.searched if known and only_new else ()
                find = partial(finder.derived, upstream=upstream, seqs=seqs)
                found = await self._scan(node.id, searched, find)
                before = known.events if known else 0
                self._add(node.id, found, ends, derived=known.derived if known else True)
                if self.targets[node.id].events > before:
                    waiting.append((node.id, False))

    async def _scan(self, pipeline_id: PipelineId, searched: tuple[int, ...], find: Find) -> set[int]:
        """Look at all events of a pipeline above those ``searched``, and say how far that is."""
        known = {partition_of(seq): seq for seq in searched}
        ends = await self._engine.workers.run("upkeep", self._finding.ends, pipeline_id)
        begins = [known.get(partition_of(last), base_of(partition_of(last))) for last in ends]
        total = sum(ends) - sum(begins)
        self.erasure = replace(self.erasure, total_events=self.erasure.total_events + total)
        found, damaged = set[int](), 0
        for after in begins:
            damaged += await self._scan_on(pipeline_id, after, find, found)
        if damaged:
            self.notes.append(f"{damaged} events of {pipeline_id} are damaged and could not be looked at")
        return found

    async def _scan_on(self, pipeline_id: PipelineId, after: int, find: Find, found: set[int]) -> int:
        """Look at the events of one partition after ``after``; return how many could not be."""
        run, damaged = self._engine.workers.run, 0
        while (looked := await run("upkeep", self._finding.chunk, pipeline_id, after, find)) is not None:
            found.update(looked.seqs)
            damaged += looked.damaged
            searched = self.erasure.searched_events + looked.after - after
            self.erasure, after = replace(self.erasure, searched_events=searched), looked.after
            await self._plane.write(lambda tx: store.save(tx, self.erasure))
        return damaged

    def _add(self, pipeline_id: PipelineId, found: set[int], searched: tuple[int, ...], *, derived: bool) -> None:
        known = self.targets.get(pipeline_id)
        ranges = joined(known.ranges if known else (), ranges_of(found))
        self.targets[pipeline_id] = Target(
            pipeline_id=pipeline_id, derived=derived, ranges=ranges, searched=searched,
            rows=known.rows if known else 0, segments=known.segments if known else 0,
        )  # fmt: skip

    async def _document(self, pipeline_id: PipelineId) -> PipelineDocument:
        saved = await self._plane.read(lambda tx: pipelines.find(tx, self.erasure.organisation_id, pipeline_id))
        return msgspec.convert(saved[1].definition, PipelineDocument)


def _reads_on(refined: int, ranges: Sequence[Range]) -> bool:
    """Return whether events of ``ranges`` are still to be refined by what stands at ``refined``, in its partition."""
    here = partition_of(refined)
    return any(refined < last for _, last in ranges if partition_of(last) == here)


def _united(matching: Any, frames: Any, ways: Sequence[Any]) -> list[int]:
    return sorted({seq for way in ways for seq in matching(frames, way)})
