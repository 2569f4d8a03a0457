"""What the database answers, as Arrow tables."""

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from psycopg.postgres import types

from appliance.components.arrow import INSTANT
from appliance.storage.silver_postgres import by_column
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.sql.statement import Statement

_KINDS: Final[dict[int, pa.DataType]] = {
    **{types[name].oid: pa.int64() for name in ("int2", "int4", "int8")},
    **{types[name].oid: pa.float64() for name in ("float4", "float8")},
    **{types[name].oid: pa.string() for name in ("text", "varchar", "json")},
    types["bool"].oid: pa.bool_(),
    types["timestamptz"].oid: INSTANT,
}
_EPOCH_US: Final = 946_684_800_000_000  # 2000-01-01, from which PostgreSQL counts
_MANY: Final = 2_000  # rows; below, it takes longer to ask by column


def as_schema(cursor: Cursor, statement: Statement, schema: pa.Schema, most: int = 0) -> pa.Table:
    """Return the answer with the columns of ``schema``, whose names and order the statement's are.

    ``most``: about how many rows at most.
    """
    if most > _MANY:
        return by_column.as_schema(cursor, statement, schema)
    columns, _ = _asked(cursor, statement)
    arrays = [array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def as_it_comes(cursor: Cursor, statement: Statement, names: Sequence[str]) -> pa.Table:
    """Return the answer with columns of these names, in its order: the server cuts off names that are too long."""
    columns, kinds = _asked(cursor, statement)
    arrays = [
        _whole(values) if kind is None else array(values, kind) for values, kind in zip(columns, kinds, strict=True)
    ]
    return pa.Table.from_arrays(arrays, names=list(names))


def array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return values of a binary cursor, where instants are numbers (``connections``), as Arrow has them."""
    if not pa.types.is_timestamp(kind):
        return pa.array(values, kind)
    return pc.add(pa.array(values, pa.int64()), _EPOCH_US).cast(kind)


def _asked(cursor: Cursor, statement: Statement) -> tuple[list[Sequence[Any]], list[pa.DataType | None]]:
    """Return the answer's columns, and of what type each is; None: NUMERIC, of which only whole numbers come."""
    with cursor.connection.cursor(binary=True) as asked:
        rows = asked.execute(statement.sql, statement.values).fetchall()
        kinds = [_KINDS.get(column.type_code) for column in asked.description or ()]
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * len(kinds)
    return columns, kinds


def _whole(values: Sequence[Any]) -> pa.Array:
    """Return whole numbers: exact where all of them fit into 64 bits, else as floats."""
    try:
        return pa.array([None if value is None else int(value) for value in values], pa.int64())
    except OverflowError:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
