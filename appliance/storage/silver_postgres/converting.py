"""Rows carried into columns that are of another type now, converted by DuckDB on the way.

What a value becomes, and what is told of one that becomes nothing, is then the same whatever database keeps the rows;
and PostgreSQL has no cast that answers null instead of failing.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import duckdb
import pyarrow as pa

from appliance.components.arrow import ARROW_TYPES, INSTANT
from appliance.domain.mapping import FieldType
from appliance.storage.silver_postgres import names
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.copying import copy
from appliance.storage.silver_postgres.fetched import array
from appliance.storage.sql.carried import carried
from appliance.storage.sql.dialect import DuckDb
from appliance.storage.sql.scope import SYSTEM_FIELDS
from appliance.storage.sql.source import Stored, physical_name
from appliance.storage.sql.variants import extra_with_variants

_AT_ONCE: Final = 20_000
_OWN: Final = {
    "_time": INSTANT, "_seq": pa.int64(), "_item": pa.int32(), "_key": pa.binary(16), "_extra": pa.string(),
}  # fmt: skip
_READ: Final = """
SELECT _time, _seq, _item, uuid_send(_key), _extra{columns} FROM {rows}
WHERE _seq > %(before)s AND _seq < %(first_seq)s ORDER BY _seq, _item
"""
_DIALECT: Final = DuckDb()


def copy_converted(cursor: Cursor, found: Stored, columns: Stored, own: Mapping[str, Any]) -> None:
    """Copy rows from the generation ``own["live"]``, which has ``found``, into ``own["number"]``, with ``columns``."""
    values = list(carried(found, columns, _DIALECT))
    told = [f"{_DIALECT.render(one.value)} AS {_quoted(one.name)}" for one in values]
    selected = ", ".join(["_time", "_seq", "_item", "_key", f"{extra_with_variants(values)} AS _extra", *told])
    types = {**_OWN, **{one.name: ARROW_TYPES[columns[one.name][-1]] for one in values}}
    targets = [*_OWN, *(physical_name(one.name, columns[one.name]) for one in values)]
    into = f"{names.tables(own['id'], own['number'])['rows']} ({names.columns(targets)})"
    with duckdb.connect(":memory:", config={"threads": 1, "enable_external_access": False}) as converter:
        for part in _parts(cursor, found, own):
            converter.register("part", part)
            made = converter.sql(f"SELECT {selected} FROM ({_typed(found)})").to_arrow_table()  # noqa: S608 - a tree's
            copy(cursor, into, made.cast(pa.schema(list(types.items()))))
            converter.unregister("part")


def _parts(cursor: Cursor, found: Stored, own: Mapping[str, Any]) -> Iterator[pa.Table]:
    """Yield the rows, each with every column that its value may be in."""
    physical = _physical(found)
    shown = "".join(f", {names.column(name)}" for name in physical)
    statement = _READ.format(columns=shown, rows=names.tables(own["id"], own["live"])["rows"])
    schema = pa.schema([*_OWN.items(), *((name, ARROW_TYPES[kind]) for name, kind in physical.items())])
    with cursor.connection.cursor("carried", binary=True) as reading:
        reading.execute(statement, own)
        while rows := reading.fetchmany(_AT_ONCE):
            values: Sequence[Sequence[Any]] = list(zip(*rows, strict=True))
            arrays = [array(column, field.type) for column, field in zip(values, schema, strict=True)]
            yield pa.Table.from_arrays(arrays, schema=schema)


def _physical(stored: Stored) -> dict[str, FieldType]:
    """Return every column there is of rows, under the names that ``value_of`` reads, with its type."""
    return {
        physical_name(name, types[: place + 1]): kind
        for name, types in stored.items()
        if name not in SYSTEM_FIELDS
        for place, kind in enumerate(types)
    }


def _typed(stored: Stored) -> str:
    """Return the query that reads a part, with JSON as what it is: Arrow carries it as text."""
    json = [name for name, kind in _physical(stored).items() if kind is FieldType.JSON]
    replaced = ", ".join(f"CAST({_quoted(name)} AS JSON) AS {_quoted(name)}" for name in json)
    return f"SELECT * REPLACE ({replaced}) FROM part" if json else "FROM part"  # noqa: S608 - quoted


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
