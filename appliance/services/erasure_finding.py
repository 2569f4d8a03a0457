"""Finds what an erasure is about: rows by conditions, events by their payloads, and what came from them downstream."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from appliance.components.bronze import BronzeLog
from appliance.components.partitions import Partitioned, log_with
from appliance.components.silver import Aggregation, Condition, Measure, Order, RecordQuery, SilverStore, Table
from appliance.domain.erasure import PayloadCondition, Range, members
from appliance.domain.event import Frame
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.partition import Partition, base_of, partition_of
from appliance.errors import NotFound
from appliance.services.ports import Engine
from appliance.services.row_reader import PAGE_ROWS, place_in

CHUNK_EVENTS: Final = 50_000
CHUNK_BYTES: Final = 16 << 20
ALTERNATIVES: Final = 1_000  # of one question
MOST_COUNTED: Final = 100_000  # events whose rows are counted; more are not worth the wait

Find = Callable[[Sequence[Frame]], list[int]]


class PayloadFinder(Protocol):
    """Finds events by their payloads; what is damaged or withdrawn is passed over. Blocking."""

    def problem(self, path: str) -> str | None:
        """Return what is wrong with a path; None: it can be searched."""
        ...

    def matching(self, frames: Sequence[Frame], wanted: Sequence[PayloadCondition]) -> list[int]:
        """Return the events for which every condition holds, ascending."""
        ...

    def derived(self, frames: Sequence[Frame], upstream: PipelineId, seqs: Sequence[int]) -> list[int]:
        """Return the events that came from rows of these events of another pipeline, ascending."""
        ...


class Looked(NamedTuple):
    """``after``: the last event looked at. ``damaged``: events that could not be."""

    after: int
    seqs: list[int]
    damaged: int


class Finding:
    """Everything in it blocks, and is one step of a longer search."""

    def __init__(self, engine: Engine, finder: PayloadFinder) -> None:
        self._engine, self.finder = engine, finder

    def chunk(self, pipeline_id: PipelineId, after: int, find: Find) -> Looked | None:
        """Search the next events of Bronze, as they were received; None: there are none."""
        bronze = self._engine.bronze
        frames = bronze.read(pipeline_id, after, CHUNK_EVENTS, CHUNK_BYTES)
        if not frames:
            return None
        last = frames[-1].last_seq
        originals = self._originals(pipeline_id, frames[0].first_seq, last)
        found = sorted({*find(frames), *(find(originals) if originals else ())})
        return Looked(last, found, sum(frame.count for frame in frames if frame.damaged is not None))

    def _originals(self, pipeline_id: PipelineId, first_seq: int, last_seq: int) -> list[Frame]:
        """Return the events that were corrected or dropped by hand, as they came: these, too, are kept."""
        frames = []
        for seq in self._engine.bronze.upkeep.corrected(pipeline_id, first_seq, last_seq):
            try:
                payload = self._engine.bronze.event(pipeline_id, seq).payload
            except NotFound:
                continue  # erased already, or damaged, which counts elsewhere
            frames.append(Frame(seq, 1, 0, payload.replace(b"\r", b" ").replace(b"\n", b" ")))
        return frames

    def own(self, pipeline_id: PipelineId) -> int:
        """Return the partition of this node."""
        return partition_of(self._engine.bronze.last_seq(pipeline_id))

    def partitions(self, pipeline_id: PipelineId) -> list[int]:
        """Return the partitions that are at a node and may have events of the pipeline, ascending."""
        bronze = self._engine.bronze
        return bronze.partitions(pipeline_id) if isinstance(bronze, Partitioned) else [self.own(pipeline_id)]

    def end(self, pipeline_id: PipelineId, number: int) -> int:
        """Return the newest event of a partition. Raises TransientError: its node does not answer."""
        return self._log(pipeline_id, number).last_seq(pipeline_id)

    def _log(self, pipeline_id: PipelineId, number: int) -> BronzeLog:
        return log_with(self._engine.bronze, pipeline_id, base_of(Partition(number)))

    def rows(self, organisation_id: OrganisationId, pipeline_id: PipelineId, where: Sequence[Condition]) -> set[int]:
        """Return the events of the rows for which ``where`` holds. Raises Invalid, NotFound."""
        silver, table = self._engine.silver(organisation_id), self._engine.table(pipeline_id)
        query = RecordQuery(where=tuple(where), order=Order.ASC, limit=PAGE_ROWS)
        found: set[int] = set()
        while True:
            page = silver.records(table, query)
            found.update(page.column("_seq").to_pylist())
            if page.num_rows < PAGE_ROWS:
                return found
            place = place_in(page, page.num_rows - 1)
            query = RecordQuery(where=tuple(where), order=Order.ASC, limit=PAGE_ROWS, after=place)

    def check(self, organisation_id: OrganisationId, pipeline_id: PipelineId, where: Sequence[Condition]) -> None:
        """Return if ``where`` can be asked. Raises Invalid, NotFound."""
        silver, table = self._engine.silver(organisation_id), self._engine.table(pipeline_id)
        silver.records(table, RecordQuery(where=tuple(where), limit=1))

    def row_count(self, organisation_id: OrganisationId, pipeline_id: PipelineId, ranges: Sequence[Range]) -> int:
        """Return how many rows in Silver are of these events (the first 100,000 of them)."""
        silver, table = self._engine.silver(organisation_id), self._engine.table(pipeline_id)
        seqs = members(ranges)[:MOST_COUNTED]
        parts = (seqs[start : start + ALTERNATIVES] for start in range(0, len(seqs), ALTERNATIVES))
        return sum(_count(silver, table, part) for part in parts)

    def segment_count(self, pipeline_id: PipelineId, number: int, ranges: Sequence[Range]) -> int:
        """Return how many segments of a partition hold these events. Raises as ``end``."""
        held = self._log(pipeline_id, number).segments(pipeline_id)
        return sum(any(first <= one.last_seq and last >= one.first_seq for first, last in ranges) for one in held)

    def erase(self, pipeline_id: PipelineId, seqs: Sequence[int], reason: str, by: str) -> str:
        """Erase events of one partition from its log; return why that cannot be, '' if it was done.

        Raises:
            TransientError: its node does not answer, or its disk or archive does not.
        """
        try:
            log = log_with(self._engine.bronze, pipeline_id, seqs[0])
        except NotFound as error:
            return f"rows of {len(seqs)} events of {pipeline_id} are erased, and not the events themselves: {error}"
        log.upkeep.erase(pipeline_id, seqs, reason, by)
        return ""


def _count(silver: SilverStore, table: Table, seqs: Sequence[int]) -> int:
    wanted = Aggregation(measures=(Measure("count", None, "n"),), where=(Condition("_seq", "in", list(seqs)),))
    return int(silver.aggregate(table, wanted).column("n")[0].as_py())
