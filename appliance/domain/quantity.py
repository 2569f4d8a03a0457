"""Durations and sizes as people write them: ``30s``, ``1h30m``, ``365d``, ``10 MiB``; and back again."""

import re
from datetime import timedelta
from typing import Annotated

from msgspec import Meta

# In a component's declaration: text that ``components.lint`` also checks with the parser of that quantity.
Duration = Annotated[str, Meta(extra={"quantity": "duration"})]
Size = Annotated[str, Meta(extra={"quantity": "size"})]

_MICROSECONDS = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
_DURATION_WORDS = {
    "µs": "us", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "min": "m", "mins": "m", "minute": "m",
    "minutes": "m", "hour": "h", "hours": "h", "day": "d", "days": "d", "week": "w", "weeks": "w",
}  # fmt: skip
_BYTES = {
    "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
}  # fmt: skip
_PART = re.compile(r"([0-9]{1,19}(?:\.[0-9]{1,9})?)\s*([a-zµ]+)", re.IGNORECASE | re.ASCII)
_MAX_DURATION = timedelta(days=365_000)
_MAX_BYTES = 1 << 62


def parse_duration(text: str) -> timedelta:
    """Return the length of time that ``text`` names, to the microsecond.

    One or more numbers with a unit (us, ms, s, m, h, d, w), added up: ``90s``, ``1h30m``, ``1.5 d``. Months and years
    have no fixed length and are not understood.

    Raises:
        ValueError: not such a text, or longer than 1,000 years; the message says what was expected.
    """
    micros = sum(_parts(text, _MICROSECONDS, _DURATION_WORDS, "a duration such as '30s', '5m', '1h30m' or '365d'"))
    if micros > _MAX_DURATION // timedelta(microseconds=1):
        raise ValueError(f"expected a duration of at most 1,000 years, got {text!r}")
    return timedelta(microseconds=micros)


def parse_size(text: str) -> int:
    """Return the number of bytes that ``text`` names: ``512 B``, ``10 MiB`` (2**20), ``1.5 GB`` (10**9).

    Raises:
        ValueError: not such a text, or beyond 4 EiB; the message says what was expected.
    """
    parts = _parts(text, _BYTES, {"byte": "b", "bytes": "b"}, "a size such as '512 B', '10 MiB' or '2 GB'")
    if len(parts) != 1 or parts[0] > _MAX_BYTES:
        raise ValueError(f"expected one size of at most 4 EiB, got {text!r}")
    return parts[0]


def format_duration(duration: timedelta) -> str:
    """Return the shortest text that ``parse_duration`` reads as ``duration``: ``1h30m``, ``365d``, ``0s``.

    Raises:
        ValueError: ``duration`` is negative.
    """
    rest = duration // timedelta(microseconds=1)
    if rest < 0:
        raise ValueError(f"expected a duration that is not negative, got {duration!r}")
    written = ""
    for unit in ("d", "h", "m", "s", "ms", "us"):
        count, rest = divmod(rest, _MICROSECONDS[unit])
        written += f"{count}{unit}" if count else ""
    return written or "0s"


def format_size(size: int) -> str:
    """Return ``size`` bytes in the largest binary unit that divides it: ``10 MiB``, ``1536 B``.

    Raises:
        ValueError: ``size`` is negative.
    """
    if size < 0:
        raise ValueError(f"expected a size that is not negative, got {size!r}")
    for unit, factor in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} B"


def shown_size(count: float) -> str:
    """Return a number of bytes with three significant digits and its unit, for people: ``1.5 GiB``."""
    amount, unit = abs(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            break
        amount /= 1024
    sign = "-" if count < 0 else ""
    return f"{sign}{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{sign}{amount:.3g} {unit}"


def _parts(text: str, factors: dict[str, int], words: dict[str, str], wanted: str) -> list[int]:
    """Return each part of ``text`` in the smallest unit; the decimals are exact, not floating point."""
    if not isinstance(text, str) or len(text) > 100:
        got = f"{len(text)} characters" if isinstance(text, str) else type(text).__name__
        raise ValueError(f"expected {wanted}, got {got}")
    found, place, stripped = [], 0, text.strip()
    while match := _PART.match(stripped, place):
        name = match[2].lower()
        factor = factors.get(words.get(name, name))
        if factor is None:
            raise ValueError(
                f"expected {wanted}, got {text!r}: the unit {match[2]!r} is not one of {', '.join(factors)}"
            )
        whole, _, fraction = match[1].partition(".")
        found.append(int(whole) * factor + int(fraction or 0) * factor // 10 ** len(fraction))
        place = match.end()
        while stripped[place : place + 1] == " ":
            place += 1
    if not found or place != len(stripped):
        missing = ": the unit is missing" if stripped.replace(".", "", 1).isdigit() else ""
        raise ValueError(f"expected {wanted}, got {text!r}{missing}")
    return found


def counted(count: int, noun: str) -> str:
    """Return how many there are, as said: ``1 event``, ``1,200 events``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
