"""The ledger counted again from the rows themselves."""

from typing import Final

import duckdb

from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.storage.silver_duckdb.commit import read_progress
from appliance.storage.silver_duckdb.schema import quoted
from appliance.storage.sql.source import dead_table, rows_table

_COUNTS: Final = """
SELECT (SELECT count(*) FROM (SELECT _seq FROM {rows} EXCEPT SELECT seq FROM {dead})),
       (SELECT count(DISTINCT seq) FROM {dead})
"""


def recount(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId) -> Outcome:
    """Return the outcome as the rows and dead letters tell it, of one snapshot.

    ``filtered`` leaves no row to count and is taken as recorded; ``duplicate`` is what remains of the events refined.
    """
    cursor.execute("BEGIN")
    try:
        progress = read_progress(cursor, pipeline_id)
        if progress is None:
            return Outcome()
        names = {"rows": quoted(rows_table(pipeline_id)), "dead": quoted(dead_table(pipeline_id))}
        stored, dead = cursor.execute(_COUNTS.format(**names)).fetchall()[0]
    finally:
        cursor.execute("ROLLBACK")
    filtered = progress.outcome.filtered
    return Outcome(stored, filtered, duplicate=progress.seq - stored - filtered - dead, dead=dead)
