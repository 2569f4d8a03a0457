"""The contract of a row store's upkeep: what retention, erasure and space need."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from appliance.components.chunks import RowsCut
from appliance.components.silver import Progress, Table
from appliance.domain.ids import PipelineId


class RowChunks(msgspec.Struct, frozen=True, kw_only=True):
    """The live rows of one pipeline, cut by time. ``width_secs``: of chunks to come.

    ``columnar``: of ``chunks``, those whose rows lie in columns. They occupy ``columnar_bytes`` of ``bytes`` and
    occupied ``as_rows_bytes`` before, indexes included.
    """

    chunks: int
    width_secs: int
    bytes: int
    columnar: int = 0
    as_rows_bytes: int = 0
    columnar_bytes: int = 0


class Chunking(msgspec.Struct, frozen=True, kw_only=True):
    """What TimescaleDB does for a store. ``edition``: ``community`` or ``apache``.

    ``in_use``: new generations are cut into chunks; ``columnstore``: old chunks are put into columns. ``policies``:
    jobs of the database's own, none of which Dash has made. ``views``: of rollups, for who asks the database directly.
    ``notes``: sentences about what does not go as expected.
    """

    version: str
    edition: str
    in_use: bool
    columnstore: bool
    width_secs: int
    compress_after_secs: int | None
    pipelines: dict[PipelineId, RowChunks] = {}
    policies: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class StoreSize(msgspec.Struct, frozen=True):
    """``file_bytes``: what the file system gives to it; ``free_bytes``: of these, blocks that hold nothing.

    ``pipelines``: bytes of each pipeline's rows and dead letters of all generations, about; ``gold``: of its rollups.
    ``chunking``: None where the store knows no chunks.
    """

    file_bytes: int
    free_bytes: int
    pipelines: dict[PipelineId, int]
    gold: dict[PipelineId, int] = {}
    chunking: Chunking | None = None


class Compacted(msgspec.Struct, frozen=True):
    before_bytes: int
    after_bytes: int
    took_secs: float


class Upkeep(Protocol):
    """Errors as ``SilverStore``. Readers go on all the while; commits may wait."""

    def trim(self, table: Table, before: datetime, up_to: int | None = None) -> int:
        """Remove rows with ``_time`` < ``before`` and dead letters received before it; return how many rows.

        ``up_to``: only of events up to this one of its partition, whichever node's that is: what comes after it has not
        been read by everybody downstream yet. None: of all events of all partitions.
        The ledger does not change: spans count what is ``gone``. Rollups keep what they have counted.
        """
        ...

    def erase(self, table: Table, seqs: Sequence[int]) -> Progress:
        """Remove everything of these events from rows, dead letters and rollups, in every generation.

        They count as filtered from now on, as a replay of the erased log would count them.
        """
        ...

    def arrange(self, table: Table, now: datetime) -> int:
        """Store rows that have grown old more densely, where the database can; return how many chunks of them were.

        Rows stay what they are, for every reader. For every round of retention: what is not done by one is by the next.
        """
        ...

    def chunks(self, table: Table) -> RowsCut | None:
        """Return how the live rows of a pipeline lie in chunks; None: this kind of store knows none."""
        ...

    def size(self) -> StoreSize:
        """Return what the store occupies; cheap."""
        ...

    def compact(self) -> Compacted:
        """Rewrite the file without its free blocks and give the space back to the file system.

        Needs as much free disk as the result occupies; TransientError when there is not, and nothing was changed.
        """
        ...
