"""Keyed tables: of rows that agree in ``_key`` the last one wins, and events left without rows become duplicates."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from appliance.components.silver import Batch
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.partition import partition_of
from appliance.storage.silver_postgres import names, progress, spans
from appliance.storage.silver_postgres.binary import UUID_OID, BinaryArray
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.places import Place

_ITEMS: Final = 1 << 31  # (seq - first) * _ITEMS + item: the place of a row in the batch as one number
_DELETE: Final = "DELETE FROM {rows} WHERE _key = ANY(%(keys)s::uuid[]) RETURNING _seq, _time"
_LEFT_WITHOUT: Final = """
SELECT seq FROM unnest(%(seqs)s::bigint[]) AS t(seq)
EXCEPT SELECT _seq FROM {rows} WHERE _seq = ANY(%(seqs)s::bigint[])
EXCEPT SELECT seq FROM {dead} WHERE seq = ANY(%(seqs)s::bigint[])
"""


@dataclass(frozen=True)
class Kept:
    """``rows``: those of the batch to store. ``own`` is to be added to the batch's outcome.

    ``earlier``: to be added to the progress of its partition; to that of others it has been.

    ``removed``: the times of stored rows that were replaced.
    """

    rows: pa.Table
    own: Outcome
    earlier: Outcome
    removed: Sequence[datetime]


def supersede(cursor: Cursor, batch: Batch, place: Place) -> Kept:
    """Delete stored rows that the batch's replace; drop those of its rows that others of it replace.

    Runs inside the commit's transaction. The spans of earlier events that lost their last row are changed here.
    """
    kept = _last_of_batch(batch)
    lost = _all_lost(batch, kept) if kept.num_rows < batch.rows.num_rows else 0
    pipeline_id, of = batch.table.pipeline_id, partition_of(batch.first_seq)
    removed, moved = _delete_superseded(cursor, pipeline_id, kept["_key"].drop_null(), place.number)
    earlier = moved.pop(of, Outcome())
    progress.add(cursor, pipeline_id, place.number, moved)
    return Kept(kept, _duplicates(lost), earlier, removed)


def _left_without(cursor: Cursor, pipeline_id: PipelineId, number: int, seqs: Sequence[int]) -> list[int]:
    """Return those of the events that have neither a row nor a dead letter any more."""
    values = {"seqs": sorted(set(seqs))}
    return [seq for (seq,) in cursor.execute(_LEFT_WITHOUT.format(**names.tables(pipeline_id, number)), values)]


def lose(cursor: Cursor, pipeline_id: PipelineId, number: int, seqs: Sequence[int]) -> dict[int, Outcome]:
    """Count those of the events as duplicate in their spans that have nothing left; return it by partition."""
    lost = _left_without(cursor, pipeline_id, number, seqs) if seqs else []
    if lost:
        spans.lose(cursor, pipeline_id, number, lost)
    return {of: _duplicates(events) for of, events in Counter(map(partition_of, lost)).items()}


def _duplicates(events: int) -> Outcome:
    return Outcome(stored=-events, duplicate=events)


def _last_of_batch(batch: Batch) -> pa.Table:
    """Return the batch's rows without those that a later one of it replaces. A key that is null is equal to nothing."""
    rows = batch.rows
    since = pc.multiply(pc.subtract(rows["_seq"], batch.first_seq), _ITEMS)
    places = pc.add(since, rows["_item"])
    with_key = pa.table({"key": rows["_key"], "place": places}).filter(pc.is_valid(rows["_key"]))
    last = with_key.group_by("key", use_threads=False).aggregate([("place", "max")])["place_max"]
    if len(last) == with_key.num_rows:
        return rows
    kept: pa.Table = rows.filter(pc.or_(pc.is_null(rows["_key"]), pc.is_in(places, value_set=last)))
    return kept


def _all_lost(batch: Batch, kept: pa.Table) -> int:
    """Return how many of the batch's events have no row left and are not dead."""
    lost = set(pc.unique(batch.rows["_seq"]).to_pylist()) - set(pc.unique(kept["_seq"]).to_pylist())
    return len(lost - set(pc.unique(batch.dead["seq"]).to_pylist()))


def _delete_superseded(
    cursor: Cursor, pipeline_id: PipelineId, keys: pa.ChunkedArray, number: int
) -> tuple[Sequence[datetime], dict[int, Outcome]]:
    """Return the times of the rows deleted, and what it changes of the outcome of earlier events, by partition."""
    named = names.tables(pipeline_id, number)
    found = cursor.execute(_DELETE.format(**named), {"keys": BinaryArray(keys, UUID_OID)}).fetchall()
    if not found:
        return (), {}
    seqs, times = zip(*found, strict=True)
    return times, lose(cursor, pipeline_id, number, seqs)
