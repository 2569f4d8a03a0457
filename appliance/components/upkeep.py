"""The contract of a row store's upkeep: what retention, erasure and space need."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from appliance.components.silver import Progress, Table
from appliance.domain.ids import PipelineId


class StoreSize(msgspec.Struct, frozen=True):
    """``file_bytes``: what the file system gives to it; ``free_bytes``: of these, blocks that hold nothing.

    ``pipelines``: bytes of each pipeline's rows and dead letters of all generations, about; ``gold``: of its rollups.
    """

    file_bytes: int
    free_bytes: int
    pipelines: dict[PipelineId, int]
    gold: dict[PipelineId, int] = {}


class Compacted(msgspec.Struct, frozen=True):
    before_bytes: int
    after_bytes: int
    took_secs: float


class Upkeep(Protocol):
    """Errors as ``SilverStore``. Readers go on all the while; commits may wait."""

    def trim(self, table: Table, before: datetime, up_to: int | None = None) -> int:
        """Remove rows with ``_time`` < ``before`` and dead letters received before it; return how many rows.

        Of events of this node's partition: what is left of others' is their nodes' to remove.
        ``up_to``: only of events up to this one: what comes after it has not been read by everybody downstream yet.
        The ledger does not change: spans count what is ``gone``. Rollups keep what they have counted.
        """
        ...

    def erase(self, table: Table, seqs: Sequence[int]) -> Progress:
        """Remove everything of these events from rows, dead letters and rollups, in every generation.

        They count as filtered from now on, as a replay of the erased log would count them.
        """
        ...

    def size(self) -> StoreSize:
        """Return what the store occupies; cheap."""
        ...

    def compact(self) -> Compacted:
        """Rewrite the file without its free blocks and give the space back to the file system.

        Needs as much free disk as the result occupies; TransientError when there is not, and nothing was changed.
        """
        ...
