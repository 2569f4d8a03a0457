"""The contract of the row feed: committed rows in the order of commits, for readers with a checkpoint of their own."""

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec
import pyarrow as pa

from appliance.components.bronze import BronzeLog
from appliance.components.silver import Table
from appliance.domain.ids import PipelineId
from appliance.domain.partition import ALONE, Partition, base_of, local_of, partition_of


class FeedPlace(msgspec.Struct, frozen=True, omit_defaults=True):
    """A reader's checkpoint: rows of events up to ``seq`` and amendments up to ``amendment`` are read.

    ``seq`` is of partition 0. ``beyond``: the last event read in each further partition, ascending; of partitions that
    are not in it nothing is read. It outlives a replay: a new generation goes on above these events and its old rows
    are not handed out again.
    """

    seq: int = 0
    amendment: int = 0
    beyond: tuple[int, ...] = ()

    @property
    def seqs(self) -> tuple[int, ...]:
        """The last event read in each partition."""
        return self.seq, *self.beyond

    @property
    def events(self) -> int:
        """How many events are read, or were there before the first one read."""
        return sum(map(local_of, self.seqs))

    def up_to(self, partition: int) -> int:
        """Return the last event read in a partition; nothing read: the number before its first."""
        return _in(self.seqs, partition)

    def moved(self, seq: int) -> "FeedPlace":
        """Return the place where events up to ``seq`` are read in its partition, and all others as here."""
        return FeedPlace.at([*self.seqs, seq], self.amendment)

    @classmethod
    def at(cls, seqs: Iterable[int], amendment: int) -> "FeedPlace":
        """``seqs``: the last event of each partition; of several in one, the last of them."""
        known = {partition_of(seq): seq for seq in seqs}
        beyond = tuple(seq for of, seq in sorted(known.items()) if of != ALONE and local_of(seq))
        return cls(known.get(ALONE, 0), amendment, beyond)


def _in(seqs: Iterable[int], partition: int) -> int:
    return next((seq for seq in seqs if partition_of(seq) == partition), base_of(Partition(partition)))


class Feed(Protocol):
    """Errors as ``SilverStore``."""

    def end(self, table: Table) -> FeedPlace:
        """Return the place after everything committed so far: where a reader starts that wants no history."""
        ...

    def read(self, table: Table, after: FeedPlace, limit: int) -> tuple[pa.Table, FeedPlace]:
        """Return rows (as ``SilverStore.records``, with ``_item``) not read yet, and the place after them.

        By (_seq, _item), of each partition a part, so that none waits for another; whole events only, at least one of
        each partition that has any, else about ``limit`` rows. Rows that were
        superseded before they were read are not handed out. No rows and a place that moved: there was nothing to hand.
        """
        ...

    def again(self, table: Table, first_seq: int, last_seq: int) -> int:
        """Hand the rows of these events out once more, to readers that have passed them; return how many rows.

        After a replay whose new rows shall go downstream. Done again, they are handed out again.
        """
        ...


class Reading(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far one pipeline has read another: all of ``place``, but for events up to ``began``, which came before it.

    ``began`` is of partition 0, ``began_beyond`` of further ones.
    """

    place: FeedPlace = FeedPlace()
    began: int = 0
    began_beyond: tuple[int, ...] = ()

    @classmethod
    def beginning_at(cls, place: FeedPlace) -> "Reading":
        """Return the reading of who wants nothing of before."""
        return cls(place, place.seq, place.beyond)

    def has(self, seq: int) -> bool:
        """Return whether event ``seq`` was read."""
        of = partition_of(seq)
        return _in((self.began, *self.began_beyond), of) < seq <= self.place.up_to(of)


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


def readings_of(logs: Iterable[BronzeLog], reader: PipelineId) -> dict[PipelineId, Reading]:
    """Return how far ``reader`` has read each pipeline, wherever it was polled so far; blocking.

    Each of ``logs`` has the checkpoint of the time when its node polled: what one of them has read, is read.

    Raises:
        TransientError: a node that may know does not answer.
    """
    return _merged([log.checkpoint(reader) for log in logs])


def furthest(own: dict[str, Any] | None, elsewhere: Iterable[dict[str, Any] | None]) -> dict[str, Any] | None:
    """Return the checkpoint to go on from: of a pipeline that reads others what any node has read; else ``own``."""
    found = _merged([own, *elsewhere])
    return msgspec.to_builtins(ReaderCheckpoint(upstream=found)) if found else own


def _merged(checkpoints: Iterable[dict[str, Any] | None]) -> dict[PipelineId, Reading]:
    merged: dict[PipelineId, Reading] = {}
    for checkpoint in checkpoints:
        for pipeline_id, found in readings_in(checkpoint).items():
            known = merged.get(pipeline_id)
            merged[pipeline_id] = found if known is None else _further(known, found)
    return merged


def _further(one: Reading, other: Reading) -> Reading:
    place = FeedPlace.at(
        sorted((*one.place.seqs, *other.place.seqs)), max(one.place.amendment, other.place.amendment)
    )  # fmt: skip
    began = FeedPlace.at(sorted((one.began, *one.began_beyond, other.began, *other.began_beyond)), 0)
    return Reading(place, began.seq, began.beyond)
