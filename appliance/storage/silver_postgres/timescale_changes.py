"""Rows in the columnstore removed and changed: where its batches have to be taken apart, and where not.

The columnstore holds about a thousand rows in one of its own; to delete one of them TimescaleDB first takes the batch
apart. Which batches, it tells by constants that are compared with columns whose bounds it keeps, ``_time`` and ``_seq``
among them: ``BETWEEN`` is looked up, ``= ANY`` and joins take every batch there is apart (decision 0023: 8 seconds for
three of three million rows). So what is scattered is removed by a few ranges.

``convert_to_rowstore`` would do the same for whole chunks, and must not be used: who reads on an older snapshot sees
neither what is there no more nor what is new, and misses the rows (it was tried). Taking batches apart is seen by
nobody before it is committed.
"""

from collections.abc import Sequence
from typing import Final

from appliance.domain.ids import PipelineId
from appliance.storage.silver_postgres import names
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.sql.ranges import ranges_of

_UNBOUNDED: Final = "SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction TO 0"
_WHERE: Final = """
SELECT DISTINCT _seq FROM {rows}
WHERE _seq BETWEEN %(least)s AND %(greatest)s AND _seq = ANY(%(seqs)s::bigint[]) ORDER BY 1
"""
# Nothing is updated: a batch is taken apart before its rows are looked at.
_TAKE_APART: Final = "UPDATE {rows} SET _item = _item WHERE random() < 0 AND _seq BETWEEN %(least)s AND %(greatest)s"
_ALL: Final = {"least": -(1 << 63), "greatest": (1 << 63) - 1}


def chunk_us(cursor: Cursor, pipeline_id: PipelineId, number: int) -> int | None:
    """Return how wide new chunks of a generation are; None: its rows are no hypertable."""
    asked = "SELECT chunk_us FROM _generations WHERE pipeline_id = %(id)s AND number = %(number)s"
    found = cursor.execute(asked, {"id": pipeline_id, "number": number}).fetchall()
    return found[0][0] if found else None


def unbounded(cursor: Cursor, pipeline_id: PipelineId, number: int) -> None:
    """Let statements of this transaction change as many rows of the columnstore as they will."""
    if chunk_us(cursor, pipeline_id, number) is not None:
        cursor.execute(_UNBOUNDED)


def take_apart(cursor: Cursor, pipeline_id: PipelineId, number: int, events: tuple[int, int] | None = None) -> None:
    """Take these events, None: all, out of the columnstore, with whatever else is in their batches.

    For what cannot work on it: rows that a common table expression deletes there are not found by it (it was tried),
    and rows are replaced by their keys, of whatever age they are.
    """
    if chunk_us(cursor, pipeline_id, number) is not None:
        cursor.execute(_UNBOUNDED)
        within = {"least": events[0], "greatest": events[1]} if events else _ALL
        cursor.execute(_TAKE_APART.format(**names.tables(pipeline_id, number)), within)


def ranges_to_remove(cursor: Cursor, pipeline_id: PipelineId, number: int, seqs: Sequence[int]) -> list[dict[str, int]]:
    """Return ``least`` and ``greatest`` of the ranges in which rows of these events are to be removed.

    One after the other; together they have all rows of theirs. In a plain table it is one.
    """
    if not seqs:
        return []
    whole = {"least": min(seqs), "greatest": max(seqs)}
    if chunk_us(cursor, pipeline_id, number) is None:
        return [whole]
    cursor.execute(_UNBOUNDED)
    values = {**whole, "seqs": list(seqs)}
    found = [seq for (seq,) in cursor.execute(_WHERE.format(**names.tables(pipeline_id, number)), values)]
    return [{"least": first, "greatest": last} for first, last in ranges_of(found)] if found else []
