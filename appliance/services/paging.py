"""Lists by page: opaque cursors and bounded limits."""

import base64
import binascii
from typing import Any, Final

import msgspec

from appliance.errors import Invalid, Problem

MAX_ITEMS: Final = 500


def cursor_of(place: list[Any]) -> str:
    """Return ``place`` (JSON values, or instants) as a text fit for a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def place_of(cursor: str, type_: Any = tuple[str]) -> Any:
    """Return what ``cursor_of`` was given, as a ``type_``.

    Raises:
        Invalid: not a cursor of this kind of list.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=type_)
    except (ValueError, UnicodeError, binascii.Error, msgspec.DecodeError, RecursionError) as error:
        told = Problem("/cursor", "the cursor is not one of this list", "leave it out to start at the beginning")
        raise Invalid([told]) from error


def bounded(limit: int, most: int = MAX_ITEMS) -> int:
    """Return ``limit``.

    Raises:
        Invalid: not between 1 and ``most``.
    """
    if not 1 <= limit <= most:
        raise Invalid([Problem("/limit", f"expected between 1 and {most}, got {limit}")])
    return limit
