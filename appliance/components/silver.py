"""The contract of the row store: refine commits, everybody else reads. One store belongs to one organisation."""

from collections.abc import Sequence
from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import pyarrow as pa

from appliance.components.polls import Polled
from appliance.domain.chunks import AS_INSTALLED, ChunkRules
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import FieldType
from appliance.domain.rollup import Rollup

if TYPE_CHECKING:
    from appliance.components.deliveries import Deliveries
    from appliance.components.feed import Feed
    from appliance.components.generations import Generations
    from appliance.components.letters import Letters
    from appliance.components.look import Look
    from appliance.components.upkeep import Upkeep


class Column(msgspec.Struct, frozen=True):
    name: str
    type: FieldType
    unit: str | None = None


class Table(msgspec.Struct, frozen=True):
    """The Silver table of one pipeline. System columns come first in it and are not listed here:

    ``_time`` timestamp[us, UTC] · ``_seq`` int64 · ``_item`` int32 (place in the exploded array, else 0) ·
    ``_key`` fixed_size_binary(16), only with ``keyed`` · ``_extra`` JSON text or null.
    """

    pipeline_id: PipelineId
    columns: tuple[Column, ...]
    keyed: bool = False
    generation: int | None = None  # None: the live one; else one that ``Generations`` gave (a shadow, or the former)
    rollups: tuple[Rollup, ...] = ()  # maintained by every commit to this table; a part of this table
    era: int | None = None  # of the live one, as whoever writes knows it (``Generation.era``); None: whichever it is
    chunks: ChunkRules = AS_INSTALLED  # how rows are cut, where the store can


class Batch(msgspec.Struct, frozen=True):
    """What refine hands over: consecutive events ``first_seq`` … ``last_seq``, mapped.

    ``rows``: the system columns and every column of ``table``, in order of (_seq, _item).
    ``dead``: ``seq`` int64, ``item`` int32, ``reason`` string, ``field`` string?, ``value`` string? (shortened to
    256 characters), ``message`` string, ``problems`` string (JSON array of {reason, field, value, message}, all of
    them), ``received_at`` timestamp[us, UTC], ``version`` int32.
    ``outcome``: of these events, before keys are looked at (``duplicate`` is 0; the store moves events to it).
    ``claims``: the deliveries that another node may have received too, as ``deliveries.CLAIM_SCHEMA``; None: there is
    no other node.
    ``polled``: only of a store that ``TakesTurns``.
    """

    table: Table
    version: int
    first_seq: int
    last_seq: int
    rows: pa.Table
    dead: pa.Table
    outcome: Outcome
    day: date = date(1970, 1, 1)
    claims: pa.Table | None = None
    polled: Polled | None = None


class Progress(msgspec.Struct, frozen=True):
    """How far a pipeline is refined in one partition: every event of it up to ``seq`` has its outcome."""

    seq: int = 0
    outcome: Outcome = Outcome()


class Order(Enum):
    ASC = "asc"
    DESC = "desc"


class Condition(msgspec.Struct, frozen=True):
    """``field op value``; op: ``= <> < <= > >= in contains is_null not_null`` (the last two: value ignored)."""

    field: str
    op: str
    value: Any = None


class RecordQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one pipeline in a time range, ``start`` inclusive, ``end`` exclusive, ordered by (_time, _seq, _item)."""

    start: datetime | None = None
    end: datetime | None = None
    where: tuple[Condition, ...] = ()
    order: Order = Order.DESC
    after: tuple[datetime, int, int] | None = None  # keyset cursor: (_time, _seq, _item) of the last row seen
    limit: int = 100


class Measure(msgspec.Struct, frozen=True):
    """``op``: count sum avg min max p50 p95 p99 last distinct; ``field`` None only for count."""

    op: str
    field: str | None
    name: str


class Aggregation(msgspec.Struct, frozen=True, kw_only=True):
    """Measures over the rows of one pipeline; answered as ``_time`` (with a bucket), group_by …, measures …

    ``approximate``: percentiles may be off by 1 % of their value, which lets rollups answer them.
    """

    measures: tuple[Measure, ...]
    group_by: tuple[str, ...] = ()
    bucket_us: int | None = None
    start: datetime | None = None
    end: datetime | None = None
    where: tuple[Condition, ...] = ()
    limit: int = 10_000
    approximate: bool = False


class DeadLetterQuery(msgspec.Struct, frozen=True, kw_only=True):
    reason: str | None = None
    field: str | None = None
    seq: int | None = None  # of this event alone
    before: tuple[datetime, int] | None = None  # moment of receipt and number of the last one seen; newest first
    limit: int = 100


class SilverStore(Protocol):
    """Typed rows, dead letters and progress of one organisation's pipelines.

    What else the same store can do is asked of its parts: ``generations`` (replay), ``letters`` (dead letters as
    objects), ``feed`` (rows for downstream readers), ``upkeep`` (retention, erasure, space), ``deliveries`` (what came
    to several nodes); ``look`` answers people.

    What is about one partition, and names no event, is about that of the node whose store it is: partition 0, where
    there is one node. Of a partition that nothing was stored of, progress begins at ``base_of`` it.

    One writer at a time per pipeline and partition; any number of readers, who see whole commits only. Blocking: call
    from a thread. Any method may raise TransientError (busy, interrupted by ``timeout_secs``) or FatalError (store
    damaged).
    """

    @property
    def look(self) -> "Look": ...

    @property
    def generations(self) -> "Generations": ...

    @property
    def letters(self) -> "Letters": ...

    @property
    def feed(self) -> "Feed": ...

    @property
    def upkeep(self) -> "Upkeep": ...

    @property
    def deliveries(self) -> "Deliveries": ...

    def prepare(self, table: Table) -> None:
        """Create the pipeline's table and rollups, add the columns it lacks, widen those that may be (see below).

        Never removes or narrows a column, never rewrites rows; idempotent. Widening: integer → float or decimal or
        string, float, decimal, boolean and timestamp → string. Rows of before read as the wider type from then on.

        Raises:
            Conflict: a column exists with a type that cannot be widened to the one wanted; the message names it.
        """
        ...

    def progress(self, pipeline_id: PipelineId, generation: int | None = None) -> Progress:
        """Return how far the pipeline (its live generation, or the one named) is refined; never seen: its begin."""
        ...

    def commit(self, batch: Batch) -> Progress:
        """Store rows, dead letters and progress in one transaction and return the new progress.

        ``batch.first_seq`` must be ``progress.seq + 1``. With ``table.keyed`` rows whose ``_key`` comes again replace
        the earlier ones, within the batch too, and events left without rows move from stored to duplicate. A delivery
        of ``claims`` that other events are stored as becomes duplicate, and stays so whatever is refined again; one
        that is not belongs to these events from then on.

        Raises:
            Conflict: ``first_seq`` does not follow the stored progress (somebody else wrote); nothing was written.
            TransientError: other rows were put in use since ``table.era``, or are about to be (``Generations.hold``).
        """
        ...

    def records(self, table: Table, query: RecordQuery) -> pa.Table:
        """Return rows: system columns without ``_key``, then ``table``'s columns."""
        ...

    def aggregate(self, table: Table, query: Aggregation) -> pa.Table:
        """Return the measures, ordered by time and group, or by the first measure descending without a bucket.

        Rollups of ``table`` are used where they give the same answer. The answer's schema metadata names what was read
        under ``source``: ``silver``, or ``gold:`` and the names of rollups.
        """
        ...

    def dead_letters(self, pipeline_id: PipelineId, query: DeadLetterQuery) -> pa.Table:
        """Return dead letters with the columns of ``Batch.dead``, newest first."""
        ...

    def counts(self, pipeline_ids: Sequence[PipelineId]) -> dict[PipelineId, Progress]:
        """Return the progress of several pipelines in one call."""
        ...

    def partitions(self, pipeline_ids: Sequence[PipelineId]) -> dict[PipelineId, dict[int, Progress]]:
        """Return the progress of every partition of several pipelines, of the live generation, ascending.

        A partition that nothing was stored of may be missing; so are all of a pipeline never prepared.
        """
        ...

    def recount(self, table: Table) -> Outcome:
        """Count again from the rows themselves (``filtered`` as recorded): what ``verify`` compares with progress."""
        ...

    def drop(self, pipeline_id: PipelineId) -> None:
        """Remove the pipeline's rows, dead letters and progress. Unknown: nothing happens."""
        ...

    def close(self) -> None:
        """Checkpoint and close; a second call does nothing."""
        ...
