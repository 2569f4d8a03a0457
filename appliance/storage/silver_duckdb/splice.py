"""A stretch of events exchanged between two generations: rows, dead letters, spans, and what follows from them."""

from collections.abc import Mapping
from typing import Final

import duckdb

from appliance.components.silver import Column, Progress, Table
from appliance.domain.ids import PipelineId
from appliance.errors import Conflict
from appliance.storage.silver_duckdb import gold, journal, spans, tables
from appliance.storage.silver_duckdb.commit import read_progress
from appliance.storage.silver_duckdb.schema import quoted
from appliance.storage.sql.dead_letters import DEAD_COLUMNS
from appliance.storage.sql.dialect import DuckDb
from appliance.storage.sql.scope import SYSTEM_FIELDS
from appliance.storage.sql.source import Stored, dead_table, physical_name, rows_table, value_of
from appliance.storage.sql.spliced import Aligned, Pair

_DIALECT: Final = DuckDb()
_OWN: Final = ("_time", "_seq", "_item", "_key", "_extra")
_WITHIN: Final = "BETWEEN $first AND $last"
_REACH: Final = """
SELECT min(seq), coalesce((SELECT max(begun) FROM (SELECT min(first_seq) AS begun FROM _spans
    WHERE pipeline_id = $id AND generation IN ($live, $other) GROUP BY generation)), 1)
FROM _progress WHERE pipeline_id = $id AND generation IN ($live, $other)
"""
_TOUCHED: Final = """
CREATE OR REPLACE TEMP TABLE spliced_times AS
SELECT _time FROM {one} WHERE _seq BETWEEN $first AND $last
UNION SELECT _time FROM {other} WHERE _seq BETWEEN $first AND $last
"""


def align(
    cursor: duckdb.DuckDBPyConnection, table: Table, pair: Pair, columns: Mapping[int, Stored]
) -> dict[int, Stored]:
    """Give both generations the columns of ``table`` and of each other, as wide as either; return them.

    Raises:
        Conflict: a column of one cannot be widened to what it is in the other.
    """
    live = tables.extend(cursor, table, pair.live, columns[pair.live])
    other = tables.extend(cursor, _table(table.pipeline_id, live), pair.other, columns[pair.other])
    live = tables.extend(cursor, _table(table.pipeline_id, other), pair.live, live)
    return {pair.live: live, pair.other: other}


def exchange(cursor: duckdb.DuckDBPyConnection, table: Table, pair: Pair, stretch: Aligned) -> Progress:
    """Exchange everything of the events of ``stretch``; return the live generation's progress.

    Raises:
        Conflict: one of them is not refined that far, or begins later.
    """
    pipeline_id = table.pipeline_id
    _check(cursor, pipeline_id, pair, stretch)
    if table.rollups:
        one, other = (quoted(rows_table(pipeline_id, number)) for number in pair)
        cursor.execute(_TOUCHED.format(one=one, other=other), stretch.bounds)
    for number in pair:  # while rows and dead letters still tell what became of the events on either side
        spans.cut(cursor, pipeline_id, number, stretch.first)
        spans.cut(cursor, pipeline_id, number, stretch.last + 1)
    _exchange_rows(cursor, pipeline_id, pair, stretch)
    _exchange_letters(cursor, pipeline_id, pair, stretch)
    journal.exchange(cursor, pipeline_id, pair, (stretch.first, stretch.last))
    spans.exchange(cursor, pipeline_id, pair, (stretch.first, stretch.last))
    for number in pair:
        spans.sum_up(cursor, pipeline_id, number)
        if table.rollups:
            gold.begin(cursor, table, number)
            gold.restore(cursor, table, number, stretch.first, stretch.last)
            gold.recompute(cursor, table, number, "spliced_times")
    return read_progress(cursor, pipeline_id, pair.live) or Progress()


