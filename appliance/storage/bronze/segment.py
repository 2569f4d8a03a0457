"""An uncompressed segment: its name, where its frames are, and the walk over them."""

import os
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from appliance.storage.bronze.frame import B, Damaged, Found, parse

_NAME = re.compile(r"(\d{20})(?:-(\d+))?\.jsonl")
_GRAIN = 4096  # bytes between two places of the index: a read parses at most this much in vain
_FIRST_CHUNK = 1 << 18
_LARGEST_CHUNK = 1 << 22

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
    """Some frames of a segment by sequence number, 24 bytes for every 4 KiB of segment."""

    def __init__(self, seqs: Sequence[int] = (0,), offsets: Sequence[int] = (0,), lines: Sequence[int] = (1,)) -> None:
        self._seqs = array("q", seqs)
        self._offsets = array("q", offsets)
        self._lines = array("q", lines)
        self._behind_gap = False

    def columns(self) -> tuple[list[int], list[int], list[int]]:
        """Return sequence numbers, offsets and lines."""
        return self._seqs.tolist(), self._offsets.tolist(), self._lines.tolist()

    def add(self, seq: int, place: Place) -> None:
        """Note the frame at ``place`` if the last one noted is far enough away, or beyond a gap."""
        if place.offset - self._offsets[-1] >= _GRAIN or self._behind_gap:
            self._behind_gap = False
            self._seqs.append(seq)
            self._offsets.append(place.offset)
            self._lines.append(place.line)

    def gap(self) -> None:
        """Note that something unreadable lies before the next frame: who looks for that must not begin earlier."""
        self._behind_gap = True

    def place(self, seq: int) -> Place:
        """Return a place at or before the frame that holds ``seq``."""
        at = bisect_right(self._seqs, seq) - 1
        return Place(self._offsets[at], self._lines[at])


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

    def grow(self, seq: int, count: int, size: int) -> None:
        """Take in a frame of ``count`` events and ``size`` bytes that lies at the end."""
        self.index.add(seq, Place(self.end, self.lines + 1))
        self.last_seq = seq + count - 1
        self.end += size
        self.lines += count + 1
        self.frames += 1


def read_at(path: Path, offset: int, size: int) -> bytes:
    """Return up to ``size`` bytes of the file at ``offset``."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.pread(fd, size, offset)
    finally:
        os.close(fd)


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
