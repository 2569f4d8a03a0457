"""What people said shall be refined instead of an event: one JSON line each in ``corrections.jsonl``, newest counts.

``{"seq":7,"payload":"{\\"a\\":1}","reason":"…","by":"…","at":"…","crc":"1a2b3c4d"}``; ``payload`` null: dropped.

In memory is only where the newest line of each event lies: 16 bytes a correction. A line that a crash left unfinished
was never promised: it is cut. One that is damaged further up is passed over, and ``verify`` names it.
"""

import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from threading import RLock
from zlib import crc32

import msgspec

from appliance.components.bronze import Correction
from appliance.components.durable import sync_directory
from appliance.errors import Conflict
from appliance.storage.bronze.disk import write_all, write_new

FILE = "corrections.jsonl"
MOST = 1_000_000
_FRESH = 1000
_CRC_TAIL = len(b',"crc":"00000000"}')


class _Line(msgspec.Struct):
    seq: int
    payload: str | None
    reason: str
    by: str
    at: datetime


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode


class Corrections:
    """The corrections of one pipeline; read from the file when they are first asked for."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE
        self._lock = RLock()
        self._damaged: list[int] = []
        self._end = -1  # bytes of the file that are durable; negative: not read yet
        self._seqs = array("q")
        self._places = array("q")
        self._fresh: dict[int, int] = {}  # what the arrays do not have yet

    def add(self, corrections: Sequence[Correction]) -> None:
        """Remember ``corrections``, durably.

        Raises:
            Conflict: these would be more than a million events.
            OSError: the disk refuses; nothing of it counts.
        """
        with self._lock:
            self._load()
            if len(self) + len(corrections) > MOST:
                raise Conflict(
                    f"correcting {len(corrections)} events: at most {MOST} events of a pipeline can be corrected by "
                    "hand; change the mapping instead"
                )
            lines = [_line(one) for one in corrections]
            self._write(lines)
            for one, line in zip(corrections, lines, strict=True):
                self._fresh[one.seq] = self._end
                self._end += len(line)
            self._settle(_FRESH)

    def find(self, seq: int) -> Correction | None:
        """Return the newest correction of an event."""
        with self._lock:
            self._load()
            place = self._place(seq)
            return None if place is None else self._read(place)

    def between(self, first_seq: int, last_seq: int) -> list[int]:
        """Return the corrected events from ``first_seq`` to ``last_seq``, ascending."""
        with self._lock:
            self._load()
            settled = self._seqs[bisect_left(self._seqs, first_seq) : bisect_right(self._seqs, last_seq)]
            fresh = [seq for seq in self._fresh if first_seq <= seq <= last_seq]
            return sorted({*settled, *fresh}) if fresh else settled.tolist()

    def next_seq(self, seq: int) -> int | None:
        """Return the first corrected event from ``seq`` on."""
        with self._lock:
            self._load()
            at = bisect_left(self._seqs, seq)
            found = [known for known in self._fresh if known >= seq]
            return min((*self._seqs[at : at + 1], *found), default=None)

    def unreadable(self) -> list[int]:
        """Return the lines (1-based) that are not as they were written."""
        with self._lock:
            self._load()
            return self._damaged

    def keep(self, wanted: Callable[[int], bool]) -> None:
        """Write the file again with the newest corrections of the events that are ``wanted``, if others are in it.

        What is left out is nowhere in the file afterwards, former corrections of the same event included.
        """
        with self._lock:
            self._load()
            if not self.path.exists():
                return
            sound = not self._damaged and self.path.stat().st_size == self._end
            if sound and all(map(wanted, self._all())):
                return
            write_new(self.path, b"".join(self._newest(wanted)))
            self._forget()

    def _all(self) -> Iterator[int]:
        """Yield the event of each line."""
        for _, content, _ in _lines(self.path, self._end):
            if (line := _parsed(content)) is not None:
                yield line.seq

    def _newest(self, wanted: Callable[[int], bool]) -> Iterator[bytes]:
        """Yield the newest line of each wanted event."""
        for place, content, _ in _lines(self.path, self._end):
            line = _parsed(content)
            if line is not None and wanted(line.seq) and self._place(line.seq) == place:
                yield content + b"\n"

    def __len__(self) -> int:
        return len(self._seqs) + len(self._fresh)

    def _load(self) -> None:
        if self._end >= 0:
            return
        self._end = 0
        if not self.path.exists():
            return
        size = self.path.stat().st_size
        for number, (place, content, whole) in enumerate(_lines(self.path, size), 1):
            line = _parsed(content) if whole else None
            if line is not None:
                self._fresh[line.seq] = place
                self._end = place + len(content) + 1
            else:
                self._damaged.append(number)
        self._cut(size)
        self._settle(0)

    def _cut(self, size: int) -> None:
        """Cut what follows the last good line: nobody was told that it is kept."""
        if self._end < size:
            fd = os.open(self.path, os.O_WRONLY)
            try:
                os.ftruncate(fd, self._end)
                os.fsync(fd)
            finally:
                os.close(fd)
            good = sum(1 for _ in _lines(self.path, self._end))
            self._damaged = [number for number in self._damaged if number <= good]

    def _write(self, lines: list[bytes]) -> None:
        new = not self.path.exists()
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o640)
        try:
            if os.fstat(fd).st_size > self._end:  # what a call that failed has left behind
                os.ftruncate(fd, self._end)
            write_all(fd, lines, self._end)
            os.fsync(fd)
        finally:
            os.close(fd)
        if new:
            sync_directory(self.path.parent)

    def _settle(self, most: int) -> None:
        """Move what is fresh to the arrays if it is more than ``most``."""
        if len(self._fresh) <= most:
            return
        merged = dict(zip(self._seqs, self._places, strict=True)) | self._fresh
        seqs = sorted(merged)
        self._seqs = array("q", seqs)
        self._places = array("q", map(merged.__getitem__, seqs))
        self._fresh = {}

    def _place(self, seq: int) -> int | None:
        if seq in self._fresh:
            return self._fresh[seq]
        at = bisect_left(self._seqs, seq)
        return self._places[at] if at < len(self._seqs) and self._seqs[at] == seq else None

    def _read(self, place: int) -> Correction | None:
        with self.path.open("rb") as file:
            file.seek(place)
            line = _parsed(file.readline().removesuffix(b"\n"))
        if line is None:
            return None
        payload = None if line.payload is None else line.payload.encode()
        return Correction(line.seq, payload, line.reason, line.by, line.at)

    def _forget(self) -> None:
        self._end = -1
        self._seqs, self._places, self._fresh = array("q"), array("q"), {}
        self._damaged = []
        self._load()


def _line(one: Correction) -> bytes:
    payload = None if one.payload is None else one.payload.decode()
    start = _encode(_Line(one.seq, payload, one.reason, one.by, one.at))[:-1]
    return b'%b,"crc":"%08x"}\n' % (start, crc32(start))


def _parsed(content: bytes) -> _Line | None:
    """Return what a line (without its end) says; None: it is not as it was written."""
    if content[-_CRC_TAIL:] != b',"crc":"%08x"}' % crc32(content[:-_CRC_TAIL]):
        return None
    try:
        return _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _lines(path: Path, size: int) -> Iterable[tuple[int, bytes, bool]]:
    """Yield place and content of each line up to ``size``, and whether it has its end."""
    if size <= 0:
        return
    with path.open("rb") as file:
        place = 0
        for line in file:
            if place >= size:
                return
            yield place, line.removesuffix(b"\n"), line.endswith(b"\n")
            place += len(line)
