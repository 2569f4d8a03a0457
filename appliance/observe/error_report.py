"""A failure as an envelope of Sentry's ingestion protocol: what is posted, and where. Pure: nothing is sent here.

Source: Sentry's SDK documentation, *Envelopes*, *Event payloads* and *Authentication*; a text of JSON lines, each item
after a header with its type and length in bytes.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec

from appliance.observe.log_book import Failure

CLIENT: Final = "dash-appliance"
CONTENT_TYPE: Final = "application/x-sentry-envelope"
_LEVELS: Final = {"critical": "fatal", "error": "error", "warning": "warning"}
_FRAME: Final = re.compile(r'^  File "([^"]+)", line (\d+), in (\S+)', re.MULTILINE)
_WANTED: Final = "expected a DSN such as 'https://key@sentry.example.org/42'"  # never what was given: it has a key


class SentryDsn(msgspec.Struct, frozen=True):
    """Where envelopes go, and the public key that lets them in."""

    url: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        told = f"Sentry sentry_version=7, sentry_client={CLIENT}/1, sentry_key={self.key}"
        return {"content-type": CONTENT_TYPE, "x-sentry-auth": told}


def parse_sentry_dsn(text: str) -> SentryDsn:
    """Return what ``scheme://key[:secret]@host[:port][/path]/project`` names; the old secret is not needed.

    Raises:
        ValueError: not such a text; the message does not quote it.
    """
    try:
        parts = urlsplit(text)
        host, key, _ = parts.netloc.rpartition("@")[2], parts.username, parts.port
    except ValueError:
        raise ValueError(_WANTED) from None
    path, _, project = parts.path.rstrip("/").rpartition("/")
    usable = parts.scheme in ("http", "https") and parts.hostname and key and re.fullmatch(r"[\w-]+", key)
    if not usable or not re.fullmatch(r"[\w-]+", project) or parts.query or parts.fragment:
        raise ValueError(_WANTED)
    return SentryDsn(f"{parts.scheme}://{host}{path}/api/{project}/envelope/", str(key))


def envelope(failure: Failure, about: Mapping[str, str], now: datetime) -> bytes:
    """Return the body of one post. ``about``: ``release``, ``server_name`` and the like, of this process."""
    event = _event(failure, about)
    payload = msgspec.json.encode(event)
    head = {"event_id": event["event_id"], "sent_at": now.isoformat(), "sdk": {"name": CLIENT, "version": "1"}}
    item = {"type": "event", "length": len(payload), "content_type": "application/json"}
    return b"\n".join((msgspec.json.encode(head), msgspec.json.encode(item), payload, b""))


def _event(failure: Failure, about: Mapping[str, str]) -> dict[str, Any]:
    line = failure.last
    event: dict[str, Any] = {
        "event_id": uuid4().hex,
        "timestamp": line.at,
        "platform": "python",
        "level": _LEVELS.get(line.level, "error"),
        "logger": failure.part,
        "logentry": {"formatted": failure.event},
        "fingerprint": [failure.key],  # one issue there for what is one kind here
        "tags": {"part": failure.part, "count": str(failure.count)},
        "extra": {**line.values, "first_at": failure.first_at},
        **about,
    }
    if line.exception:
        event["exception"] = {"values": [_exception(failure, line.exception)]}
        event["extra"]["traceback"] = line.exception
    return event


def _exception(failure: Failure, traceback: str) -> dict[str, Any]:
    """Of several that caused each other, the last: the whole text goes along beside it."""
    last = traceback.rpartition("Traceback (most recent call last):")[2]
    told = [line for line in last.splitlines() if line and not line.startswith((" ", "\t"))]
    frames = [
        {"filename": file, "lineno": int(number), "function": function, "in_app": "site-packages" not in file}
        for file, number, function in _FRAME.findall(last)
    ]
    value = {"type": failure.kind or "Exception", "value": told[-1].partition(":")[2].strip() if told else ""}
    return {**value, "stacktrace": {"frames": frames}} if frames else value
