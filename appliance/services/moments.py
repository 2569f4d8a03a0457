"""Instants as people write them in a question: RFC 3339, or relative to now."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from appliance.domain.quantity import parse_duration

_RELATIVE: Final = re.compile(r"now(?:\s*([+-])\s*(\S.*))?")
_WANTED: Final = "a time such as '2026-01-31T12:00:00Z' or 'now-1h'"


def parse_moment(text: str, now: datetime) -> datetime:
    """Return the instant (UTC) that ``text`` names; ``now-1h30m`` is relative to ``now``.

    Raises:
        ValueError: not such a text, without a zone, or out of range; the message says what was expected.
    """
    try:
        return _read(text.strip(), now)
    except OverflowError:
        raise ValueError(f"expected {_WANTED}, got {text[:100]!r} which lies outside the years 1 to 9999") from None


def _read(text: str, now: datetime) -> datetime:
    if relative := _RELATIVE.fullmatch(text):
        sign, length = relative[1], relative[2]
        distance = parse_duration(length) if length else timedelta()
        return now - distance if sign == "-" else now + distance
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expected {_WANTED}, got {text[:100]!r}") from None
    if moment.tzinfo is None:
        raise ValueError(f"expected {_WANTED}, got {text[:100]!r} without a time zone")
    return moment.astimezone(UTC)
