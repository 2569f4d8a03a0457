"""The same rows in DuckDB and in PostgreSQL, and what both answer to the same question."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
from psycopg.types.string import TextLoader

from appliance.components.arrow import ARROW_TYPES
from appliance.components.silver import Column, Table
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType
from appliance.storage.silver_postgres import binary
from appliance.storage.sql.dialect import Dialect, DuckDb
from appliance.storage.sql.postgresql import PostgreSql, quoted
from appliance.storage.sql.scope import SYSTEM_FIELDS
from appliance.storage.sql.source import Stored, physical_name, rows_of, rows_table, stored_columns
from appliance.storage.sql.statement import Statement

SCHEMA = "org_1"
ENGLISH = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"  # where text is not in the order of code points
Ask = Callable[[Any, Dialect], Statement]  # of the source of rows and a dialect


class BothDatabases:
    """``rows_…`` tables are made by the names that ``storage.sql.source`` gives; columns may have been widened."""

    def __init__(self, database_url: str) -> None:
        self.duckdb = duckdb.connect(":memory:", config={"threads": 1})
        self.duckdb.execute("SET TimeZone = 'UTC'")
        self.postgres = psycopg.connect(database_url, autocommit=True, options="-c timezone=UTC")
        self.postgres.adapters.register_loader("json", TextLoader)
        self.postgres.execute(f"CREATE SCHEMA {quoted(SCHEMA)}")
        self._made: dict[str, dict[str, FieldType]] = {}  # tables that are there, with which columns
        self.dialects: dict[str, Dialect] = {"duckdb": DuckDb(), "postgres": PostgreSql(SCHEMA)}

    def close(self) -> None:
        self.duckdb.close()
        self.postgres.close()

    def fill(self, table: Table, columns: dict[str, tuple[FieldType, ...]], rows: Sequence[dict[str, Any]]) -> None:
        """Make the table anew. ``columns``: the types each has had; ``rows``: values by name, of its types in turn.

        A row's value of a column that was widened is a pair: which of its types it has, and the value.
        """
        system = {name: (kind,) for name, kind in SYSTEM_FIELDS.items()}
        physical = {
            physical_name(name, types[: place + 1]): (name, place, kind)
            for name, types in (system | columns).items()
            for place, kind in enumerate(types)
        }
        typed = {one: pa.int32() if one == "_item" else ARROW_TYPES[kind] for one, (_, _, kind) in physical.items()}
        arrow = pa.table(
            {one: pa.array([_held(row, *physical[one][:2]) for row in rows], kind) for one, kind in typed.items()}
        )
        kinds = {one: kind for one, (_, _, kind) in physical.items()}
        self._into_duckdb(table, kinds, arrow)
        self._into_postgres(table, kinds, arrow)
        self._made[table.pipeline_id] = kinds
        self.stored = {
            own: stored_columns({dialect.physical(one).lower(): kind for one, kind in kinds.items()}, dialect)
            for own, dialect in self.dialects.items()
        }

    def ask(self, table: Table, ask: Ask) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """Return what both answer, in the types that readers get."""
        return self._of_duckdb(self._statement(table, ask, "duckdb")), self._of_postgres(
            self._statement(table, ask, "postgres")
        )

    def _statement(self, table: Table, ask: Ask, of: str) -> Statement:
        dialect = self.dialects[of]
        stored: Stored = self.stored[of]
        return ask(rows_of(table, stored, dialect), dialect)

    def _of_duckdb(self, statement: Statement) -> list[tuple[Any, ...]]:
        answer = self.duckdb.sql(statement.sql, params=statement.values).to_arrow_table()
        return [tuple(map(_plain, row.values())) for row in answer.to_pylist()]

    def _of_postgres(self, statement: Statement) -> list[tuple[Any, ...]]:
        with self.postgres.cursor() as cursor:
            cursor.execute(statement.sql, statement.values)
            return [tuple(map(_plain, row)) for row in cursor.fetchall()]

    def _into_duckdb(self, table: Table, kinds: dict[str, FieldType], arrow: pa.Table) -> None:
        name = quoted(rows_table(table.pipeline_id))
        typed = ", ".join(f"{quoted(one)} {_type(DuckDb(), one, kind)}" for one, kind in kinds.items())
        if self._made.get(table.pipeline_id) == kinds:
            self.duckdb.execute(f"TRUNCATE {name}")
        else:
            self.duckdb.execute(f"CREATE OR REPLACE TABLE {name} ({typed})")
        self.duckdb.register("arrow", arrow)
        self.duckdb.execute(f"INSERT INTO {name} SELECT * FROM arrow")

    def _into_postgres(self, table: Table, kinds: dict[str, FieldType], arrow: pa.Table) -> None:
        dialect = PostgreSql(SCHEMA)
        name = dialect.quoted(rows_table(table.pipeline_id))
        typed = ", ".join(
            f"{quoted(dialect.physical(one))} {_column_type(dialect, one, kind)}" for one, kind in kinds.items()
        )
        if self._made.get(table.pipeline_id) == kinds:
            self.postgres.execute(f"DELETE FROM {name}")
        else:
            self.postgres.execute(f"DROP TABLE IF EXISTS {name}")
            self.postgres.execute(f"CREATE TABLE {name} ({typed})")
        copy_into(self.postgres, name, arrow)


def copy_into(connection: psycopg.Connection[Any], name: str, arrow: pa.Table) -> None:
    """Put rows into a table, by position."""
    with connection.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN (FORMAT binary)") as copy:
        copy.write(binary.HEADER)
        for part in binary.rows(arrow):
            copy.write(part)
        copy.write(binary.TRAILER)


def table_of(columns: dict[str, FieldType], name: str = "pl_1") -> Table:
    return Table(PipelineId(name), tuple(Column(one, kind) for one, kind in columns.items()))


def agree(one: list[tuple[Any, ...]], other: list[tuple[Any, ...]], sizes: float = 0.0) -> bool:
    """Return whether both answers are the same; floats to rounding. ``sizes``: of the numbers they are sums of."""
    return len(one) == len(other) and all(
        len(left) == len(right) and all(_same(a, b, sizes) for a, b in zip(left, right, strict=True))
        for left, right in zip(one, other, strict=True)
    )


def _same(a: Any, b: Any, sizes: float) -> bool:
    if isinstance(a, float) and isinstance(b, float) and math.isfinite(a) and math.isfinite(b):
        return math.isclose(a, b, rel_tol=1e-12, abs_tol=sizes * 1e-14)
    return type(a) is type(b) and a == b


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal) and value == value.to_integral_value():  # of measures every one: see PostgreSql
        return int(value) if -(2**63) <= value < 2**63 else float(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return value


def _held(row: dict[str, Any], name: str, place: int) -> Any:
    value = row.get(name)
    if isinstance(value, tuple):
        return value[1] if value[0] == place else None
    return value if place == 0 else None


def _type(dialect: Dialect, name: str, kind: FieldType) -> str:
    return "INTEGER" if name == "_item" else dialect.type_name(kind)


def _column_type(dialect: PostgreSql, name: str, kind: FieldType) -> str:
    return "INTEGER" if name == "_item" else dialect.column_type(kind)
