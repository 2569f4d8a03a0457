"""Events erased: their rows, dead letters and what was counted of them, in one generation after the other."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from appliance.components.silver import Table
from appliance.storage.silver_duckdb import gold, journal, outcomes
from appliance.storage.silver_duckdb.schema import quoted
from appliance.storage.silver_duckdb.transaction import transaction
from appliance.storage.silver_duckdb.views import views
from appliance.storage.sql.source import dead_table, rows_table

_ERASED: Final = 0  # a version that never is
_UNSEEN: Final = "DELETE FROM _amendments WHERE pipeline_id = $id AND seq IN (SELECT seq FROM changed)"
_TOUCHED: Final = "SELECT _time FROM {rows} WHERE _seq IN (SELECT seq FROM changed)"
_REMOVE: Final = (
    "DELETE FROM {rows} WHERE _seq IN (SELECT seq FROM changed)",
    "DELETE FROM {dead} WHERE seq IN (SELECT seq FROM changed)",
)


def erase(
    cursor: duckdb.DuckDBPyConnection, table: Table, numbers: Sequence[int], seqs: Sequence[int], now: datetime
) -> None:
    """See ``Upkeep.erase``; in one transaction for all generations ``numbers``."""
    erased = pa.table({"seq": pa.array(seqs, pa.int64()), "becomes": pa.repeat("filtered", len(seqs))})
    with transaction(cursor):
        for number in numbers:
            _erase(cursor, table, number, erased, now)
        with views(cursor, {"changed": erased}):
            cursor.execute(_UNSEEN, {"id": table.pipeline_id})


def _erase(cursor: duckdb.DuckDBPyConnection, table: Table, number: int, erased: pa.Table, now: datetime) -> None:
    names = {
        "rows": quoted(rows_table(table.pipeline_id, number)),
        "dead": quoted(dead_table(table.pipeline_id, number)),
    }
    with views(cursor, {"changed": erased}):
        former = outcomes.former(cursor, table.pipeline_id, number)
        touched = cursor.sql(_TOUCHED.format(**names)).to_arrow_table()
        for statement in _REMOVE:
            cursor.execute(statement.format(**names))
    known = former.filter(pc.is_valid(former["was"]))
    outcomes.move(cursor, table.pipeline_id, number, known)
    with views(cursor, {"changed": known}):
        journal.remember(cursor, table.pipeline_id, number, _ERASED, now)
    if not table.rollups:  # then a former generation's, if there are any, cannot be kept right
        gold.drop(cursor, table.pipeline_id, number)
        return
    with views(cursor, {"touched_rows": touched}):
        gold.recompute(cursor, table, number, "touched_rows")
