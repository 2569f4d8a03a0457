"""The places of one pipeline's log that could not be read, until they can be again.

Kept in ``quarantine.json`` too, so that a start knows them before anybody reads that far. The file is a note: what it
says is looked at again before it is told, and a disk that refuses it loses nothing.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import msgspec
import structlog

from appliance.components.bronze import Quarantine
from appliance.storage.bronze.disk import write_new

FILE = "quarantine.json"
log = structlog.get_logger("bronze")


class Places:
    """Damaged places by sequence number. Logged once when found, and once when they read again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = Lock()
        self._places: list[Quarantine] = []
        with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):  # a note, see above
            self._places = msgspec.json.decode((directory / FILE).read_bytes(), type=list[Quarantine])

    def __bool__(self) -> bool:
        return bool(self._places)

    def all(self) -> list[Quarantine]:
        """Return the places, in order."""
        with self._lock:
            return sorted(self._places, key=lambda place: place.first_seq)

    def next_seq(self, seq: int) -> int | None:
        """Return the first event from ``seq`` on that could not be read."""
        with self._lock:
            return min((max(place.first_seq, seq) for place in self._places if place.last_seq >= seq), default=None)

    def found(self, place: Quarantine) -> None:
        """Note that ``place`` cannot be read."""
        with self._lock:
            touching = [
                one
                for one in self._places
                if one.first_seq <= place.last_seq + 1 and place.first_seq <= one.last_seq + 1
                and one.segment.split(".")[0] == place.segment.split(".")[0]
            ]  # fmt: skip
            first = min(one.first_seq for one in (place, *touching))
            last = max(one.last_seq for one in (place, *touching))
            if len(touching) == 1 and (touching[0].first_seq, touching[0].last_seq) == (first, last):
                return
            merged = Quarantine(place.segment, first, last, place.reason)
            self._replace([one for one in self._places if one not in touching] + [merged])
        if not touching:
            log.error(
                "bronze.damaged", pipeline=self._directory.name, segment=place.segment, first_seq=place.first_seq,
                last_seq=place.last_seq, reason=place.reason, remedy="put a copy of the segment back",
            )  # fmt: skip

    def gone(self, last_seq: int) -> None:
        """Forget what has expired."""
        with self._lock:
            left = [one for one in self._places if one.last_seq > last_seq]
            if left != self._places:
                self._replace(left)

    def read(self, first_seq: int, last_seq: int) -> None:
        """Note that these events can be read."""
        with self._lock:
            hit = [one for one in self._places if one.first_seq <= last_seq and first_seq <= one.last_seq]
            if not hit:
                return
            left = [
                Quarantine(one.segment, first, last, one.reason)
                for one in hit
                for first, last in ((one.first_seq, first_seq - 1), (last_seq + 1, one.last_seq))
                if first <= last
            ]
            self._replace([one for one in self._places if one not in hit] + left)
            done = not left
        if done:
            log.info("bronze.readable", pipeline=self._directory.name, segment=hit[0].segment)

    def look_again(self, readable: Callable[[Quarantine], bool]) -> None:
        """Leave out what is readable by now."""
        for place in self.all():
            if readable(place):
                self.read(place.first_seq, place.last_seq)

    def _replace(self, places: list[Quarantine]) -> None:
        self._places = places
        path = self._directory / FILE
        with contextlib.suppress(OSError):  # a note, see above
            if places:
                write_new(path, msgspec.json.encode(places))
            else:
                path.unlink(missing_ok=True)
