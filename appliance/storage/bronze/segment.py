"""An uncompressed segment: its name, where its frames are, and the walk over them."""

import errno
import os
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from appliance.storage.bronze.frame import B, Damaged, Found, Unread, parse

_NAME = re.compile(r"(\d{20})(?:-(\d+))?\.jsonl")
_GRAIN = 4096  # bytes between two places of the index: a read parses at most this much in vain
_FIRST_CHUNK = 1 << 18
_LARGEST_CHUNK = 1 << 22
NEVER = -(1 << 63)  # a time before all others, in microseconds

Key = tuple[int, int]  # first sequence number, turn: order of segments


def file_name(key: Key) -> str:
    """Return a segment's name. ``turn`` is 0 unless an earlier segment took the number without holding an event."""
    first_seq, turn = key
    return f"{first_seq:020d}-{turn}.jsonl" if turn else f"{first_seq:020d}.jsonl"


def key_of(name: str) -> Key | None:
    """Return the key in a segment's name, compressed or not; None: another file."""
    match = _NAME.fullmatch(name.removesuffix(".zst"))
    return (int(match[1]), int(match[2] or 0)) if match else None


class Place(NamedTuple):
    """Where a walk may begin: ``offset`` in bytes, ``line`` 1-based, both uncompressed."""

    offset: int
    line: int


class Index:
    """Some frames of a segment by sequence number and time, 32 bytes for every 4 KiB of segment."""

    def __init__(
        self,
        seqs: Sequence[int] = (0,),
        offsets: Sequence[int] = (0,),
        lines: Sequence[int] = (1,),
        latest: Sequence[int] = (NEVER,),
    ) -> None:
        self._seqs = array("q", seqs)
        self._offsets = array("q", offsets)
        self._lines = array("q", lines)
        self._latest = array("q", latest)
        self._behind_gap = False

    def columns(self) -> tuple[list[int], list[int], list[int], list[int]]:
        """Return sequence numbers, offsets, lines, and the latest receipt before each."""
        return self._seqs.tolist(), self._offsets.tolist(), self._lines.tolist(), self._latest.tolist()

    def add(self, seq: int, place: Place, latest_us: int) -> None:
        """Note the frame at ``place`` if the last one noted is far enough away, or beyond a gap.

        ``latest_us``: the latest receipt of the frames before it.
        """
        if place.offset - self._offsets[-1] >= _GRAIN or self._behind_gap:
            self._behind_gap = False
            self._seqs.append(seq)
            self._offsets.append(place.offset)
            self._lines.append(place.line)
            self._latest.append(latest_us)

    def gap(self) -> None:
        """Note that something unreadable lies before the next frame: who looks for that must not begin earlier."""
        self._behind_gap = True

    def place(self, seq: int) -> Place:
        """Return a place at or before the frame that holds ``seq``."""
        at = bisect_right(self._seqs, seq) - 1
        return Place(self._offsets[at], self._lines[at])

    def offset_at(self, moment_us: int) -> int:
        """Return an offset before which no frame was received at or after ``moment_us``."""
        return self._offsets[max(bisect_left(self._latest, moment_us) - 1, 0)]


class Segment:
    """What is known about an uncompressed segment; one pipeline log changes it, under its lock."""

    def __init__(self, directory: Path, key: Key) -> None:
        self.directory = directory
        self.key = key
        self.last_seq = key[0] - 1
        self.end = 0  # bytes known to be durable; the file may be longer
        self.lines = 0
        self.frames = 0
        self.opened_at: datetime | None = None  # when its first frame was received
        self.latest_us = NEVER  # the latest receipt within
        self.index = Index()
        self.damage: str | None = None

    @property
    def name(self) -> str:
        return file_name(self.key)

    @property
    def path(self) -> Path:
        return self.directory / self.name

    @property
    def first_seq(self) -> int:
        return self.key[0]

    def grow(self, seq: int, count: int, size: int, received_us: int) -> None:
        """Take in a frame of ``count`` events and ``size`` bytes that lies at the end."""
        self.index.add(seq, Place(self.end, self.lines + 1), self.latest_us)
        self.latest_us = max(self.latest_us, received_us)
        self.last_seq = seq + count - 1
        self.end += size
        self.lines += count + 1
        self.frames += 1


def read_at(path: Path, offset: int, size: int) -> bytes:
    """Return up to ``size`` bytes of the file at ``offset``.

    Raises:
        Unread: the disk refuses.
        FileNotFoundError: there is no such file.
    """
    try:
        fd = os.open(path, os.O_RDONLY)
        try:
            return os.pread(fd, size, offset)
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno == errno.EIO:
            raise Unread(offset, f"the disk does not read it ({error.strerror})") from error
        raise


def walk(path: Path, start: int, end: int, decode: Callable[[bytes], B]) -> Iterator[Found[B]]:
    """Yield the frames between the bytes ``start`` and ``end``; no file stays open between two steps.

    Raises:
        Damaged: what comes next is not a whole frame; ``offset`` is its place in the file.
        FileNotFoundError: the file was replaced by its compressed form meanwhile.
    """
    offset, size = start, _FIRST_CHUNK
    while offset < end:
        chunk = read_at(path, offset, min(size, end - offset))
        used = 0
        for found in frames_in(chunk, offset, decode):
            yield found
            used = found.stop
        if not used and offset + len(chunk) >= end:
            raise Damaged(offset, "the frame is cut short")
        if not used and len(chunk) < size:
            raise Damaged(offset + len(chunk), "the file is shorter than what was written to it")
        offset += used
        size = min(size * 4, _LARGEST_CHUNK) if used else size * 4


def frames_in(chunk: bytes, offset: int, decode: Callable[[bytes], B]) -> Iterator[Found[B]]:
    """Yield the whole frames of ``chunk``, which begins with one and lies at ``offset`` of its segment."""
    start, length = 0, len(chunk)
    while start < length:
        found = parse(chunk, start, offset + start, decode)
        if found is None:
            return
        yield found
        start = found.stop
