"""The newest lines of this process's log in memory, and its failures counted by kind: what the screens show.

One book for a process, as there is one log. What is kept was masked before, and is bounded: nothing here grows.
"""

import re
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, Final

import msgspec

LINES: Final = 2_000
FAILURES: Final = 200  # kinds; the one that was seen longest ago makes room
LONGEST: Final = 8_000  # characters of one text
GRAVE: Final = frozenset({"error", "critical"})
RANKS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_PLACE: Final = re.compile(r'File "(?:[^"]*/)?((?:appliance|ui|license)/[^"]+)", line \d+, in (\S+)')
_FIRST: Final = frozenset({"timestamp", "level", "part", "event", "exception"})


class Line(msgspec.Struct, frozen=True):
    """One line of the log. ``number``: counts up, so that a reader knows what is new. ``exception``: a traceback."""

    number: int
    at: str  # RFC 3339, UTC
    level: str
    part: str
    event: str
    values: dict[str, str]
    exception: str | None = None

    def has(self, text: str) -> bool:
        """Return whether ``text``, in lower case, is somewhere in the line."""
        held = (self.event, self.part, self.exception or "", *self.values, *self.values.values())
        return any(text in one.lower() for one in held)


class Failure(msgspec.Struct, frozen=True):
    """What went wrong in the same way: ``count`` times. ``kind``: of exception; ``place``: file and function."""

    key: str
    part: str
    event: str
    kind: str
    place: str
    count: int
    first_at: str
    last_at: str
    last: Line


class LogBook:
    """Written by the log from any thread, read by whoever shows it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._lines: deque[Line] = deque(maxlen=LINES)
        self._failures: dict[str, Failure] = {}
        self.changes = 0  # of failures: whoever keeps them on disk sees whether there is something new

    def keep(self, event: Mapping[str, Any]) -> None:
        """Take one event of the log as it is about to be written, masked."""
        with self._lock:
            self._number += 1
            line = _line(self._number, event)
            self._lines.append(line)
            if line.level in GRAVE or line.exception:
                self._count(line)

    def _count(self, line: Line) -> None:
        kind, place = _kind(line.exception), _place(line.exception)
        key = "/".join((line.part, line.event, kind, place))
        seen = self._failures.pop(key, None)
        first, count = (seen.first_at, seen.count) if seen else (line.at, 0)
        self._failures[key] = Failure(key, line.part, line.event, kind, place, count + 1, first, line.at, line)
        self.changes += 1
        while len(self._failures) > FAILURES:
            del self._failures[next(iter(self._failures))]

    def lines(self, least: str = "debug", text: str = "", after: int = 0) -> Iterator[Line]:
        """Yield the lines from that level on that hold ``text`` (of any case), newest first, down to ``after``."""
        with self._lock:
            held = list(self._lines)
        wanted = text.lower()
        for line in reversed(held):
            if line.number <= after:
                return
            if RANKS.get(line.level, RANKS["error"]) >= RANKS[least] and (not wanted or line.has(wanted)):
                yield line

    def failures(self) -> list[Failure]:
        """Return every kind of failure, the one that was seen last first."""
        with self._lock:
            return list(reversed(self._failures.values()))

    def forget(self, key: str) -> bool:
        """Count a kind of failure from nothing again. Return whether there was one."""
        with self._lock:
            self.changes += 1
            return self._failures.pop(key, None) is not None

    def remember(self, failures: Iterable[Failure]) -> None:
        """Take what an earlier process counted, newest first; what this one has seen meanwhile is added to it."""
        with self._lock:
            mine, self._failures = self._failures, {}
            self._failures = {one.key: one for one in reversed(list(islice(failures, FAILURES)))}
            for one in mine.values():
                before = self._failures.pop(one.key, None)
                self._failures[one.key] = _joined(before, one) if before else one


def _joined(before: Failure, now: Failure) -> Failure:
    return msgspec.structs.replace(now, count=before.count + now.count, first_at=before.first_at)


def _line(number: int, event: Mapping[str, Any]) -> Line:
    at = event.get("timestamp")
    exception = event.get("exception")
    return Line(
        number=number,
        at=at if isinstance(at, str) else datetime.now().astimezone().isoformat(),
        level=str(event.get("level", "info")),
        part=str(event.get("part", "dash")),
        event=str(event.get("event", ""))[:LONGEST],
        values={str(key): str(value)[:LONGEST] for key, value in event.items() if key not in _FIRST},
        exception=str(exception)[-LONGEST:] if exception else None,
    )


def _kind(exception: str | None) -> str:
    """Return the type that a traceback ends with: of several that caused each other, the last."""
    if not exception:
        return ""
    ends = [line for line in exception.splitlines() if line and not line.startswith((" ", "\t"))]
    return ends[-1].partition(":")[0].rpartition(".")[2] if ends else ""


def _place(exception: str | None) -> str:
    """Return file and function of this program nearest to where it went wrong; no line: that moves."""
    found = _PLACE.findall(exception or "")
    return ":".join(found[-1]) if found else ""


BOOK: Final = LogBook()
