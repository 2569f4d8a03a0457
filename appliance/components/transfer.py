"""The contract of moving rows from one store to another, exactly: what refine wrote, and what it remembers of it."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import Enum
from typing import Final, Protocol

import msgspec
import pyarrow as pa

from appliance.components.arrow import ARROW_TYPES, DEAD_SCHEMA, INSTANT
from appliance.components.silver import Progress, SilverStore, Table
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType

SHEET: Final = b"sheet"  # in the metadata of a part of ``Share.KEPT``: the sheet it is of


class Share(Enum):
    """A share of what there is of a pipeline, in the order in which they are moved."""

    ROWS = "rows"
    DEAD = "dead letters"
    SPANS = "ledger"  # by day and version, with what retention has removed
    AMENDMENTS = "handed on"  # rows that came about out of turn, for the feed
    AMENDED = "amended"  # what events became when they were amended last
    KEPT = "rollups of removed rows"  # what rollups still count of rows that retention has removed


class Stock(msgspec.Struct, frozen=True, kw_only=True):
    """What a store holds of a pipeline in the generation that is live; others are not moved.

    ``columns``: each with the types it has had, the last is what it holds now; names in lower case. ``numbers``: the
    highest number that this store has given to a generation, of any pipeline. ``counts``: lines of each share but KEPT.
    """

    pipeline_id: PipelineId
    generation: int
    first_seq: int
    created_at: datetime
    columns: tuple[tuple[str, tuple[FieldType, ...]], ...]
    progress: Progress
    numbers: int
    counts: Mapping[Share, int]


SHARE_SCHEMAS: Final[Mapping[Share, pa.Schema]] = {
    Share.DEAD: DEAD_SCHEMA,
    Share.SPANS: pa.schema(
        [
            ("first_seq", pa.int64()), ("last_seq", pa.int64()), ("day", pa.string()), ("version", pa.int32()),
            ("stored", pa.int64()), ("filtered", pa.int64()), ("duplicate", pa.int64()), ("dead", pa.int64()),
            ("gone", pa.int64()), ("dead_gone", pa.int64()),
        ]
    ),
    Share.AMENDMENTS: pa.schema([("number", pa.int64()), ("seq", pa.int64()), ("item", pa.int32())]),
    Share.AMENDED: pa.schema(
        [("seq", pa.int64()), ("outcome", pa.string()), ("version", pa.int32()), ("amended_at", INSTANT)]
    ),
}  # fmt: skip
"""The columns of each share but those whose columns are a pipeline's own."""


def rows_schema(columns: Mapping[str, FieldType]) -> pa.Schema:
    """Return the columns of ``Share.ROWS``. ``columns``: the physical ones, by what ``physical_name`` calls them."""
    system = [
        ("_time", INSTANT), ("_seq", pa.int64()), ("_item", pa.int32()), ("_key", pa.binary(16)),
        ("_extra", pa.string()),
    ]  # fmt: skip
    return pa.schema([*system, *((name, ARROW_TYPES[kind]) for name, kind in columns.items())])


class Transfer(Protocol):
    """Takes out of a store, and puts into one, a pipeline as it is. Nobody else writes to either meanwhile.

    ``table``: as the pipeline's mapping of today has it; of ``KEPT`` only what its rollups count is moved. What is put
    in is seen by readers at once; how far it is refined only after ``finish``. Errors as ``SilverStore``.
    """

    def stocks(self) -> list[Stock]:
        """Return what there is, by pipeline.

        Raises:
            Conflict: events that several nodes received are in it, which cannot be moved.
        """
        ...

    def read(self, table: Table, stock: Stock, share: Share) -> Iterator[pa.Table]:
        """Yield a share in parts that fit into memory. Of KEPT the schema's metadata names the sheet."""
        ...

    def storable(self, rows: pa.Table) -> pa.Table:
        """Return ``rows`` as this store will give them back: what it cannot hold is replaced as by ``commit``."""
        ...

    def begin(self, table: Table, stock: Stock) -> None:
        """Make the pipeline, empty, in a generation of the same number. What there is of it is removed before."""
        ...

    def write(self, table: Table, stock: Stock, share: Share, part: pa.Table) -> None:
        """Put in one part that ``read`` gave, durably. Done again it would be there twice."""
        ...

    def finish(self, table: Table, stock: Stock) -> None:
        """Count rollups, make what finds rows, and let the progress be that of ``stock``."""
        ...


class Transferable(SilverStore, Protocol):
    """A row store that pipelines can be moved out of and into."""

    @property
    def transfer(self) -> Transfer: ...
