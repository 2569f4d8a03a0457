"""In-memory DuckDB that reaches nothing on the machine: no files, no extensions, no configuration, no environment."""

import functools

import duckdb

_lent: list[duckdb.DuckDBPyConnection] = []  # at most one


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


def lend(connection: duckdb.DuckDBPyConnection) -> None:
    """Let ``result_types`` ask this database, which is there anyway: one more would cost 4 MB."""
    _lent[:] = [connection]


def _session() -> duckdb.DuckDBPyConnection:
    try:
        return _lent[0].cursor()
    except (IndexError, duckdb.ConnectionException):  # none was lent, or its owner has closed it
        return _own().cursor()


@functools.cache
def _own() -> duckdb.DuckDBPyConnection:
    return connect(threads=1, memory_limit="64MB")


def result_types(selection: str, names: dict[str, str]) -> list[str]:
    """Return DuckDB's types of the columns that ``selection`` gives, over columns ``names`` (SQL name → SQL type).

    Nothing is read: this is how a wrong argument type, a broken regular expression or time format is found before the
    first event.

    Raises:
        duckdb.Error: DuckDB does not accept ``selection``.
    """
    columns = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in names.items()) or "1"
    with _session() as cursor:
        described = cursor.execute(f"DESCRIBE SELECT {selection} FROM (SELECT {columns})")  # noqa: S608 - checked
        return [str(row[1]) for row in described.fetchall()]
