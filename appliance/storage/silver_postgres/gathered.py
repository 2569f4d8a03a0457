"""Columns whose values are all of one width, put into rows by one gather: for a tenth of what joining each value costs.

All values of some columns lie behind each other as cells of four bytes, one column after the other, with the lengths
that precede each value in the first cells. Where each cell of a row lies is the same for all tables of one layout, so
that it is worked out once.
"""

import array
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    Numbers: TypeAlias = array.array[int]
else:
    Numbers: TypeAlias = array.array

MOST_ROWS: Final = 10_000  # of one gather
MOST_CELLS: Final = 64  # of a row: what is remembered of a layout grows with them
CELL: Final = 4  # bytes
_SIZES: Final = (4, 8, 16)  # of values, each a length of its own
_LENGTHS: Final = b"".join(size.to_bytes(CELL, "big") for size in _SIZES)


class Values(NamedTuple):
    """A column without nulls as it is sent. ``size``: of each value, in bytes."""

    size: int
    body: Numbers | memoryview


def gathered(columns: Sequence[Values], count: int) -> Iterator[pa.Array]:
    """Yield binary arrays that, joined, are ``columns`` row by row, each value behind its length.

    ``count``: of rows, at most MOST_ROWS.
    """
    for run in _runs(columns):
        padded: list[bytes | Numbers | memoryview] = [_LENGTHS]
        for column in run:
            padded += (column.body, bytes(column.size * (MOST_ROWS - count)))
        cells = pa.py_buffer(b"".join(padded))
        layout = tuple(column.size for column in run)
        width = sum(1 + size // CELL for size in layout)
        held = pa.Array.from_buffers(pa.int32(), cells.size // CELL, [None, cells])
        rows = pc.take(held, _places(layout).slice(0, width * count), boundscheck=False)
        yield pa.Array.from_buffers(pa.binary(width * CELL), count, [None, rows.buffers()[1]]).cast(pa.binary())


def _runs(columns: Sequence[Values]) -> Iterator[list[Values]]:
    run, cells = list[Values](), 0
    for column in columns:
        own = 1 + column.size // CELL
        if run and cells + own > MOST_CELLS:
            yield run
            run, cells = [], 0
        run.append(column)
        cells += own
    if run:
        yield run


@lru_cache(maxsize=8)
def _places(layout: tuple[int, ...]) -> pa.Array:
    """Return where each cell of MOST_ROWS rows lies, row after row."""
    widths = [size // CELL for size in layout]
    starts = accumulate((width * MOST_ROWS for width in widths), initial=len(_SIZES))
    first, step = array.array("i"), array.array("i")  # of a row: where its cells lie in the first, and how far apart
    for size, width, start in zip(layout, widths, starts, strict=False):
        first.extend([_SIZES.index(size), *range(start, start + width)])
        step.extend([0, *[width] * width])
    number = pc.divide(_numbers(array.array("i", [1]) * (len(first) * MOST_ROWS), summed=True), len(first))
    return pc.add(_numbers(first * MOST_ROWS), pc.multiply(_numbers(step * MOST_ROWS), number))


def _numbers(held: Numbers, *, summed: bool = False) -> pa.Array:
    """Return integers as Arrow has them; ``summed``: how many lie before each, where all are one."""
    numbers = pa.Array.from_buffers(pa.int32(), len(held), [None, pa.py_buffer(held)])
    return pc.subtract(pc.cumulative_sum(numbers), 1) if summed else numbers
