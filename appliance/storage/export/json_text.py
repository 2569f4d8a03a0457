"""JSON and NDJSON."""

from collections.abc import Iterator

import pyarrow as pa

from appliance.components.json_lines import json_lines


def json_pieces(slices: Iterator[pa.Table], schema: pa.Schema) -> Iterator[bytes]:
    """Return one JSON array of objects."""
    opening = b"["
    for piece in slices:
        yield opening + json_lines(piece, schema, ",")[:-1]
        opening = b","
    yield b"[]" if opening == b"[" else b"]"


def ndjson_pieces(slices: Iterator[pa.Table], schema: pa.Schema) -> Iterator[bytes]:
    """Return one object a line."""
    for piece in slices:
        yield json_lines(piece, schema)
