"""A failure as an envelope of Sentry's ingestion protocol: what is posted, and where. Pure: nothing is sent here.

Source: Sentry's SDK documentation, *Envelopes*, *Event payloads* and *Authentication*; a text of JSON lines, each item
after a header with its type and length in bytes.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import msgspec

from appliance.observe.destinations import CLIENT
from appliance.observe.log_book import Failure
from appliance.observe.masking import unpeopled

_LEVELS: Final = {"critical": "fatal", "error": "error", "warning": "warning"}
_FRAME: Final = re.compile(r'^  File "([^"]+)", line (\d+), in (\S+)', re.MULTILINE)


def envelope(failure: Failure, about: Mapping[str, str], now: datetime) -> bytes:
    """Return the body of one post. ``about``: ``release``, ``server_name`` and the like, of this process."""
    event = _event(failure, about)
    payload = unpeopled(msgspec.json.encode(event).decode()).encode()
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
