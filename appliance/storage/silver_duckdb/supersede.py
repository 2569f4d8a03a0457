"""Keyed tables: of rows that agree in ``_key`` the last one wins, and events left without rows become duplicates."""

from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from appliance.components.silver import Batch
from appliance.domain.ledger import Outcome
from appliance.storage.silver_duckdb import spans
from appliance.storage.silver_duckdb.schema import quoted
from appliance.storage.sql.source import dead_table, rows_table

_ITEMS = 1 << 31  # (seq - first) * _ITEMS + item: the place of a row in the batch as one number
# A key that is null is equal to nothing.
_LAST_PLACES = """
SELECT max((_seq - $first) * $items + _item) AS place FROM batch_rows
GROUP BY _key, CASE WHEN _key IS NULL THEN (_seq - $first) * $items + _item END
"""
_ALL_LOST = """
SELECT count(*) FROM (
    SELECT _seq FROM batch_rows EXCEPT SELECT _seq FROM kept_rows EXCEPT SELECT seq FROM batch_dead)
"""
# Two steps, although DELETE … RETURNING is one: it takes three to five times as long (10 M rows: 86 ms against 25)
_SUPERSEDED = "SELECT _seq, _item, _time FROM {rows} WHERE _key IN (SELECT _key FROM kept_rows)"
_DELETE = """
DELETE FROM {rows} AS stored USING superseded
WHERE stored._seq = superseded._seq AND stored._item = superseded._item
"""
_LEFT_WITHOUT = """
SELECT _seq AS seq FROM superseded
EXCEPT SELECT _seq FROM {rows} WHERE _seq IN (SELECT _seq FROM superseded)
EXCEPT SELECT seq FROM {dead} WHERE seq IN (SELECT _seq FROM superseded)
"""


@dataclass(frozen=True)
class Kept:
    """``rows``: those of the batch to store. ``own`` is to be added to the batch's outcome, ``earlier`` to progress.

    ``removed``: stored rows that were replaced (``_time``, ``_seq``, ``_item``); None: there were none.
    """

    rows: pa.Table
    own: Outcome
    earlier: Outcome
    removed: pa.Table | None


def supersede(cursor: duckdb.DuckDBPyConnection, batch: Batch, rows: pa.Table, number: int) -> Kept:
    """Delete stored rows that ``rows`` (of ``batch``) replace; drop those of ``rows`` replaced within the batch.

    Runs inside the commit's transaction. ``batch_rows`` and ``batch_dead`` are registered on ``cursor``. The spans of
    earlier events that lost their last row are changed here.
    """
    kept = _last_of_batch(cursor, batch, rows)
    cursor.register("kept_rows", kept)
    try:
        lost = _one(cursor, _ALL_LOST) if kept.num_rows < rows.num_rows else 0
        removed, moved = _delete_superseded(cursor, batch, number)
    finally:
        cursor.unregister("kept_rows")
    return Kept(kept, _duplicates(lost), _duplicates(moved), removed)


def _duplicates(events: int) -> Outcome:
    return Outcome(stored=-events, duplicate=events)


def _last_of_batch(cursor: duckdb.DuckDBPyConnection, batch: Batch, rows: pa.Table) -> pa.Table:
    if _one(cursor, "SELECT count(DISTINCT _key) + count(*) - count(_key) FROM batch_rows") == rows.num_rows:
        return rows
    last = cursor.sql(_LAST_PLACES, params={"first": batch.first_seq, "items": _ITEMS}).to_arrow_table()["place"]
    since = pc.multiply(pc.subtract(rows["_seq"], batch.first_seq), _ITEMS)
    kept: pa.Table = rows.filter(pc.is_in(pc.add(since, rows["_item"]), value_set=last.cast(pa.int64())))
    return kept


def _delete_superseded(cursor: duckdb.DuckDBPyConnection, batch: Batch, number: int) -> tuple[pa.Table | None, int]:
    """Return the rows deleted, and how many events of earlier batches have no row left and are not dead."""
    pipeline_id = batch.table.pipeline_id
    names = {"rows": quoted(rows_table(pipeline_id, number)), "dead": quoted(dead_table(pipeline_id, number))}
    superseded = cursor.sql(_SUPERSEDED.format(**names)).to_arrow_table()
    if superseded.num_rows == 0:
        return None, 0
    cursor.register("superseded", superseded)
    try:
        cursor.execute(_DELETE.format(**names))
        lost = cursor.sql(_LEFT_WITHOUT.format(**names)).to_arrow_table()
    finally:
        cursor.unregister("superseded")
    if lost.num_rows:
        cursor.register("lost_events", lost)
        spans.lose(cursor, pipeline_id, number, "lost_events")
        cursor.unregister("lost_events")
    return superseded, lost.num_rows


def _one(cursor: duckdb.DuckDBPyConnection, sql: str) -> int:
    return int(cursor.execute(sql).fetchall()[0][0])
