"""The tables that rollups are kept in: which there are, how they are made, and their rows put in and taken out."""

from typing import Final

import duckdb
from sqlglot import exp

from appliance.domain.mapping import FieldType
from appliance.storage.silver_duckdb.schema import quoted
from appliance.storage.sql.dialect import DuckDb
from appliance.storage.sql.gold import Op, Sheet, State
from appliance.storage.sql.source import ALIAS
from appliance.storage.sql.statement import integer, name

DIALECT: Final = DuckDb()
_EXISTING: Final = "SELECT table_name FROM duckdb_tables() WHERE starts_with(table_name, $prefix)"
_SUMS: Final = {FieldType.INTEGER: "HUGEINT", FieldType.FLOAT: "DOUBLE"}
_TYPES: Final = {Op.ROWS: "BIGINT", Op.SEQ: "BIGINT", Op.COUNT: "BIGINT", Op.REST: "DOUBLE", Op.PLACE: "HUGEINT"}


def existing(cursor: duckdb.DuckDBPyConnection, prefix: str) -> set[str]:
    """Return the names of sheets that begin with ``prefix``."""
    return {row[0] for row in cursor.execute(_EXISTING, {"prefix": prefix}).fetchall()}


def create(cursor: duckdb.DuckDBPyConnection, sheet: Sheet) -> None:
    """Make a sheet, empty."""
    columns = [f"{quoted(key.name)} {DIALECT.type_name(key.type)}" for key in sheet.keys]
    columns += [f"{quoted(state.name)} {_type(state)}" for state in sheet.states]
    typed = ", ".join(("_time TIMESTAMPTZ NOT NULL", "_part UTINYINT NOT NULL", *columns))
    cursor.execute(f"CREATE TABLE {quoted(sheet.name)} ({typed})")


def remove(cursor: duckdb.DuckDBPyConnection, sheet_name: str) -> None:
    cursor.execute(f"DROP TABLE {quoted(sheet_name)}")


def read(table: str) -> exp.Expr:
    """Return what to select from, to read ``table`` as ``r``."""
    return exp.Table(this=name(table), alias=exp.TableAlias(this=name(ALIAS)))


def instant(us: int) -> exp.Expr:
    """Return the moment so many microseconds after 1970-01-01 UTC."""
    return DIALECT.bucket_start(integer(us), 1)


def inserting(sheet: Sheet, selected: exp.Query) -> str:
    """Return the statement that puts into ``sheet`` what ``selected`` answers."""
    return f"INSERT INTO {quoted(sheet.name)} BY NAME {selected.sql(DIALECT.sqlglot_name)}"


def deleting(sheet: Sheet, *conditions: exp.Expr) -> str:
    """Return the statement that takes out of ``sheet``, read as ``r``, the rows for which all ``conditions`` hold."""
    told = exp.and_(*conditions).sql(DIALECT.sqlglot_name)
    return f"DELETE FROM {quoted(sheet.name)} AS {quoted(ALIAS)} WHERE {told}"  # noqa: S608 - a tree's SQL


def updating(sheet: Sheet, field: str, value: int, *conditions: exp.Expr) -> str:
    """Return the statement that sets ``field`` in the rows of ``sheet``, read as ``r``, for which all hold."""
    told = exp.and_(*conditions).sql(DIALECT.sqlglot_name)
    return f"UPDATE {quoted(sheet.name)} AS {quoted(ALIAS)} SET {quoted(field)} = {value} WHERE {told}"  # noqa: S608


def _type(state: State) -> str:
    if state.field is None or state.op in _TYPES:
        return _TYPES[state.op]
    if state.op is Op.SUM:
        return _SUMS.get(state.field.type, DIALECT.type_name(state.field.type))
    return DIALECT.type_name(state.field.type)
