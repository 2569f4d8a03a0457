"""Large answers a column at a time: the server puts the values of each behind each other, here they are only turned.

A row of Python objects for each record takes nearly three times as long and holds the interpreter all the while. The
order of the answer is that of the query inside, whose rows the aggregates take as they come.

Source: the send functions of each type in PostgreSQL's source: the highest byte first; instants in µs from 2000-01-01.
"""

import array
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from appliance.storage.silver_postgres import names
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.sql.statement import Statement

_EPOCH_US: Final = 946_684_800_000_000
_FIXED: Final = (
    "string_agg(coalesce({send}({name}), '\\x{null}'), ''), string_agg(boolsend({name} IS NOT NULL), ''), count({name})"
)
_TEXT: Final = (
    "string_agg(textsend({name}::text), ''),"
    " string_agg(int4send(coalesce(octet_length({name}::text), -1)), ''), count({name})"
)


class _Sent(NamedTuple):
    """How a type of one width is sent: by which function, and what its bytes are once the first is the lowest."""

    function: str
    code: str  # of the module array
    held: pa.DataType


_SENT: Final = {
    pa.int64(): _Sent("int8send", "q", pa.int64()),
    pa.int32(): _Sent("int4send", "i", pa.int32()),
    pa.float64(): _Sent("float8send", "q", pa.float64()),
    pa.bool_(): _Sent("boolsend", "b", pa.int8()),
    pa.timestamp("us", "UTC"): _Sent("timestamptz_send", "q", pa.int64()),
}


def as_schema(cursor: Cursor, statement: Statement, schema: pa.Schema) -> pa.Table:
    """Return the answer with the columns of ``schema``, whose names the statement's are."""
    selected = ", ".join(_selected(field) for field in schema)
    sql = f"SELECT count(*), {selected} FROM ({statement.sql}) AS answer"  # noqa: S608 - a statement with names quoted
    with cursor.connection.cursor(binary=True) as asked:
        count, *told = asked.execute(sql, statement.values).fetchall()[0]
    if not count:
        return schema.empty_table()
    return pa.Table.from_arrays(list(_columns(count, told, schema)), schema=schema)


def _selected(field: pa.Field) -> str:
    sent, name = _SENT.get(field.type), names.quoted(field.name)
    if sent is None:
        return _TEXT.format(name=name)
    width = array.array(sent.code).itemsize
    return _FIXED.format(send=sent.function, null="00" * width, name=name)


def _columns(count: int, told: list[Any], schema: pa.Schema) -> Iterator[pa.Array]:
    for place, field in enumerate(schema):
        body, beside, there = told[3 * place : 3 * place + 3]
        sent = _SENT.get(field.type)
        if sent is None:
            text = _texts(count, body or b"", _turned(beside, "i"), there)
            yield text if field.type == pa.string() else text.cast(field.type)
        else:
            column = _fixed(count, sent, body, field.type)
            yield column if there == count else _with_nulls(column, beside)


def _fixed(count: int, sent: _Sent, body: bytes, kind: pa.DataType) -> pa.Array:
    held = pa.Array.from_buffers(sent.held, count, [None, _turned(body, sent.code)])
    if pa.types.is_timestamp(kind):
        held = pc.add(held, _EPOCH_US)
    return held.cast(kind)


def _with_nulls(column: pa.Array, there: bytes) -> pa.Array:
    valid = pa.Array.from_buffers(pa.int8(), len(column), [None, pa.py_buffer(there)]).cast(pa.bool_())
    return pc.if_else(valid, column, pa.scalar(None, column.type))


def _texts(count: int, body: bytes, sizes: pa.Buffer, there: int) -> pa.Array:
    lengths = pa.Array.from_buffers(pa.int32(), count, [None, sizes])
    valid = None
    if there < count:
        valid = pc.greater_equal(lengths, 0).buffers()[1]
        lengths = pc.max_element_wise(lengths, pa.scalar(0, pa.int32()))
    ends = pc.cumulative_sum(lengths).cast(pa.int32())
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    return pa.Array.from_buffers(pa.string(), count, [valid, offsets.buffers()[1], pa.py_buffer(body)])


def _turned(body: bytes, code: str) -> pa.Buffer:
    numbers = array.array(code, body)
    if numbers.itemsize > 1:
        numbers.byteswap()
    return pa.py_buffer(numbers)
