"""Tables become bytes, a few megabytes at a time."""

from collections.abc import Iterable, Iterator
from typing import Final, assert_never

import pyarrow as pa

from appliance.components.rows import HIDDEN
from appliance.storage.export.columnar import arrow_pieces, parquet_pieces
from appliance.storage.export.csv_text import csv_pieces
from appliance.storage.export.formats import Format
from appliance.storage.export.json_text import json_pieces, ndjson_pieces

_PIECE_BYTES: Final = 4 << 20
_PIECE_ROWS: Final = 20_000


def export(rows: pa.Table, media_type: str) -> Iterator[bytes]:
    """Return the pieces of a file with ``rows``, without the columns that are Dash's own business.

    Instants are RFC 3339 in UTC with six places in text formats; decimals are numbers with all their digits; columns of
    type JSON (as their field's metadata says, and ``_extra``) are embedded in JSON and text elsewhere; numbers that are
    not finite become null. Blocking; work is done piece by piece as they are taken.

    Raises:
        UnsupportedMedia: no such format.
    """
    return export_pages([rows], rows.schema, Format.of(media_type))


def export_as(pages: Iterable[pa.Table], schema: pa.Schema, media_type: str) -> Iterator[bytes]:
    """``export_pages``, the format named by its media type. Raises UnsupportedMedia."""
    return export_pages(pages, schema, Format.of(media_type))


def export_pages(pages: Iterable[pa.Table], schema: pa.Schema, format: Format) -> Iterator[bytes]:
    """Return the pieces of one file with all ``pages``, which have ``schema``; see ``export``."""
    shown = pa.schema([field for field in schema if field.name not in HIDDEN])
    slices = (piece for page in pages for piece in _slices(page.select(shown.names)))
    match format:
        case Format.JSON:
            return json_pieces(slices, shown)
        case Format.NDJSON:
            return ndjson_pieces(slices, shown)
        case Format.CSV:
            return csv_pieces(slices, shown)
        case Format.PARQUET:
            return parquet_pieces(slices, shown)
        case Format.ARROW:
            return arrow_pieces(slices, shown)
        case _:
            assert_never(format)


def _slices(page: pa.Table) -> Iterator[pa.Table]:
    if page.num_rows == 0:
        return
    a_row = max(1, page.nbytes // page.num_rows)
    step = max(1, min(_PIECE_ROWS, _PIECE_BYTES // a_row))
    for start in range(0, page.num_rows, step):
        yield page.slice(start, step)
