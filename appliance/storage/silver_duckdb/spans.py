"""The ledger by day and version: spans of consecutive events, kept in the transaction that changes rows or progress.

What holds at the end of every transaction: of each generation the spans lie end to end, without gaps between them, and
their sums are its progress.
"""

from datetime import date
from typing import Any, Final

import duckdb
import msgspec

from appliance.components.generations import Span
from appliance.components.silver import Batch
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.storage.silver_duckdb.schema import quoted
from appliance.storage.sql.shares import shared_out
from appliance.storage.sql.source import dead_table, rows_table

_GROW: Final = """
UPDATE _spans SET last_seq = $last{counts}
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
_AT: Final = """
SELECT first_seq, filtered, duplicate, gone, dead_gone FROM _spans
WHERE pipeline_id = $id AND generation = $number AND first_seq < $at AND last_seq >= $at
"""
_SHOWN: Final = """
SELECT (SELECT count(*) FROM (SELECT _seq FROM {rows} WHERE _seq BETWEEN $first AND $at - 1
                              EXCEPT SELECT seq FROM {dead} WHERE seq BETWEEN $first AND $at - 1)),
       (SELECT count(DISTINCT seq) FROM {dead} WHERE seq BETWEEN $first AND $at - 1)
"""
_CUT: Final = """
INSERT INTO _spans BY NAME SELECT * REPLACE ($at AS first_seq, stored - $stored AS stored,
    filtered - $filtered AS filtered, duplicate - $duplicate AS duplicate, dead - $dead AS dead, gone - $gone AS gone,
    dead_gone - $dead_gone AS dead_gone)
FROM _spans WHERE pipeline_id = $id AND generation = $number AND first_seq = $first
"""
_SHORTEN: Final = """
UPDATE _spans SET last_seq = $at - 1, stored = $stored, filtered = $filtered, duplicate = $duplicate, dead = $dead,
    gone = $gone, dead_gone = $dead_gone
WHERE pipeline_id = $id AND generation = $number AND first_seq = $first
"""
_EXCHANGE: Final = """
UPDATE _spans SET generation = CASE generation WHEN $one THEN $other ELSE $one END
WHERE pipeline_id = $id AND generation IN ($one, $other) AND first_seq >= $first AND last_seq <= $last
"""
_SUM_UP: Final = """
UPDATE _progress SET stored = sums.stored, filtered = sums.filtered, duplicate = sums.duplicate, dead = sums.dead,
    updated_at = now()
FROM (SELECT coalesce(sum(stored), 0)::BIGINT AS stored, coalesce(sum(filtered), 0)::BIGINT AS filtered,
             coalesce(sum(duplicate), 0)::BIGINT AS duplicate, coalesce(sum(dead), 0)::BIGINT AS dead
      FROM _spans WHERE pipeline_id = $id AND generation = $number) AS sums
WHERE pipeline_id = $id AND generation = $number
"""
_READ: Final = """
SELECT first_seq, last_seq, day, version, stored, filtered, duplicate, dead, gone FROM _spans
WHERE pipeline_id = $id AND generation = $number ORDER BY first_seq
"""


def add(cursor: duckdb.DuckDBPyConnection, batch: Batch, number: int, outcome: Outcome) -> None:
    """Add the batch's events, of which ``outcome`` became, to the last span, or begin another one."""
    own = {"id": batch.table.pipeline_id, "number": number, "day": batch.day, "version": batch.version}
    own |= {"before": batch.first_seq - 1, "last": batch.last_seq}
    counts, values = raised(outcome)
    if cursor.execute(_GROW.format(counts=counts), own | values).fetchall()[0][0] == 0:
        cursor.execute(_APPEND, own | msgspec.structs.asdict(outcome))


def raised(outcome: Outcome) -> tuple[str, dict[str, Any]]:
    """Return SQL that adds ``outcome`` to the columns of that name, and its values.

    Only what is not zero: a column more in an UPDATE is 0.1 ms more of a commit of one row.
    """
    changed = {name: count for name, count in msgspec.structs.asdict(outcome).items() if count}
    return "".join(f", {name} = {name} + ${name}" for name in changed), changed


def lose(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, number: int, lost: str) -> None:
    """Count stored events as duplicate. ``lost``: a registered view with their ``seq``, each once."""
    cursor.execute(_DUPLICATE.format(lost=lost), {"id": pipeline_id, "number": number})


def cut(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, number: int, at: int) -> None:
    """Make a span begin at event ``at``, where one goes across it.

    Rows and dead letters tell which events are stored or dead on either side. What left nothing behind is filtered,
    duplicate or removed by retention: where the span has only one of these kinds the cut is exact, else they are
    shared out in proportion; the two sides together always are what the span was.
    """
    own = {"id": pipeline_id, "number": number}
    found = cursor.execute(_AT, {**own, "at": at}).fetchall()
    if not found:
        return
    first, *untold = found[0]
    names = {"rows": quoted(rows_table(pipeline_id, number)), "dead": quoted(dead_table(pipeline_id, number))}
    place = {"first": first, "at": at}
    stored, dead = cursor.execute(_SHOWN.format(**names), place).fetchall()[0]
    filtered, duplicate, gone, dead_gone = shared_out(at - first - stored - dead, untold)
    told = {"stored": stored + gone, "filtered": filtered, "duplicate": duplicate, "dead": dead + dead_gone}
    values = {**own, **place, **told, "gone": gone, "dead_gone": dead_gone}
    cursor.execute(_CUT, values)
    cursor.execute(_SHORTEN, values)


def exchange(
    cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, pair: tuple[int, int], stretch: tuple[int, int]
) -> None:
    """Exchange between two generations the spans within ``stretch``, at whose ends spans begin and end."""
    values = {"id": pipeline_id, "one": pair[0], "other": pair[1], "first": stretch[0], "last": stretch[1]}
    cursor.execute(_EXCHANGE, values)


def sum_up(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, number: int) -> None:
    """Make progress the sum of the spans, where they were changed otherwise than by a commit."""
    cursor.execute(_SUM_UP, {"id": pipeline_id, "number": number})


def read(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, number: int) -> list[Span]:
    """Return the spans of a generation, oldest first."""
    found = cursor.execute(_READ, {"id": pipeline_id, "number": number}).fetchall()
    return [Span(first, last, _told(day), *counts) for first, last, day, *counts in found]


def _told(day: date) -> str:
    return day.isoformat()
