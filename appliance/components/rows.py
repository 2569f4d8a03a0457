"""Rows as everybody outside sees them: in answers, exports and live feeds alike."""

from typing import Any

import msgspec
import pyarrow as pa

HIDDEN = ("_key", "_item")


def public_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return ``table`` as dicts without Dash's own columns; ``_extra`` and JSON columns stay JSON text there.

    Values: datetime (aware, UTC), Decimal, int, float, str, bool or None. For small tables: a step of Python a row.
    """
    rows: list[dict[str, Any]] = table.drop_columns([name for name in HIDDEN if name in table.column_names]).to_pylist()
    return rows


def encode_rows(rows: list[dict[str, Any]], json_columns: frozenset[str]) -> list[dict[str, Any]]:
    """Return ``rows`` ready for ``msgspec.json.encode``: JSON text becomes JSON, an empty ``_extra`` disappears."""
    ready = []
    for row in rows:
        shown = {
            name: msgspec.Raw(value.encode()) if name in json_columns and value is not None else value
            for name, value in row.items()
        }
        if shown.get("_extra", ...) is None:
            del shown["_extra"]
        ready.append(shown)
    return ready
