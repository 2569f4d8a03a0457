"""The job of an erasure: find, follow downstream, erase, and look once more. Whatever step dies is done again.

What is found is written down before anything is erased, so that a crash in between forgets nothing: of an event that is
gone from Bronze already, its dead letter could not be found again.

One node carries it out: it searches the others' Bronze over internal calls, has each erase from its own files, and
erases from the common stores once. What is at a node that does not answer waits for it: the job goes on *at* that node,
as soon as it is back.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

import msgspec
import structlog
from msgspec.structs import replace
from sqlalchemy.orm import Session

from appliance.components.jobs import NewJob
from appliance.components.silver import Progress
from appliance.domain.clock import Clock, utc_now
from appliance.domain.erasure import Awaited, Erasure, ErasureState, Range, Target, members, moved
from appliance.domain.ids import NodeId, PipelineId
from appliance.domain.job import on_node
from appliance.domain.partition import base_of, partition_of
from appliance.engine.attempt import Attempt
from appliance.services.erasure_documents import Wanted
from appliance.services.erasure_finding import Finding
from appliance.services.erasure_search import Search
from appliance.services.ports import Engine
from appliance.services.readers import nodes
from appliance.storage.control import erasures as store
from appliance.storage.control import partitions
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.jobs import enqueue
from appliance.storage.control.nodes import BRONZE, keepers
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.vault import Vault

JOB: Final = "erasure.run"
FORGET: Final = "erasure.forget"
MOST_ATTEMPTS: Final = 1_000  # an erasure that was accepted is not given up
LOOKS_AGAIN_AFTER: Final = timedelta(seconds=15)  # by then what was read before has been committed
LOOKS_AT_MOST: Final = timedelta(minutes=15)  # no batch is under way for longer
_BY: Final = "erasure"

log = structlog.get_logger("erasure")


def job_for(tx: Session, erasure: Erasure, step: str, node_id: NodeId | None = None, **more: Any) -> NewJob:
    """Return the job that does ``step`` of an erasure; ``node_id``: on that node, None: on any that keeps events."""
    able = (BRONZE,) if keepers(tx) else ()  # nobody has entered: there is but this process
    return NewJob(
        kind=JOB,
        payload={"id": erasure.id},
        unique_key=f"{JOB}:{erasure.id}:{step}",
        max_attempts=MOST_ATTEMPTS,
        needs=able if node_id is None else (on_node(node_id),),
        organisation_id=erasure.organisation_id,
        cancellable=False,
        **more,
    )


def let_go(tx: Session, node_id: NodeId, clock: Clock) -> None:
    """Have erasures that wait for a node go on without it: it was forgotten."""
    for erasure in store.under_way(tx):
        forgotten = next((one for one in erasure.waits_for if one.node_id == node_id), None)
        if forgotten is None:
            continue
        note = f"what is on the disk of node {forgotten.name!r} was not searched and not erased: it was forgotten"
        store.save(tx, replace(erasure, notes=(*erasure.notes, note)))
        if erasure.waits_for[0] == forgotten:  # its job went with the node
            enqueue(tx, job_for(tx, erasure, f"without-{node_id}"), clock())


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
        begun = moved(erasure, ErasureState.FINDING, searched_events=0, total_events=0, notes=())
        search = self._search(begun)
        await self._look_for(search, str(erasure.wanted))
        targets, waits_for = await search.counted(), await self._awaited(search)
        if erasure.dry_run:
            search.notes += [f"{one.told}: what it has is not counted" for one in waits_for]
        erasure = moved(
            search.erasure,
            ErasureState.FOUND if erasure.dry_run else ErasureState.ERASING,
            targets=targets,
            notes=tuple(search.notes),
            wanted=None if erasure.dry_run or not search.absent else erasure.wanted,
            waits_for=() if erasure.dry_run else waits_for,
            error=None,
            finished_at=self._clock() if erasure.dry_run else None,
        )
        return await self._save(erasure)

    def _search(self, erasure: Erasure) -> Search:
        return Search(self._plane, self._engine, self._finding, erasure)

    async def _look_for(self, search: Search, sealed: str | None) -> None:
        """Look for what was asked for, where nobody has looked yet (None: it was everywhere); and downstream of it."""
        if sealed is not None:
            wanted = msgspec.json.decode(self._vault.unseal(sealed), type=Wanted)
            for pipeline_id in search.erasure.pipelines:
                await search.chosen(pipeline_id, wanted)
        await search.downstream()

    async def _awaited(self, search: Search) -> tuple[Awaited, ...]:
        """Return the nodes that did not answer; what was forgotten meanwhile is none."""
        absent = search.absent
        holders = await self._plane.read(lambda tx: [partitions.holder(tx, number) for number in sorted(absent)])
        return tuple(Awaited(one.node_id, one.name, absent[one.partition]) for one in holders if one is not None)

    async def _erase(self, erasure: Erasure) -> Erasure:
        search = self._search(erasure)
        for place, target in enumerate(erasure.targets):
            if not target.erased:
                erased = await self._erase_in(search, target)
                done = (*erasure.targets[:place], replace(target, erased=erased), *erasure.targets[place + 1 :])
                erasure = await self._save(replace(erasure, targets=done, notes=tuple(search.notes)))
        now = self._clock()
        erasure = await self._save(moved(erasure, ErasureState.CONFIRMING, erased_at=now, error=None))
        await self._forget_newest(erasure)
        await self._again(erasure)
        return erasure

    async def _erase_in(self, search: Search, target: Target) -> bool:
        """Erase these events of one pipeline: from the logs first, so that nothing is refined from them any more.

        Return whether every node that has some of them has done so.
        """
        erasure, pipeline_id, seqs = search.erasure, target.pipeline_id, members(target.ranges)
        if not seqs or not await self._exists(erasure, pipeline_id):
            return True
        run, everywhere = self._engine.workers.run, True
        for number, some in groupby(seqs, partition_of):
            order = (list(some), erasure.reason, erasure.created_by)
            trouble = await search.ask(number, self._finding.erase, pipeline_id, *order)
            everywhere = everywhere and trouble is not None
            if trouble:
                search.note(trouble)
        silver = await run("upkeep", self._engine.silver, erasure.organisation_id)
        progress = await run("upkeep", silver.upkeep.erase, self._engine.table(pipeline_id), seqs)
        self._engine.erased(pipeline_id, seqs, progress)
        return everywhere

    async def _exists(self, erasure: Erasure, pipeline_id: PipelineId) -> bool:
        found = await self._plane.read(lambda tx: nodes(tx, erasure.organisation_id))
        return any(node.id == pipeline_id for node in found)

    async def _again(self, erasure: Erasure, node_id: NodeId | None = None) -> None:
        """Have the job come back a little later; ``node_id``: at that node, whenever it is back."""
        at = self._clock() + LOOKS_AGAIN_AFTER

        def ask(tx: Session) -> None:
            enqueue(tx, job_for(tx, erasure, f"confirm-{at.isoformat()}", node_id, run_at=at), self._clock())

        await self._plane.write(ask)

    async def _confirm(self, erasure: Erasure) -> None:
        """Erase once more what a batch or a page that was under way has brought back, and what is at nodes that did not
        answer before; when nothing is under way and every node has answered, it is done."""
        search = self._search(erasure)
        await self._look_for(search, erasure.wanted)
        targets = [
            replace(one, erased=await self._erase_in(search, one)) for one in await search.counted()
        ]  # fmt: skip
        waits_for, now = await self._awaited(search), self._clock()
        returned = bool(erasure.waits_for) and not search.absent  # what was under way there counts from now on
        last = now if returned or erasure.erased_at is None else erasure.erased_at
        latest = replace(
            search.erasure, targets=tuple(targets), notes=tuple(search.notes), erased_at=last, error=None,
            waits_for=waits_for, wanted=erasure.wanted if search.absent else None,
        )  # fmt: skip
        await self._forget_newest(latest)
        late = now - last >= LOOKS_AT_MOST
        behind = not late and await self._behind(search, targets)
        if returned or behind or search.absent:
            await self._save(latest)
            await self._again(latest, waits_for[0].node_id if waits_for and not behind else None)
            return
        await self._end(latest, now)

    async def _end(self, erasure: Erasure, now: datetime) -> None:
        await self._forget_blocks(erasure)
        done = moved(erasure, ErasureState.DONE, finished_at=now)
        deed = Deed(
            organisation_id=done.organisation_id, who=_BY, action="erasure.done", target=done.id,
            detail={"events": {one.pipeline_id: one.events for one in done.targets}},
        )  # fmt: skip

        def end(tx: Session) -> None:
            store.save(tx, done)
            record(tx, deed, now)

        await self._plane.write(end)
        log.info("erasure.done", erasure=done.id, events=sum(one.events for one in done.targets))

    async def _forget_blocks(self, erasure: Erasure) -> None:
        """Write the file of the rows anew: what was erased lies in its free blocks until then."""
        silver = await self._engine.workers.run("upkeep", self._engine.silver, erasure.organisation_id)
        await self._engine.workers.run("upkeep", silver.upkeep.compact)

    async def _behind(self, search: Search, targets: Iterable[Target]) -> bool:
        """Return whether a generation has yet to pass the last event: what it read before may come back."""
        run = self._engine.workers.run
        silver = await run("upkeep", self._engine.silver, search.erasure.organisation_id)
        for target in targets:
            pipeline_id = target.pipeline_id
            live = (await run("upkeep", silver.partitions, [pipeline_id])).get(pipeline_id, {})
            others = [one for one in await run("upkeep", silver.generations.all, pipeline_id) if not one.live]
            answering = {partition_of(last) for last in target.searched} - search.absent.keys()
            refined = [live.get(number, Progress(base_of(number))).seq for number in answering]
            if any(_reads_on(seq, target.ranges) for seq in (*refined, *(one.progress.seq for one in others))):
                return True
        return False

    async def _forget_newest(self, erasure: Erasure) -> None:
        """Have every other node drop what it shows of these events from memory."""

        def ask(tx: Session) -> None:
            there, now = keepers(tx), self._clock()
            for node_id in there if len(there) > 1 else ():
                job = NewJob(
                    kind=FORGET,
                    payload={"id": erasure.id},
                    unique_key=f"{FORGET}:{erasure.id}:{node_id}:{now.isoformat()}",
                    needs=(on_node(node_id),),
                    organisation_id=erasure.organisation_id,
                )
                enqueue(tx, job, now)

        await self._plane.write(ask)

    async def forget(self, attempt: Attempt) -> None:
        """Drop from this node's memory what was erased: the rows themselves are gone for all nodes."""
        erasure = await self._plane.read(lambda tx: store.load(tx, str(attempt.payload["id"])))
        for target in erasure.targets if erasure is not None else ():
            self._engine.erased(target.pipeline_id, members(target.ranges))


def _reads_on(refined: int, ranges: Sequence[Range]) -> bool:
    """Return whether events of ``ranges`` are still to be refined by what stands at ``refined``, in its partition."""
    here = partition_of(refined)
    return any(refined < last for _, last in ranges if partition_of(last) == here)