def _check(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, pair: Pair, stretch: Aligned) -> None:
    own = {"id": pipeline_id, "live": pair.live, "other": pair.other}
    reached, begun = cursor.execute(_REACH, own).fetchall()[0]
    doing = f"Exchanging events {stretch.first} to {stretch.last} of {pipeline_id} with generation {pair.other}"
    if pair.live == pair.other:
        raise Conflict(f"{doing}: it is the live one; begin another.")
    if not begun <= stretch.first <= stretch.last <= reached:
        raise Conflict(f"{doing}: expected events within {begun} to {reached}, which both have; refine the rest first.")


def _exchange_rows(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, pair: Pair, stretch: Aligned) -> None:
    names = [name for name in stretch.stored[pair.live] if name not in SYSTEM_FIELDS]
    kept = ", ".join((*_OWN, *map(quoted, names)))
    live, other = pair
    sources = {number: _source(pipeline_id, number, names, stretch.stored) for number in pair}
    into = {number: _target(pipeline_id, number, names, stretch.stored) for number in pair}
    rows = {number: quoted(rows_table(pipeline_id, number)) for number in pair}
    bounds = stretch.bounds
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE spliced AS {sources[live]} WHERE _seq {_WITHIN}", bounds)
    cursor.execute(f"DELETE FROM {rows[live]} WHERE _seq {_WITHIN}", bounds)  # noqa: S608 - quoted
    cursor.execute(f"INSERT INTO {into[live]} {sources[other]} WHERE _seq {_WITHIN}", bounds)
    cursor.execute(f"DELETE FROM {rows[other]} WHERE _seq {_WITHIN}", bounds)  # noqa: S608 - quoted
    cursor.execute(f"INSERT INTO {into[other]} SELECT {kept} FROM spliced")  # noqa: S608 - quoted
    cursor.execute("DROP TABLE spliced")


def _source(pipeline_id: PipelineId, number: int, names: list[str], stored: Mapping[int, Stored]) -> str:
    types = stored[number]
    values = [value_of(name, types[name], types[name][-1], _DIALECT).sql(_DIALECT.sqlglot_name) for name in names]
    shown = [f"{value} AS {quoted(name)}" for value, name in zip(values, names, strict=True)]
    return f"SELECT {', '.join((*_OWN, *shown))} FROM {quoted(rows_table(pipeline_id, number))}"  # noqa: S608 - quoted


def _target(pipeline_id: PipelineId, number: int, names: list[str], stored: Mapping[int, Stored]) -> str:
    physical = [quoted(physical_name(name, stored[number][name])) for name in names]
    return f"{quoted(rows_table(pipeline_id, number))} ({', '.join((*_OWN, *physical))})"


def _exchange_letters(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, pair: Pair, stretch: Aligned) -> None:
    names = ", ".join(map(quoted, DEAD_COLUMNS))
    live, other = (quoted(dead_table(pipeline_id, number)) for number in pair)
    bounds = stretch.bounds
    chosen = f"SELECT {names} FROM {{}} WHERE seq {_WITHIN}"  # noqa: S608 - quoted
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE spliced AS {chosen.format(live)}", bounds)
    cursor.execute(f"DELETE FROM {live} WHERE seq {_WITHIN}", bounds)  # noqa: S608 - quoted
    cursor.execute(f"INSERT INTO {live} ({names}) {chosen.format(other)}", bounds)
    cursor.execute(f"DELETE FROM {other} WHERE seq {_WITHIN}", bounds)  # noqa: S608 - quoted
    cursor.execute(f"INSERT INTO {other} ({names}) SELECT {names} FROM spliced")  # noqa: S608 - quoted
    cursor.execute("DROP TABLE spliced")


def _table(pipeline_id: PipelineId, stored: Stored) -> Table:
    columns = tuple(Column(name, types[-1]) for name, types in stored.items() if name not in SYSTEM_FIELDS)
    return Table(pipeline_id, columns)
