"""Rows and dead letters that retention removes. The ledger goes on counting them: each span knows how many are gone."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import duckdb

from appliance.components.silver import Table
from appliance.storage.silver_duckdb import gold
from appliance.storage.silver_duckdb.journal import micros
from appliance.storage.silver_duckdb.schema import quoted
from appliance.storage.silver_duckdb.transaction import transaction
from appliance.storage.silver_duckdb.views import views
from appliance.storage.sql.source import dead_table, rows_table

_ANY_EVENT: Final = (1 << 63) - 1
_OLD_ROWS: Final = "SELECT count(*), max(_item) > 0 FROM {rows} WHERE _time < $before AND _seq <= $up_to"
_DELETE_ROWS: Final = "DELETE FROM {rows} WHERE _time < $before AND _seq <= $up_to"
# An event that keeps a row is not gone. Rows lie in the order of events and nearly of time: those that stay, of the
# events up to the last one concerned, are few.
_ROWS_GONE: Final = """
SELECT {distinct} _seq AS seq FROM {rows} WHERE _time < $before AND _seq <= $up_to
AND _seq NOT IN (SELECT _seq FROM {rows} WHERE _time >= $before
    AND _seq <= (SELECT max(_seq) FROM {rows} WHERE _time < $before AND _seq <= $up_to))
AND _seq NOT IN (SELECT seq FROM {dead})
"""
# Letters of an event that keeps a row stay with it, or the row would look like one of a stored event.
_LETTERS_GONE: Final = """
SELECT DISTINCT seq FROM {dead} WHERE received_at < $before AND seq <= $up_to
EXCEPT SELECT _seq FROM {rows} WHERE _seq IN (SELECT seq FROM {dead} WHERE received_at < $before)
"""
_DELETE_LETTERS: Final = "DELETE FROM {dead} WHERE seq IN (SELECT seq FROM letters_gone)"
_COUNT: Final = """
UPDATE _spans SET {count} = {count} + lost.events FROM (
    SELECT first_seq, count(*) AS events FROM ({going}) AS going
    ASOF JOIN (FROM _spans WHERE pipeline_id = $id AND generation = $number) AS span ON going.seq >= span.first_seq
    GROUP BY first_seq) AS lost
WHERE pipeline_id = $id AND generation = $number AND _spans.first_seq = lost.first_seq
"""
_AMENDED: Final = """
SELECT seq FROM _amended WHERE pipeline_id = $id AND generation = $number
AND (seq IN (SELECT _seq FROM {rows} WHERE _time < $before AND _seq <= $up_to)
    OR seq IN (SELECT seq FROM {dead} WHERE received_at < $before AND seq <= $up_to))
"""
# What an event was is forgotten with what is left of it, or when nobody can mean to amend it once more.
_FORGET: Final = """
DELETE FROM _amended WHERE pipeline_id = $id AND generation = $number AND (amended_at < $before
    OR seq IN (SELECT seq FROM amended_before EXCEPT SELECT seq FROM {dead}
               EXCEPT SELECT _seq FROM {rows} WHERE _seq IN (SELECT seq FROM amended_before)))
"""
_FORGET_UNREAD: Final = """
DELETE FROM _amendments WHERE pipeline_id = $id AND number < $micros
AND (seq, item) NOT IN (SELECT (_seq, _item) FROM {rows} WHERE _seq IN (SELECT seq FROM _amendments))
"""


def trim(
    cursor: duckdb.DuckDBPyConnection, table: Table, number: int, before: datetime, up_to: int | None = None
) -> int:
    """See ``Upkeep.trim``; in one transaction. Return how many rows were removed."""
    names = {
        "rows": quoted(rows_table(table.pipeline_id, number)),
        "dead": quoted(dead_table(table.pipeline_id, number)),
    }
    own = {"id": table.pipeline_id, "number": number}
    bounds = {"before": before, "up_to": _ANY_EVENT if up_to is None else up_to}
    with transaction(cursor):
        amended = cursor.sql(_AMENDED.format(**names), params={**own, **bounds}).to_arrow_table()
        rows, exploded = cursor.execute(_OLD_ROWS.format(**names), bounds).fetchall()[0]
        if rows:
            gold.trim(cursor, table, number, before, up_to)
            going = _ROWS_GONE.format(**names, distinct="DISTINCT" if exploded else "")
            cursor.execute(_COUNT.format(count="gone", going=going), {**own, **bounds})
            cursor.execute(_DELETE_ROWS.format(**names), bounds)
        _trim_letters(cursor, names, own, bounds)
        with views(cursor, {"amended_before": amended}):
            cursor.execute(_FORGET.format(**names), {**own, "before": before})
        cursor.execute(_FORGET_UNREAD.format(**names), {"id": table.pipeline_id, "micros": micros(before)})
    return int(rows)


def _trim_letters(
    cursor: duckdb.DuckDBPyConnection, names: Mapping[str, str], own: Mapping[str, Any], bounds: Mapping[str, Any]
) -> None:
    going = cursor.sql(_LETTERS_GONE.format(**names), params=dict(bounds)).to_arrow_table()
    if not going.num_rows:
        return
    with views(cursor, {"letters_gone": going}):
        cursor.execute(_COUNT.format(count="dead_gone", going="SELECT seq FROM letters_gone"), dict(own))
        cursor.execute(_DELETE_LETTERS.format(**names))
