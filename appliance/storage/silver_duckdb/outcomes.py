"""What became of single events, and the ledger moved with them when that changes.

Rows and dead letters tell of an event that is stored or dead. Of one without either the journal tells, if it was
amended, or else the counts of its span, where only one explanation is left.
"""

from typing import Final

import duckdb
import pyarrow as pa

from appliance.components.silver import Progress
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.storage.silver_duckdb.schema import quoted
from appliance.storage.sql.source import dead_table, rows_table

# ``changed``: a registered view of ``seq`` and what each ``becomes``. An event beyond the last span is in none.
_FORMER: Final = """
WITH span AS (SELECT * FROM _spans WHERE pipeline_id = $id AND generation = $number),
known AS (SELECT seq, outcome FROM _amended WHERE pipeline_id = $id AND generation = $number)
SELECT seq, becomes, first_seq, CASE
    WHEN seq IN (SELECT seq FROM {dead}) THEN 'dead'
    WHEN seq IN (SELECT _seq FROM {rows} WHERE _seq IN (SELECT seq FROM changed)) THEN 'stored'
    WHEN known.outcome IN ('stored', 'duplicate') THEN 'duplicate'
    WHEN known.outcome = 'filtered' THEN 'filtered'
    WHEN filtered > 0 AND duplicate + gone + dead_gone = 0 THEN 'filtered'
    WHEN duplicate > 0 AND filtered + gone + dead_gone = 0 THEN 'duplicate'
    WHEN gone > 0 AND filtered + duplicate + dead_gone = 0 THEN 'gone'
    WHEN dead_gone > 0 AND filtered + duplicate + gone = 0 THEN 'dead_gone'
END AS was
FROM changed ASOF JOIN span ON changed.seq >= span.first_seq LEFT JOIN known USING (seq)
WHERE changed.seq <= span.last_seq
"""
_MOVED: Final = """
WITH change AS (
    SELECT first_seq, becomes AS outcome, 1 AS events FROM moved
    UNION ALL
    SELECT first_seq, CASE was WHEN 'gone' THEN 'stored' WHEN 'dead_gone' THEN 'dead' ELSE was END, -1 FROM moved
    UNION ALL
    SELECT first_seq, was, -1 FROM moved WHERE was IN ('gone', 'dead_gone')
)
SELECT first_seq, {sums} FROM change GROUP BY first_seq
"""
_COUNTS: Final = ("stored", "filtered", "duplicate", "dead", "gone", "dead_gone")
_SUMS: Final = ", ".join(f"coalesce(sum(events) FILTER (outcome = '{one}'), 0)::BIGINT AS {one}" for one in _COUNTS)
_TOTAL: Final = """
SELECT coalesce(sum(stored), 0)::BIGINT, coalesce(sum(filtered), 0)::BIGINT, coalesce(sum(duplicate), 0)::BIGINT,
    coalesce(sum(dead), 0)::BIGINT FROM difference
"""
_SPANS: Final = """
UPDATE _spans SET stored = _spans.stored + d.stored, filtered = _spans.filtered + d.filtered,
    duplicate = _spans.duplicate + d.duplicate, dead = _spans.dead + d.dead, gone = _spans.gone + d.gone,
    dead_gone = _spans.dead_gone + d.dead_gone
FROM difference AS d WHERE pipeline_id = $id AND generation = $number AND _spans.first_seq = d.first_seq
"""
_PROGRESS: Final = """
UPDATE _progress SET stored = stored + $stored, filtered = filtered + $filtered, duplicate = duplicate + $duplicate,
    dead = dead + $dead, updated_at = now()
WHERE pipeline_id = $id AND generation = $number RETURNING seq, stored, filtered, duplicate, dead
"""


def former(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, number: int) -> pa.Table:
    """Return ``seq``, ``becomes``, ``first_seq`` (of its span) and what it ``was``, of the refined ones of ``changed``.

    ``was``: stored, filtered, duplicate, dead, gone (stored, and its rows removed since), dead_gone; null: not known.
    """
    names = {"rows": quoted(rows_table(pipeline_id, number)), "dead": quoted(dead_table(pipeline_id, number))}
    return cursor.sql(_FORMER.format(**names), params={"id": pipeline_id, "number": number}).to_arrow_table()


def move(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, number: int, moved: pa.Table) -> None:
    """Count the events of ``moved`` (as ``former`` answers, nothing null) as what they become."""
    cursor.register("moved", moved)
    difference = cursor.sql(_MOVED.format(sums=_SUMS)).to_arrow_table()
    cursor.unregister("moved")
    cursor.register("difference", difference)
    own = {"id": pipeline_id, "number": number}
    cursor.execute(_SPANS, own)
    add(cursor, pipeline_id, number, Outcome(*cursor.execute(_TOTAL).fetchall()[0]))
    cursor.unregister("difference")


def add(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, number: int, change: Outcome) -> Progress:
    """Add ``change`` to the progress of a generation, which stays where it is, and return it."""
    values = {"stored": change.stored, "filtered": change.filtered, "duplicate": change.duplicate, "dead": change.dead}
    found = cursor.execute(_PROGRESS, {"id": pipeline_id, "number": number, **values}).fetchall()[0]
    return Progress(found[0], Outcome(*found[1:]))
