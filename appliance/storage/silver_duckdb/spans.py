"""The ledger by day and version: spans of consecutive events, kept in the transaction that changes rows or progress.

What holds at the end of every transaction: of each generation the spans lie end to end, without gaps between them, and
their sums are its progress.
"""

from datetime import date
from typing import Final

import duckdb
import msgspec

from appliance.components.generations import Span
from appliance.components.silver import Batch
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome

_GROW: Final = """
UPDATE _spans SET last_seq = $last, stored = stored + $stored, filtered = filtered + $filtered,
    duplicate = duplicate + $duplicate, dead = dead + $dead
WHERE pipeline_id = $id AND generation = $number AND last_seq = $before AND day = $day AND version = $version
"""
_APPEND: Final = """
INSERT INTO _spans VALUES ($id, $number, $before + 1, $last, $day, $version, $stored, $filtered, $duplicate, $dead,
    0, 0)
"""
_DUPLICATE: Final = """
UPDATE _spans SET stored = stored - moved.events, duplicate = duplicate + moved.events
FROM (SELECT first_seq, count(*) AS events FROM {lost} JOIN _spans ON seq BETWEEN first_seq AND last_seq
      WHERE pipeline_id = $id AND generation = $number GROUP BY first_seq) AS moved
WHERE pipeline_id = $id AND generation = $number AND _spans.first_seq = moved.first_seq
"""
_READ: Final = """
SELECT first_seq, last_seq, day, version, stored, filtered, duplicate, dead, gone FROM _spans
WHERE pipeline_id = $id AND generation = $number ORDER BY first_seq
"""


def add(cursor: duckdb.DuckDBPyConnection, batch: Batch, number: int, outcome: Outcome) -> None:
    """Add the batch's events, of which ``outcome`` became, to the last span, or begin another one."""
    values = {
        "id": batch.table.pipeline_id,
        "number": number,
        "before": batch.first_seq - 1,
        "last": batch.last_seq,
        "day": batch.day,
        "version": batch.version,
        **msgspec.structs.asdict(outcome),
    }
    if cursor.execute(_GROW, values).fetchall()[0][0] == 0:
        cursor.execute(_APPEND, values)


def lose(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, number: int, lost: str) -> None:
    """Count stored events as duplicate. ``lost``: a registered view with their ``seq``, each once."""
    cursor.execute(_DUPLICATE.format(lost=lost), {"id": pipeline_id, "number": number})


def read(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, number: int) -> list[Span]:
    """Return the spans of a generation, oldest first."""
    found = cursor.execute(_READ, {"id": pipeline_id, "number": number}).fetchall()
    return [Span(first, last, _told(day), *counts) for first, last, day, *counts in found]


def _told(day: date) -> str:
    return day.isoformat()
