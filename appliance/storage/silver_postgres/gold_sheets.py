"""The tables that rollups are kept in: which there are, how they are made, and their rows put in and taken out."""

from collections.abc import Sequence
from typing import Any, Final

import psycopg
from sqlglot import exp

from appliance.components.silver import Column
from appliance.domain.mapping import FieldType
from appliance.storage.sql.gold import BIN, Op, Sheet, State
from appliance.storage.sql.postgresql import PostgreSql, beginning, quoted
from appliance.storage.sql.source import ALIAS
from appliance.storage.sql.statement import name

Cursor = psycopg.Cursor[tuple[Any, ...]]

DIALECT: Final = PostgreSql()  # tables are found by the search path, which each transaction sets
_EXISTING: Final = """
SELECT relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = current_schema() AND relkind IN ('r', 'p') AND starts_with(relname, %(prefix)s)
"""
_LOCKED: Final = "SELECT {how}(hashtextextended(current_schema() || '/' || %(prefix)s, 0))"
# A sum of integers of 64 bits needs more of them; the numbers of rows do not.
_SUMS: Final = {FieldType.INTEGER: "NUMERIC(38,0)", FieldType.FLOAT: "DOUBLE PRECISION"}
_TYPES: Final = {
    Op.ROWS: "BIGINT", Op.SEQ: "BIGINT", Op.COUNT: "BIGINT", Op.REST: "DOUBLE PRECISION", Op.PLACE: 'TEXT COLLATE "C"',
}  # fmt: skip


def existing(cursor: Cursor, prefix: str) -> set[str]:
    """Return the names of sheets that begin with ``prefix``."""
    return {row[0] for row in cursor.execute(_EXISTING, {"prefix": prefix}).fetchall()}


def lock(cursor: Cursor, prefix: str) -> None:
    """Wait until nobody else takes rows out of the sheets that begin with ``prefix``, and keep others from it.

    Until the transaction ends; by itself it may be taken again. Who only adds rows neither waits nor is waited for.
    """
    cursor.execute(_LOCKED.format(how="pg_advisory_xact_lock"), {"prefix": prefix})


def try_lock(cursor: Cursor, prefix: str) -> bool:
    """Do as ``lock`` and return true; return false where it would have to wait."""
    found = cursor.execute(_LOCKED.format(how="pg_try_advisory_xact_lock"), {"prefix": prefix}).fetchall()
    return bool(found[0][0])


def create(cursor: Cursor, sheet: Sheet) -> None:
    """Make a sheet, empty."""
    columns = [f"{quoted(key.name)} {DIALECT.column_type(key.type)}" for key in sheet.keys]
    columns += [f"{quoted(state.name)} {_type(state)}" for state in sheet.states]
    typed = ", ".join(("_time TIMESTAMPTZ NOT NULL", "_part INTEGER NOT NULL", *columns))
    cursor.execute(f"CREATE TABLE {quoted(sheet.name)} ({typed})")
    cursor.execute(f"CREATE INDEX ON {quoted(sheet.name)} (_time)")
    for key in sheet.keys:
        if key != BIN:
            cursor.execute(f"CREATE INDEX ON {quoted(sheet.name)} ({_indexed(key)}, _time)")


def remove(cursor: Cursor, sheet_name: str) -> None:
    cursor.execute(f"DROP TABLE IF EXISTS {quoted(sheet_name)}")


def read(table: str) -> exp.Expr:
    """Return what to select from, to read ``table`` as ``r``."""
    return DIALECT.table(table, ALIAS)


def columns(sheet: Sheet) -> list[str]:
    """Return the names of the columns, in the order in which ``gold_partials`` selects them."""
    return ["_time", "_part", *(key.name for key in sheet.keys), *(state.name for state in sheet.states)]


def inserting(sheet: Sheet, selected: Sequence[exp.Query]) -> str:
    """Return the statement that puts into ``sheet`` what each of ``selected`` answers, in the order of ``columns``."""
    named = ", ".join(map(quoted, columns(sheet)))
    rows = " UNION ALL ".join(DIALECT.render(one) for one in selected)
    return f"INSERT INTO {quoted(sheet.name)} ({named}) {rows}"


def deleting(sheet: Sheet, *conditions: exp.Expr) -> str:
    """Return the statement that takes out of ``sheet``, read as ``r``, the rows for which all ``conditions`` hold."""
    told = DIALECT.render(exp.and_(*conditions))
    return f"DELETE FROM {quoted(sheet.name)} AS {quoted(ALIAS)} WHERE {told}"  # noqa: S608 - a tree's SQL


def replacing(sheet: Sheet, gone: Sequence[exp.Expr], selected: Sequence[exp.Query]) -> str:
    """Return one statement that does as ``deleting`` and ``inserting``.

    Both see the same moment: a commit that becomes visible meanwhile is neither taken out nor counted. In two
    statements it might be counted, after what it had counted itself was not seen.
    """
    return f"WITH gone AS ({deleting(sheet, *gone)}) {inserting(sheet, selected)} {_in_order(sheet)}"


def updating(sheet: Sheet, field: str, value: int, *conditions: exp.Expr) -> str:
    """Return the statement that sets ``field`` in the rows of ``sheet``, read as ``r``, for which all hold."""
    told = DIALECT.render(exp.and_(*conditions))
    return f"UPDATE {quoted(sheet.name)} AS {quoted(ALIAS)} SET {quoted(field)} = {value} WHERE {told}"  # noqa: S608


def merging(sheet: Sheet, gone: Sequence[exp.Expr], merged: exp.Select) -> str:
    """Return the statement that takes out rows and puts in what ``merged``, which reads ``gone``, makes of them.

    So it is exactly what was taken out that is added up, whatever others add meanwhile.
    """
    taken = f"{deleting(sheet, *gone)} RETURNING {quoted(ALIAS)}.*"
    return f"WITH gone AS ({taken}) {inserting(sheet, [merged])} {_in_order(sheet)}"


def named(alias: str) -> exp.Expr:
    """Return what to select from, to read the common table ``alias`` as ``r``."""
    return exp.Table(this=name(alias), alias=exp.TableAlias(this=name(ALIAS)))


def _in_order(sheet: Sheet) -> str:
    """Return how many rows are put in: a chart of one group then reads a few pages, not one for every point."""
    return f"ORDER BY {', '.join(str(columns(sheet).index(one) + 1) for one in sheet.order)}"


def _indexed(key: Column) -> str:
    """Return what of a group is in an index; see ``PostgreSql.looked_up``."""
    told = exp.column(name(key.name))
    return DIALECT.render(beginning(told) if key.type is FieldType.STRING else told)


def _type(state: State) -> str:
    if state.field is None or state.op in _TYPES:
        return _TYPES[state.op]
    if state.op is Op.SUM:
        return _SUMS.get(state.field.type, DIALECT.column_type(state.field.type))
    return DIALECT.column_type(state.field.type)
