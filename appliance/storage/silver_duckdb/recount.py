"""The ledger counted again from the rows themselves."""

from typing import Final

import duckdb

from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.storage.silver_duckdb.commit import read_progress
from appliance.storage.silver_duckdb.schema import quoted
from appliance.storage.sql.source import dead_table, rows_table

_COUNTS: Final = """
SELECT (SELECT count(*) FROM (SELECT _seq FROM {rows} EXCEPT SELECT seq FROM {dead})) + gone,
       (SELECT count(DISTINCT seq) FROM {dead}) + dead_gone, total
FROM (SELECT coalesce(sum(gone), 0)::BIGINT AS gone, coalesce(sum(dead_gone), 0)::BIGINT AS dead_gone,
             coalesce(sum(last_seq - first_seq + 1), 0)::BIGINT AS total
      FROM _spans WHERE pipeline_id = $id AND generation = $number)
"""


def recount(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, number: int) -> Outcome:
    """Return the outcome as the rows and dead letters tell it, of one snapshot.

    ``filtered`` leaves no row to count and is taken as recorded, and so is what retention has removed; ``duplicate`` is
    what remains of the events refined.
    """
    cursor.execute("BEGIN")
    try:
        progress = read_progress(cursor, pipeline_id, number)
        if progress is None:
            return Outcome()
        names = {"rows": quoted(rows_table(pipeline_id, number)), "dead": quoted(dead_table(pipeline_id, number))}
        own = {"id": pipeline_id, "number": number}
        stored, dead, total = cursor.execute(_COUNTS.format(**names), own).fetchall()[0]
    finally:
        cursor.execute("ROLLBACK")
    filtered = progress.outcome.filtered
    return Outcome(stored, filtered, duplicate=total - stored - filtered - dead, dead=dead)
