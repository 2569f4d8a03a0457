"""Every table of one database copied into another, empty one, and proved to be the same."""

from collections.abc import Callable
from typing import Final

import duckdb

from appliance.errors import FatalError
from appliance.storage.silver_duckdb.schema import quoted

_CHUNK: Final = 122_880  # rows handed over at once: what DuckDB puts into one row group
_TABLES: Final = """
SELECT table_name, sql, (SELECT list(column_name) FROM duckdb_columns() AS c
    WHERE c.table_oid = t.table_oid AND c.database_oid = t.database_oid AND data_type = 'UUID')
FROM duckdb_tables() AS t WHERE NOT internal AND NOT temporary ORDER BY table_name
"""
_OTHERS: Final = """
SELECT view_name FROM duckdb_views() WHERE NOT internal UNION ALL SELECT index_name FROM duckdb_indexes()
UNION ALL SELECT sequence_name FROM duckdb_sequences()
"""


def copy_tables(
    source: duckdb.DuckDBPyConnection, target: duckdb.DuckDBPyConnection, go_on: Callable[[], None]
) -> None:
    """Copy all tables of ``source``, in the order in which their rows lie. ``go_on`` is asked between two of them.

    Raises:
        FatalError: there is something else than tables, or a copy differs; duckdb.Error: reading or writing failed.
    """
    if others := source.execute(_OTHERS).fetchall():
        raise FatalError(
            f"Rewriting the row store: expected nothing but tables, got {others[0][0]!r}.",
            hint="the file is as it was; report this with the support bundle",
        )
    target.execute("BEGIN")  # one transaction: many small tables would each wait for the disk
    for table, statement, uuids in source.execute(_TABLES).fetchall():
        go_on()
        target.execute(statement)
        _copy(source, target, table, uuids or [])
        if _digest(source, table) != _digest(target, table):
            raise FatalError(
                f"Rewriting the row store: the copy of {table!r} is not the same.",
                hint="the file is as it was; report this with the support bundle",
            )
    target.execute("COMMIT")


def _copy(source: duckdb.DuckDBPyConnection, target: duckdb.DuckDBPyConnection, table: str, uuids: list[str]) -> None:
    # Arrow would carry a UUID as text of 36 characters: twice the time for a keyed table
    reader = source.sql(f"SELECT {_cast(uuids, 'BLOB')} FROM {quoted(table)}").to_arrow_reader(_CHUNK)  # noqa: S608
    target.register("incoming", reader)
    try:
        target.execute(f"INSERT INTO {quoted(table)} SELECT {_cast(uuids, 'UUID')} FROM incoming")  # noqa: S608
    finally:
        target.unregister("incoming")
        reader.close()


def _cast(columns: list[str], kind: str) -> str:
    casts = ", ".join(f"{quoted(column)}::{kind} AS {quoted(column)}" for column in columns)
    return f"* REPLACE ({casts})" if casts else "*"


def _digest(of: duckdb.DuckDBPyConnection, table: str) -> tuple[int, int | None]:
    """Return the number of rows and a sum over all their values."""
    found = of.execute(f"SELECT count(*), sum(hash(r)) FROM {quoted(table)} AS r").fetchall()  # noqa: S608 - quoted
    return found[0][0], found[0][1]
