"""The search of an erasure: what was asked for, and what came of it downstream, at every node that answers.

A node that does not answer is not waited for here: its partition is *absent* for the rest of the search, and counts as
not searched, so that a later one goes over it.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from appliance.domain.erasure import Erasure, Range, Target, count, joined, members, ranges_of
from appliance.domain.ids import PipelineId
from appliance.domain.partition import Partition, base_of, partition_of, up_to
from appliance.domain.pipeline import PipelineDocument
from appliance.errors import NotFound, TransientError
from appliance.services.erasure_documents import Wanted, payload_of
from appliance.services.erasure_finding import Find, Finding, Looked
from appliance.services.ports import Engine
from appliance.services.query_documents import conditions
from appliance.services.readers import nodes, readers
from appliance.storage.control import erasures as store
from appliance.storage.control import pipelines
from appliance.storage.control.plane import ControlPlane

T = TypeVar("T")
Ends = dict[int, int]  # the newest event of each partition


class Search:
    """One search under way: what was found of which pipeline, and how many events were looked at.

    ``erasure`` may have been searched for before: what was looked at then is not looked at again, but for what came of
    events that were not known. ``absent``: the partitions whose node does not answer, and how that is told.
    """

    def __init__(self, plane: ControlPlane, engine: Engine, finding: Finding, erasure: Erasure) -> None:
        self._plane, self._engine, self._finding = plane, engine, finding
        self.erasure = erasure
        self.targets: dict[PipelineId, Target] = {one.pipeline_id: one for one in erasure.targets}
        self._before = dict(self.targets)
        self.notes: list[str] = list(erasure.notes)
        self.absent: dict[int, str] = {}

    async def ask(self, number: int, work: Callable[..., T], *args: Any) -> T | None:
        """Return what ``work`` returns, which asks the node of a partition; None: it does not answer.

        Raises:
            TransientError: it is this very node.
        """
        if number in self.absent:
            return None
        try:
            found: T = await self._engine.workers.run("upkeep", work, *args)
        except TransientError as error:
            if number == await self._engine.workers.run("upkeep", self._finding.own, self.erasure.pipelines[0]):
                raise
            self.absent[number] = str(error)
            return None
        return found

    def note(self, note: str) -> None:
        """Tell a person something, once."""
        if note not in self.notes:
            self.notes.append(note)

    async def chosen(self, pipeline_id: PipelineId, wanted: Wanted) -> None:
        """Find what was asked for in one pipeline, in the partitions where nobody has looked yet."""
        run, finder = self._engine.workers.run, self._finding.finder
        seen = set(_searched(self._before.get(pipeline_id)))
        ends = {number: last for number, last in (await self._ends(pipeline_id)).items() if number not in seen}
        found = {seq for seq in wanted.seqs if any(seq in up_to(last) for last in ends.values())}
        ways = [wanted.payload_conditions()] if wanted.payload else []
        if where := conditions(wanted.where):
            found |= await run("upkeep", self._finding.rows, self.erasure.organisation_id, pipeline_id, where)
            said = payload_of(wanted.where, (await self._document(pipeline_id)).mapping)
            if said is not None:
                ways.append(said)
            elif not ways:
                self.note(
                    f"dead letters, filtered and superseded events of {pipeline_id} were not looked at: 'where' cannot "
                    "be said of the events themselves; give 'payload' as well"
                )
        if ways:
            find = partial(_united, finder.matching, ways=ways)
            found |= await self._scan(pipeline_id, ends, {}, find)
        self._add(
            pipeline_id, found, self._answered(ends, seen=_searched(self.targets.get(pipeline_id))), derived=False
        )

    async def downstream(self) -> None:
        """Follow every row to the pipelines that read it, and on from there."""
        graph = await self._plane.read(lambda tx: nodes(tx, self.erasure.organisation_id))
        finder, waiting = self._finding.finder, deque((one, self._grew(one)) for one in self.targets)
        while waiting:
            upstream, whole = waiting.popleft()
            seqs = members(self.targets[upstream].ranges)
            for node in readers(graph, upstream) if seqs else ():
                known = self.targets.get(node.id)
                searched = {} if whole else _searched(self._before.get(node.id))
                ends = await self._ends(node.id)
                find = partial(finder.derived, upstream=upstream, seqs=seqs)
                found = await self._scan(node.id, ends, searched, find)
                before = known.events if known else 0
                self._add(node.id, found, self._answered(ends, searched), derived=known.derived if known else True)
                if self.targets[node.id].events > before:
                    waiting.append((node.id, True))

    async def counted(self) -> tuple[Target, ...]:
        """Return the targets, with how many rows and segments there are of what was found; before it is erased."""
        return tuple([await self._counted(one) for one in self.targets.values()])

    async def _counted(self, target: Target) -> Target:
        before = self._before.get(target.pipeline_id)
        new = _without(target.ranges, before.ranges if before else ())
        if before is not None and not new and not self.erasure.waits_for:
            return target
        run, segments = self._engine.workers.run, 0
        try:
            rows = await run(
                "upkeep", self._finding.row_count, self.erasure.organisation_id, target.pipeline_id, new
            )  # fmt: skip
        except NotFound:  # it does not run: there are rows, but nobody to ask
            rows = 0
        for number in await run("upkeep", self._finding.partitions, target.pipeline_id):
            held = await self.ask(number, self._finding.segment_count, target.pipeline_id, number, target.ranges)
            segments += held or 0
        return replace(target, rows=target.rows + rows, segments=max(segments, target.segments))

    async def _ends(self, pipeline_id: PipelineId) -> Ends:
        ends = {}
        for number in await self._engine.workers.run("upkeep", self._finding.partitions, pipeline_id):
            last = await self.ask(number, self._finding.end, pipeline_id, number)
            if last is not None:
                ends[number] = last
        return ends

    async def _scan(self, pipeline_id: PipelineId, ends: Ends, searched: Ends, find: Find) -> set[int]:
        """Look at the events of a pipeline above those ``searched``, and say how far that is."""
        begins = {number: searched.get(number, base_of(Partition(number))) for number in ends}
        self._expect(sum(ends.values()) - sum(begins.values()))
        found, damaged = set[int](), 0
        for number, after in begins.items():
            looked = await self._scan_on(pipeline_id, number, after, find)
            found.update(looked.seqs)
            damaged += looked.damaged
            if number in self.absent:  # the rest of it does not count as to be looked at any more
                self._expect(min(0, looked.after - ends[number]))
        if damaged:
            self.note(f"{damaged} events of {pipeline_id} are damaged and could not be looked at")
        return found

    async def _scan_on(self, pipeline_id: PipelineId, number: int, after: int, find: Find) -> Looked:
        """Look at the events of one partition after ``after``, as far as its node answers."""
        seqs: list[int] = []
        damaged = 0
        while (looked := await self.ask(number, self._finding.chunk, pipeline_id, after, find)) is not None:
            seqs += looked.seqs
            damaged += looked.damaged
            searched = self.erasure.searched_events + looked.after - after
            self.erasure, after = replace(self.erasure, searched_events=searched), looked.after
            await self._plane.write(lambda tx: store.save(tx, self.erasure))
        return Looked(after, seqs, damaged)

    def _expect(self, events: int) -> None:
        self.erasure = replace(self.erasure, total_events=self.erasure.total_events + events)

    def _answered(self, ends: Ends, seen: Ends) -> Ends:
        """Return how far each partition is searched by now: of those absent, as far as it was ``seen``."""
        return seen | {number: last for number, last in ends.items() if number not in self.absent}

    def _add(self, pipeline_id: PipelineId, found: Collection[int], searched: Ends, *, derived: bool) -> None:
        known = self.targets.get(pipeline_id)
        ranges = joined(known.ranges if known else (), ranges_of(found))
        ascending = tuple(last for _, last in sorted(searched.items()))
        target = known or Target(pipeline_id=pipeline_id, derived=derived, ranges=())
        erased = target.erased and ranges == target.ranges
        self.targets[pipeline_id] = replace(target, derived=derived, ranges=ranges, searched=ascending, erased=erased)

    def _grew(self, pipeline_id: PipelineId) -> bool:
        """Return whether more is known of a pipeline than when this search began."""
        before = self._before.get(pipeline_id)
        return before is None or before.ranges != self.targets[pipeline_id].ranges

    async def _document(self, pipeline_id: PipelineId) -> PipelineDocument:
        saved = await self._plane.read(lambda tx: pipelines.find(tx, self.erasure.organisation_id, pipeline_id))
        return msgspec.convert(saved[1].definition, PipelineDocument)


def _searched(target: Target | None) -> Ends:
    return {partition_of(seq): seq for seq in target.searched} if target else {}


def _without(ranges: Sequence[Range], others: Sequence[Range]) -> tuple[Range, ...]:
    if not others or not count(ranges):
        return tuple(ranges)
    return ranges_of(set(members(ranges)) - set(members(others)))


def _united(matching: Any, frames: Any, ways: Sequence[Any]) -> list[int]:
    return sorted({seq for way in ways for seq in matching(frames, way)})
