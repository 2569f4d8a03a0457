"""CSV: a header, commas, text in quotes. A null is an empty cell, an empty text is ``""``."""

import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv


def csv_pieces(slices: Iterator[pa.Table], schema: pa.Schema) -> Iterator[bytes]:
    """Return a CSV file in UTF-8, lines ending in a line feed."""
    yield _written(schema.empty_table(), header=True)
    for piece in slices:
        yield _written(piece, header=False)


def _written(rows: pa.Table, *, header: bool) -> bytes:
    columns = [_as_text(rows.column(place)) for place in range(rows.num_columns)]
    sink = io.BytesIO()
    options = pyarrow.csv.WriteOptions(include_header=header, quoting_style="needed")
    pyarrow.csv.write_csv(pa.table(columns, names=rows.column_names), sink, options)
    return sink.getvalue()


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column.cast(pa.timestamp("us", "UTC")), format="%Y-%m-%dT%H:%M:%SZ")
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_finite(column), column, None)
    return column.cast(pa.string()) if pa.types.is_decimal(column.type) else column
