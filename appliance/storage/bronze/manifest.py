"""The manifest: one line for each closed, compressed segment of a pipeline, each naming the link of the line before.

A link is the SHA-256 of its line up to ``,"link":…``. So the last link vouches for every line and, through the sums in
them, for every byte of every closed segment.
"""

import os
from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Annotated

import msgspec

from appliance.storage.bronze.disk import sync_directory, write_all
from appliance.storage.bronze.frame import NONE
from appliance.storage.bronze.segment import Key, key_of

NO_LINK = "0" * 64  # what the first line names as its predecessor
_LINK_TAIL = len(b',"link":""}') + 64
_TAIL = 1 << 16


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One closed segment. Sizes in bytes; ``sha256`` of the lines, ``packed_sha256`` of the compressed file."""

    name: Annotated[str, msgspec.Meta(pattern=r"^\d{20}(-\d+)?\.jsonl\.zst$")]
    first_seq: int
    last_seq: int
    frames: int
    lines: int
    size: int
    packed_size: int
    newest_at: datetime  # receipt of its last frame
    sha256: str
    packed_sha256: str
    checkpoint: msgspec.Raw = NONE  # the source's, as it stood at the end of this segment
    previous: str
    link: str = ""

    @property
    def key(self) -> Key:
        key = key_of(self.name)
        assert key is not None, self.name  # noqa: S101 - decoding checks the pattern
        return key


class Manifest:
    """Appends to one manifest file and finds segments in it; reads it whole only when an old segment is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tail = _read_tail(path)
        self._lock = Lock()
        self._entries: list[Entry] | None = None if self.tail else []
        self._lasts: list[int] = []

    def append(self, entry: Entry) -> Entry:
        """Add ``entry`` after the tail, durably, and return it with its links."""
        line, linked = seal(entry, self.tail.link if self.tail else NO_LINK)
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o640)
        try:
            end = os.fstat(fd).st_size
            try:
                write_all(fd, [line], end)
                os.fdatasync(fd)
            except OSError:
                os.ftruncate(fd, end)
                raise
        finally:
            os.close(fd)
        if self.tail is None:
            sync_directory(self.path.parent)
        with self._lock:
            self.tail = linked
            if self._entries is not None:
                self._entries.append(linked)
                self._lasts.append(linked.last_seq)
        return linked

    def entries(self) -> list[Entry]:
        """Return all entries, oldest first; the list grows as segments close."""
        with self._lock:
            if self._entries is None:
                self._entries = [msgspec.json.decode(line, type=Entry) for line in read_lines(self.path)]
                self._lasts = [entry.last_seq for entry in self._entries]
            return self._entries

    def find(self, seq: int) -> Entry | None:
        """Return the entry of the segment that holds ``seq``."""
        entries = self.entries()
        at = bisect_left(self._lasts, seq)
        return entries[at] if at < len(entries) and entries[at].first_seq <= seq else None

    def newest_first(self) -> Iterator[Entry]:
        """Yield entries from the newest; reads the rest of the file only if a second one is wanted."""
        if self.tail is not None:
            yield self.tail
            yield from reversed(self.entries()[:-1])


def seal(entry: Entry, previous: str) -> tuple[bytes, Entry]:
    """Return ``entry`` as a line after the one with the link ``previous``, and the entry with both links."""
    checkpoint = entry.checkpoint or NONE  # this very object: another empty Raw would be written, as nothing at all
    bare = msgspec.structs.replace(entry, previous=previous, link="", checkpoint=checkpoint)
    content = msgspec.json.encode(bare)[:-1]
    link = sha256(content).hexdigest()
    return b'%b,"link":"%b"}\n' % (content, link.encode()), msgspec.structs.replace(entry, previous=previous, link=link)


def link_of(line: bytes) -> str:
    """Return the link that ``line`` (without line end) ought to end in."""
    return sha256(line[:-_LINK_TAIL]).hexdigest()


def read_lines(path: Path) -> list[bytes]:
    """Return the manifest's lines, without line ends."""
    return path.read_bytes().splitlines() if path.exists() else []


def _read_tail(path: Path) -> Entry | None:
    """Return the last entry, reading the end of the file only; cut a line that a crash left without its end.

    The segment of a line cut off is still there uncompressed: it is compressed again.
    """
    if not path.exists():
        return None
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        span = _TAIL
        while True:
            start = file.seek(max(size - span, 0))
            content = file.read()
            whole = content.rfind(b"\n") + 1
            lines = content[:whole].splitlines()
            if start == 0 or len(lines) > 1:
                break
            span *= 4
        if whole < len(content):
            file.truncate(start + whole)
            os.fsync(file.fileno())
    return msgspec.json.decode(lines[-1], type=Entry) if lines else None
