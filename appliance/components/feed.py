"""The contract of the row feed: committed rows in the order of commits, for readers with a checkpoint of their own."""

from typing import Any, Protocol

import msgspec
import pyarrow as pa

from appliance.components.silver import Table
from appliance.domain.ids import PipelineId


class FeedPlace(msgspec.Struct, frozen=True):
    """A reader's checkpoint: rows of events up to ``seq`` and amendments up to ``amendment`` are read.

    It outlives a replay: a new generation goes on above ``seq`` and its old rows are not handed out again.
    """

    seq: int = 0
    amendment: int = 0


class Feed(Protocol):
    """Errors as ``SilverStore``."""

    def end(self, table: Table) -> FeedPlace:
        """Return the place after everything committed so far: where a reader starts that wants no history."""
        ...

    def read(self, table: Table, after: FeedPlace, limit: int) -> tuple[pa.Table, FeedPlace]:
        """Return rows (as ``SilverStore.records``, with ``_item``) not read yet, and the place after them.

        By (_seq, _item); whole events only, at least one if there is any, else about ``limit`` rows. Rows that were
        superseded before they were read are not handed out. No rows and a place that moved: there was nothing to hand.
        """
        ...

    def again(self, table: Table, first_seq: int, last_seq: int) -> int:
        """Hand the rows of these events out once more, to readers that have passed them; return how many rows.

        After a replay whose new rows shall go downstream. Done again, they are handed out again.
        """
        ...


class Reading(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far one pipeline has read another: all of ``place``, but for events up to ``began``, which came before it."""

    place: FeedPlace = FeedPlace()
    began: int = 0


class ReaderCheckpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The checkpoint of a pipeline that reads others, as its Bronze keeps it: durable with the rows it stands behind.

    What was read of a pipeline is remembered when it is no longer read, so that it is never read twice.
    """

    upstream: dict[PipelineId, Reading]


def readings_in(checkpoint: dict[str, Any] | None) -> dict[PipelineId, Reading]:
    """Return how far each pipeline is read; of no checkpoint, or that of another kind of source: nothing."""
    try:
        return msgspec.convert(checkpoint, ReaderCheckpoint).upstream
    except msgspec.ValidationError:
        return {}
