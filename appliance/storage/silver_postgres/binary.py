"""Arrow columns in PostgreSQL's binary formats, a column at a time: no step of Python for a record.

Every value is written as it is sent: its length (four bytes, the highest first), then its bytes; null is the length -1.
What a row is, is the columns' values joined.

Source: the PostgreSQL manual, COPY, "Binary Format"; the send functions of each type in PostgreSQL's source.
"""

import array
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from psycopg.adapt import Dumper
from psycopg.pq import Format

from appliance.components.arrow import INSTANT
from appliance.storage.silver_postgres.gathered import MOST_ROWS, Numbers, Values, gathered

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"
UNSTORABLE: Final = "\0"  # PostgreSQL's text has every character but this one
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"

ROWS_AT_ONCE: Final = MOST_ROWS  # the server parses one part while the next is written
_ROWS_AT_FIRST: Final = 1_000
_BYTES_AT_ONCE: Final = 64 << 20
_NULL: Final = b"\xff\xff\xff\xff"
_EPOCH_US: Final = 946_684_800_000_000  # 2000-01-01, from which PostgreSQL counts
_TRUE, _FALSE = b"\0\0\0\1\1", b"\0\0\0\1\0"
_GROUPS: Final = 11  # of four decimal digits: 8 before the point, 3 after it
_DIGITS: Final = 41  # 38 of a decimal, and the first three of the zeros before them
_NUMERIC: Final = (34 - 4, _GROUPS, _GROUPS - 4)  # length, groups, weight of the first group
_ARRAY_OF_ONE_DIMENSION: Final = 1

UUID_OID: Final = 2950


