"""Which way of writing times fits all of some values: what a suggestion names as the format of the time."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

_ISO: Final = re.compile(r"(19|2[01])\d\d-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d(:?\d\d)?)?)?")
_NUMBER: Final = re.compile(r"\d{9,19}(\.\d+)?")
_PATTERNS: Final = (
    "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S",
    "%d-%m-%Y %H:%M:%S", "%Y%m%dT%H%M%S", "%Y%m%d%H%M%S", "%d.%m.%Y", "%d %b %Y %H:%M:%S",
    "%a, %d %b %Y %H:%M:%S %z", "%d/%b/%Y:%H:%M:%S %z",
)  # fmt: skip
# Seconds of 2000-01-01 and 2100-01-01: counts outside of them are taken for other numbers.
_EARLIEST, _LATEST = 946_684_800, 4_102_444_800
_FARTHEST: Final = 10**20
_PER_SECOND: Final = {"unix_s": 1, "unix_ms": 10**3, "unix_us": 10**6, "unix_ns": 10**9}
_WORDS: Final = {"auto": "ISO 8601", "unix_s": "seconds", "unix_ms": "milliseconds", "unix_us": "microseconds",
                 "unix_ns": "nanoseconds"}  # fmt: skip


def format_of(values: Sequence[Any]) -> str | None:
    """Return the format (see ``moment``) in which all of ``values``, at least one, are times; None: there is none."""
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) == len(values):
        if all(_is_iso(text) for text in texts):
            return "auto"
        counted = _unit(texts) if all(_NUMBER.fullmatch(text) for text in texts) else None
        return counted or next((one for one in _PATTERNS if all(_reads(text, one) for text in texts)), None)
    if texts or any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        return None
    return _unit(values)


def _unit(values: Sequence[Any]) -> str | None:
    """Return what ``values`` count since 1970, if all of them lie between 2000 and 2100."""
    numbers = [float(value) if isinstance(value, str) or abs(value) < _FARTHEST else 0.0 for value in values]
    return next(
        (unit for unit, per in _PER_SECOND.items() if all(_EARLIEST * per <= one < _LATEST * per for one in numbers)),
        None,
    )


def told(form: str) -> str:
    """Return how times of ``form`` are written, for people."""
    if form in _PER_SECOND:
        return f"{_WORDS[form]} since 1970"
    return _WORDS.get(form, f"written as {form}")


def _is_iso(text: str) -> bool:
    if not _ISO.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text.upper())
    except ValueError:
        return False
    return True


def _reads(text: str, pattern: str) -> bool:
    try:
        return 1900 <= datetime.strptime(text, pattern).year < 2200  # noqa: DTZ007 - only whether it can be read
    except ValueError:
        return False
