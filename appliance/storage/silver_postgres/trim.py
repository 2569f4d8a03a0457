"""Rows and dead letters that retention removes. The ledger goes on counting them: each span knows how many are gone."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from appliance.components.silver import Table
from appliance.storage.silver_postgres import gold, names, periods, timescale_trim
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.journal import Stretch, micros

_OLD_ROWS: Final = """
SELECT count(*), coalesce(max(_item) > 0, false), coalesce(max(_seq), 0) FROM {rows}
WHERE _time < %(before)s AND _seq BETWEEN %(first)s AND %(up_to)s
"""
_DELETE_ROWS: Final = "DELETE FROM {rows} WHERE _time < %(before)s AND _seq BETWEEN %(first)s AND %(up_to)s"
# An event that keeps a row is not gone. Rows lie in the order of events and nearly of time: those that stay, of the
# events up to the last one concerned, are few.
_ROWS_GONE: Final = """
SELECT {distinct} _seq AS seq FROM {rows} AS r WHERE _time < %(before)s AND _seq BETWEEN %(first)s AND %(up_to)s
AND NOT EXISTS (SELECT FROM {rows} AS k
    WHERE k._seq = r._seq AND k._time >= %(before)s AND k._seq BETWEEN %(first)s AND %(last)s)
AND NOT EXISTS (SELECT FROM {dead} AS d WHERE d.seq = r._seq)
"""
# Letters of an event that keeps a row stay with it, or the row would look like one of a stored event.
_LETTERS_GONE: Final = """
CREATE TEMP TABLE letters_gone ON COMMIT DROP AS
SELECT DISTINCT seq FROM {dead} AS d WHERE received_at < %(before)s AND seq BETWEEN %(first)s AND %(up_to)s
AND NOT EXISTS (SELECT FROM {rows} AS r WHERE r._seq = d.seq)
"""
_DELETE_LETTERS: Final = "DELETE FROM {dead} WHERE seq IN (SELECT seq FROM letters_gone)"
_FIRSTS: Final = """
SELECT first_seq FROM _spans WHERE pipeline_id = %(id)s AND generation = %(number)s ORDER BY first_seq
"""
_BY_SPAN: Final = """
SELECT width_bucket(seq, %(firsts)s::bigint[]), count(*) FROM ({going}) AS going GROUP BY 1
"""
_COUNT: Final = """
UPDATE _spans SET {count} = {count} + lost.events
FROM unnest(%(lost_firsts)s::bigint[], %(events)s::bigint[]) AS lost(first, events)
WHERE pipeline_id = %(id)s AND generation = %(number)s AND first_seq = lost.first
"""
_AMENDED: Final = """
CREATE TEMP TABLE amended_before ON COMMIT DROP AS
SELECT seq FROM _amended AS a WHERE pipeline_id = %(id)s AND generation = %(number)s
AND (EXISTS (SELECT FROM {rows} WHERE _seq = a.seq AND _time < %(before)s AND _seq BETWEEN %(first)s AND %(up_to)s)
    OR EXISTS (SELECT FROM {dead} AS d
        WHERE d.seq = a.seq AND received_at < %(before)s AND d.seq BETWEEN %(first)s AND %(up_to)s))
"""
# What an event was is forgotten with what is left of it, or when nobody can mean to amend it once more.
_FORGET: Final = """
DELETE FROM _amended AS a WHERE pipeline_id = %(id)s AND generation = %(number)s AND (amended_at < %(before)s
    OR (seq IN (SELECT seq FROM amended_before) AND NOT EXISTS (SELECT FROM {dead} AS d WHERE d.seq = a.seq)
        AND NOT EXISTS (SELECT FROM {rows} WHERE _seq = a.seq)))
"""
_FORGET_UNREAD: Final = """
DELETE FROM _amendments AS a WHERE pipeline_id = %(id)s AND number < %(micros)s
AND NOT EXISTS (SELECT FROM {rows} WHERE _seq = a.seq AND _item = a.item)
"""


def trim(cursor: Cursor, table: Table, number: int, before: datetime, events: Stretch) -> int:
    """See ``Upkeep.trim``; inside the transaction under way. Return how many rows were removed.

    ``events``: the first and the last whose rows may go; of one partition.
    """
    named = names.tables(table.pipeline_id, number)
    own: dict[str, Any] = {"id": table.pipeline_id, "number": number, "before": before}
    own["first"], own["up_to"] = events
    cursor.execute(_AMENDED.format(**named), own)
    rows, exploded, last = cursor.execute(_OLD_ROWS.format(**named), own).fetchall()[0]
    if rows:
        gold.trim(cursor, table, number, before, events)
        going = _ROWS_GONE.format(**named, distinct="DISTINCT" if exploded else "")
        _count(cursor, "gone", going, {**own, "last": last})
        periods.drop_before(cursor, table.pipeline_id, number, before, events)
        timescale_trim.drop_before(cursor, table.pipeline_id, number, before, events)
        cursor.execute(_DELETE_ROWS.format(**named), own)
    cursor.execute(_LETTERS_GONE.format(**named), own)
    _count(cursor, "dead_gone", "SELECT seq FROM letters_gone", own)
    for statement in (_DELETE_LETTERS, _FORGET, _FORGET_UNREAD):
        cursor.execute(statement.format(**named), {**own, "micros": micros(before)})
    cursor.execute("DROP TABLE letters_gone, amended_before")
    return int(rows)


def _count(cursor: Cursor, count: str, going: str, values: Mapping[str, Any]) -> None:
    """Count the events that ``going`` selects in the spans that they are in."""
    firsts = [first for (first,) in cursor.execute(_FIRSTS, values)]
    found = cursor.execute(_BY_SPAN.format(going=going), {**values, "firsts": firsts}).fetchall()
    lost = {"lost_firsts": [firsts[place - 1] for place, _ in found], "events": [events for _, events in found]}
    if found:
        cursor.execute(_COUNT.format(count=count), {**values, **lost})