def rows(table: pa.Table) -> Iterator[memoryview]:
    """Yield the rows of ``table`` for COPY … (FORMAT binary), without header and trailer, a part at a time.

    ``_key`` is written as uuid. U+0000 in text becomes U+FFFD: it is a character that PostgreSQL cannot store.
    """
    width = pa.scalar(table.num_columns.to_bytes(2, "big"))
    at_once = max(1, min(ROWS_AT_ONCE, table.num_rows * _BYTES_AT_ONCE // max(1, table.nbytes)))
    parts = (table.slice(first, last - first) for first, last in _bounds(table.num_rows, at_once))
    for part in parts:
        columns = _written([_whole(column) for column in part.columns], part.num_rows)
        joined = pc.binary_join_element_wise(width, *columns, b"")
        yield memoryview(joined.buffers()[2])


def _bounds(count: int, at_once: int) -> Iterator[tuple[int, int]]:
    """Yield where parts begin and end: the first is small, for the server has nothing to do until it is there."""
    first, last = 0, min(count, _ROWS_AT_FIRST, at_once)
    while first < last:
        yield first, last
        first, last = last, min(count, last + at_once)


def of_one_width(kind: pa.DataType) -> bool:
    """Return whether all values of a type take as many bytes: such columns next to each other are sent at less cost."""
    return kind in _BODIES


def _written(columns: Sequence[pa.Array], count: int) -> Iterator[pa.Array]:
    """Yield what, joined, is the columns' values, each with its length before it."""
    together = groupby(columns, lambda column: of_one_width(column.type) and column.null_count == 0)
    for fixed, run in together:
        if fixed:
            yield from gathered([Values(_width(one.type), _BODIES[one.type](one)) for one in run], count)
        else:
            yield from map(values, run)


def values(column: pa.Array) -> pa.Array:
    """Return each value with its length before it, as binary."""
    if column.null_count == len(column):
        return pa.repeat(pa.scalar(_NULL), len(column))
    kind = column.type
    for fits, write in _WRITERS:
        if fits(kind):
            written: pa.Array = write(column)
            return written
    raise TypeError(f"there is no way to send {kind} to PostgreSQL")


class BinaryArray:
    """An array as a parameter, made of an Arrow column without nulls; cast it in SQL: ``%(x)s::uuid[]``.

    ``oid``: of the elements' type.
    """

    def __init__(self, column: pa.ChunkedArray, oid: int) -> None:
        sizes = (_ARRAY_OF_ONE_DIMENSION, 0, oid, len(column), 1) if len(column) else (0, 0, oid)
        head = b"".join(size.to_bytes(4, "big") for size in sizes)
        self.sent = head + (bytes(memoryview(values(_whole(column)).buffers()[2])) if len(column) else b"")


class BinaryArrayDumper(Dumper):
    """Hands a BinaryArray to the server as it is."""

    format = Format.BINARY

    def dump(self, obj: Any) -> bytes:
        sent: bytes = obj.sent
        return sent


def _width(kind: pa.DataType) -> int:
    return int(kind.bit_width) // 8


def _whole(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _prefixed(column: pa.Array, fixed: pa.Array) -> pa.Array:
    """Return ``fixed`` (of one width) with lengths before, and null where ``column`` is null."""
    length = pa.scalar(fixed.type.byte_width.to_bytes(4, "big"))
    return _or_null(column, pc.binary_join_element_wise(length, fixed.cast(pa.binary()), b""))


def _or_null(column: pa.Array, written: pa.Array) -> pa.Array:
    return written if column.null_count == 0 else pc.if_else(pc.is_valid(column), written, pa.scalar(_NULL))


def _swapped(column: pa.Array, code: str) -> pa.Array:
    """Return numbers with the highest byte first. ``code``: of the module array, for what they are in memory."""
    numbers = _turned(column, code)
    return pa.Array.from_buffers(pa.binary(numbers.itemsize), len(column), [None, pa.py_buffer(numbers)])


def _turned(column: pa.Array, code: str) -> Numbers:
    numbers = array.array(code)
    numbers.frombytes(_held(column, numbers.itemsize))
    numbers.byteswap()
    return numbers


def _held(column: pa.Array, width: int) -> memoryview:
    """Return the values of ``column`` as they are in memory, each of ``width`` bytes."""
    start = column.offset * width
    return memoryview(column.buffers()[1])[start : start + len(column) * width]


def _numbers(code: str) -> Callable[[pa.Array], pa.Array]:
    return lambda column: _prefixed(column, _swapped(column, code))


def _floats(column: pa.Array) -> pa.Array:
    """By their bits, so that nothing of them changes, infinite and not-a-number included."""
    bits = pa.Array.from_buffers(pa.int64(), len(column), [None, column.buffers()[1]], offset=column.offset)
    return _prefixed(column, _swapped(bits, "q"))


def _instants(column: pa.Array) -> pa.Array:
    return _prefixed(column, _swapped(_since(column), "q"))


def _since(column: pa.Array) -> pa.Array:
    return pc.subtract(column.cast(pa.int64()), _EPOCH_US)


def _booleans(column: pa.Array) -> pa.Array:
    return pc.if_else(column, pa.scalar(_TRUE), pa.scalar(_FALSE)).fill_null(_NULL)


def _texts(column: pa.Array) -> pa.Array:
    if b"\0" in _told(column):
        column = pc.replace_substring(column, UNSTORABLE, REPLACEMENT)
    body = column.cast(pa.binary())
    lengths = pc.binary_length(body).fill_null(-1).cast(pa.int32())
    return pc.binary_join_element_wise(_swapped(lengths, "i").cast(pa.binary()), body.fill_null(b""), b"")


def _told(column: pa.Array) -> bytes:
    """Return the text of all values, one behind the other: a copy, which ``in`` looks through much faster than ``re``.

    Of a slice that is the slice's own, however long the column is that it is cut from.
    """
    _, offsets, text = column.buffers()
    if text is None:
        return b""
    first, last = (struct.unpack_from("=i", offsets, 4 * (column.offset + place))[0] for place in (0, len(column)))
    return bytes(memoryview(text)[first:last])


def _keys(column: pa.Array) -> pa.Array:
    return _prefixed(column, column.fill_null(bytes(16)))


def _decimals(column: pa.Array) -> pa.Array:
    """In groups of four digits, the point between two of them; PostgreSQL takes zeros before and after off again."""
    unscaled = pa.Array.from_buffers(pa.decimal128(38), len(column), column.buffers(), offset=column.offset).fill_null(
        0
    )
    digits = pc.utf8_lpad(pc.abs(unscaled).cast(pa.string()), _DIGITS, "0")
    digits = pc.binary_join_element_wise(digits, "000", "")  # nine places after the point become twelve
    flat = pa.Array.from_buffers(pa.binary(4), len(column) * _GROUPS, [None, digits.buffers()[2]])
    groups = _swapped(flat.cast(pa.binary()).cast(pa.string()).cast(pa.int16()), "h")
    body = pa.Array.from_buffers(pa.binary(2 * _GROUPS), len(column), [None, groups.buffers()[1]])
    length, count, weight = _NUMERIC
    head = length.to_bytes(4, "big") + count.to_bytes(2, "big") + weight.to_bytes(2, "big")
    negative = pc.less(unscaled, 0)
    heads = pc.if_else(negative, pa.scalar(head + b"\x40\x00\x00\x09"), pa.scalar(head + b"\x00\x00\x00\x09"))
    return _or_null(column, pc.binary_join_element_wise(heads, body.cast(pa.binary()), b""))


_BODIES: Final[Mapping[pa.DataType, Callable[[pa.Array], Numbers | memoryview]]] = {
    INSTANT: lambda column: _turned(_since(column), "q"),
    pa.int64(): lambda column: _turned(column, "q"),
    pa.int32(): lambda column: _turned(column, "i"),
    pa.float64(): lambda column: _turned(column, "q"),  # by their bits
    pa.binary(16): lambda column: _held(column, 16),
}
_WRITERS: Final[Iterable[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], pa.Array]]]] = (
    (pa.types.is_timestamp, _instants),
    (pa.types.is_int64, _numbers("q")),
    (pa.types.is_int32, _numbers("i")),
    (pa.types.is_float64, _floats),
    (pa.types.is_string, _texts),
    (pa.types.is_boolean, _booleans),
    (pa.types.is_decimal128, _decimals),
    (pa.types.is_fixed_size_binary, _keys),
)
