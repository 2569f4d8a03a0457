"""Bodies: inflate within a bound, check that it is JSON, and split it into events without building objects.

Each event comes back as the bytes it was sent in. What msgspec refuses is refused (NaN, lone surrogates, control
characters, a byte order mark, nesting of about 1,000); of equal keys in one object none is dropped here: the payload is
kept verbatim.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from appliance.domain.gunzip import Gunzip
from appliance.errors import BadRequest, DashError, TooLarge, UnsupportedMedia

_WHITE = b" \t\r\n"
_QUICK = 1 << 20  # bytes of NDJSON that may be split before its lines are counted: bounds the buffers made
_ONE = msgspec.json.Decoder(Raw)
_MANY = msgspec.json.Decoder(list[Raw])


class Kind(Enum):
    """How events stand in a body."""

    JSON = "json"  # one value, or an array of them
    LINES = "ndjson"  # values one below the other


_LINES = {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}


@lru_cache(maxsize=64)
def kind_of(content_type: str | None) -> Kind:
    """Return how to read a body of that ``Content-Type``; a missing one is taken for JSON.

    Raises:
        UnsupportedMedia: not JSON, or not in UTF-8.
    """
    essence, _, parameters = (content_type or "application/json").partition(";")
    essence = essence.strip().lower()
    charset = parameters.lower().partition("charset=")[2].partition(";")[0].strip(' "')
    if charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise UnsupportedMedia(f"JSON is read in UTF-8 only, got the charset {charset[:40]!r}: send it in UTF-8")
    if essence in _LINES:
        return Kind.LINES
    if essence == "application/json" or essence.endswith("+json"):
        return Kind.JSON
    raise UnsupportedMedia(
        f"expected Content-Type application/json or application/x-ndjson, got {essence[:80]!r}: set the header"
    )


def inflate(body: bytes, encoding: str | None, limit: int) -> bytes:
    """Return ``body`` without its ``Content-Encoding``, never making more than ``limit`` bytes of it.

    Raises:
        UnsupportedMedia: an encoding other than gzip.
        TooLarge: beyond ``limit``, inflated or as it came.
        BadRequest: not gzip after all, or cut off.
    """
    if len(body) > limit:
        raise TooLarge(_too_large(limit))
    coding = (encoding or "identity").strip().lower()
    if coding == "identity":
        return body
    if coding not in ("gzip", "x-gzip"):
        raise UnsupportedMedia(
            f"expected Content-Encoding gzip or none, got {coding[:80]!r}: send it as it is or as gzip"
        )
    gunzip = Gunzip(limit)
    try:
        inflated = gunzip.feed(body)
    except ValueError as error:
        raise BadRequest(f"the body is not the gzip that Content-Encoding announces: {error}") from error
    if not gunzip.whole:
        raise BadRequest("the gzip body is cut off: send it whole")
    return inflated


def split(body: bytes, kind: Kind, max_events: int) -> Sequence[Raw]:
    """Return the events of ``body``, verbatim, in order; at least one.

    Raises:
        TooLarge: more than ``max_events``.
        BadRequest: empty, not UTF-8 or not JSON; the message names the byte and line.
    """
    events: Sequence[Raw]
    if not body.isascii():
        _check_utf8(body)
    if kind is Kind.LINES:
        events = _lines(body, max_events)
    elif body[:1] == b"[" or body.lstrip(_WHITE)[:1] == b"[":
        if len(body) > 2 * max_events:  # shorter ones cannot hold so many: an element takes two bytes
            _check_count(body, max_events)
        events = _decoded(_MANY.decode, body)
    else:
        events = [_decoded(_ONE.decode, body)]
    if not events:
        raise BadRequest("there are no events in the body: send at least one")
    if len(events) > max_events:
        raise TooLarge(_too_many(max_events))
    return events


def _lines(body: bytes, max_events: int) -> Sequence[Raw]:
    """Return the values of NDJSON, one of each line that is not empty."""
    ends = body.count(b"\n")
    if ends > max_events:
        raise TooLarge(_too_many(max_events))
    if len(body) <= _QUICK:
        quick: list[Raw] = _decoded(_ONE.decode_lines, body)
        if len(quick) == ends + (not body.endswith(b"\n")):
            return quick
    # msgspec also reads several values on a line, and one on several: they are told apart by looking at each line.
    events = []
    for number, line in enumerate(body.split(b"\n"), 1):
        if line.strip(_WHITE):
            try:
                events.append(checked(line))
            except BadRequest as error:
                told = str(error).removesuffix(", line 1").replace("the body", f"line {number}", 1)
                raise BadRequest(told) from error
    return events


def checked(body: bytes) -> Raw:
    """Return the one JSON value that ``body`` is.

    Raises:
        BadRequest: empty, not UTF-8 or not JSON; the message names the byte and line.
    """
    if not body.isascii():
        _check_utf8(body)
    value: Raw = _decoded(_ONE.decode, body)
    return value


class _Counted:
    """An element that is looked at and forgotten."""


def _check_count(body: bytes, max_events: int) -> None:
    """Refuse an array of too many elements before a buffer is made for each: millions of ``1,`` fit into a request."""
    if body.count(b",") < max_events:
        return
    seen = 0

    def count(_type: type, _value: Any) -> _Counted:
        nonlocal seen
        seen += 1
        if seen > max_events:
            raise TooLarge(_too_many(max_events))
        return _COUNTED

    _decoded(msgspec.json.Decoder(list[_Counted], dec_hook=count).decode, body)


_COUNTED = _Counted()


def _check_utf8(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not UTF-8: byte {error.start}{_line(body, error.start)}") from error


def _decoded(decode: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return decode(body)
    except msgspec.DecodeError as error:
        raise BadRequest(_malformed(body, str(error))) from error
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply: about 1,000 levels are read") from error
    except DashError:
        raise
    except (ValueError, OverflowError) as error:  # UnicodeDecodeError among them
        raise BadRequest("the body is not JSON: a text or number in it cannot be read") from error


def _malformed(body: bytes, said: str) -> str:
    if not body.strip(_WHITE):
        return "the body is empty: send one JSON value, an array of events, or NDJSON"
    if "truncated" in said:
        return f"the body is not JSON: it ends too early, at byte {len(body)}{_line(body, len(body))}"
    what, _, place = said.removeprefix("JSON is malformed: ").partition(" (byte ")
    if not place:
        return f"the body is not JSON: {what}"
    at = int(place.rstrip(")"))
    return f"the body is not JSON: {what}, byte {at}{_line(body, at)}"


def _line(body: bytes, at: int) -> str:
    line = body.count(b"\n", 0, at) + 1
    return f", line {line}"


def _too_large(limit: int) -> str:
    return f"the body may have at most {limit} bytes, inflated: send the events in several requests"


def _too_many(max_events: int) -> str:
    return f"a request may hold at most {max_events} events: send them in several requests"
