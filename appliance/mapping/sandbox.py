"""In-memory DuckDB that reaches nothing on the machine: no files, no extensions, no configuration, no environment."""

import functools

import duckdb


def connect(threads: int, memory_limit: str) -> duckdb.DuckDBPyConnection:
    """Return a new locked in-memory database; its cursors are independent sessions of it, in UTC."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": threads,
            "memory_limit": memory_limit,
            "enable_external_access": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
            "temp_directory": "",
        },
    )
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET GLOBAL lock_configuration = true")
    return connection


@functools.cache
def _binder() -> duckdb.DuckDBPyConnection:
    return connect(threads=1, memory_limit="64MB")


def result_types(selection: str, names: dict[str, str]) -> list[str]:
    """Return DuckDB's types of the columns that ``selection`` gives, over columns ``names`` (SQL name → SQL type).

    Nothing is read: this is how a wrong argument type, a broken regular expression or time format is found before the
    first event.

    Raises:
        duckdb.Error: DuckDB does not accept ``selection``.
    """
    columns = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in names.items()) or "1"
    with _binder().cursor() as cursor:
        described = cursor.execute(f"DESCRIBE SELECT {selection} FROM (SELECT {columns})")  # noqa: S608 - checked
        return [str(row[1]) for row in described.fetchall()]
