"""The manifest of one pipeline: which segments are closed, written again, archived, and which have expired."""

import os
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import RLock

import msgspec

from appliance.components.durable import sync_directory
from appliance.storage.bronze.disk import write_all
from appliance.storage.bronze.manifest_lines import (
    NO_LINK,
    Archived,
    Entry,
    Expiry,
    L,
    Line,
    Rewritten,
    Run,
    decode,
    key_in,
    renewed,
    seal,
)
from appliance.storage.bronze.runs import add_run, cut
from appliance.storage.bronze.segment import Key, file_name, key_of

_TAIL = 1 << 16
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)


class Manifest:
    """Appends to one manifest file and finds segments in it; reads it whole only when an old segment is asked for.

    Whoever appends holds the pipeline's ``_compacting`` lock; looking is safe beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        last = _read_last(path)
        self.tail = last.entry
        self.gone = last.gone  # key of the newest segment that has expired
        self._link = last.link
        self._end = last.end
        self._lock = RLock()
        self._loaded = last.entry is None
        self._entries: list[Entry] = []
        self._lasts: list[int] = []
        self._erased: list[Run] = []
        self._archived: dict[str, str] = {}  # segment: the sum of its file when it was

    @property
    def gone_name(self) -> str:
        """The name of the newest segment that has expired; nothing where none has."""
        return "" if self.gone == (0, 0) else file_name(self.gone) + ".zst"

    def append(self, line: L) -> L:
        """Add ``line`` durably and return it with its links.

        Raises:
            OSError: it is not durable; the same line may be appended again.
        """
        content, linked = seal(line, self._link)
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o640)
        try:
            if os.fstat(fd).st_size > self._end:  # what an append that failed has left behind
                os.ftruncate(fd, self._end)
            write_all(fd, [content], self._end)
            os.fdatasync(fd)
        finally:
            os.close(fd)
        if not self._end:
            sync_directory(self.path.parent)
        with self._lock:
            if self._loaded:
                self._apply(linked)
            elif isinstance(linked, Expiry):
                self.gone = key_in(linked.expired)
            self._end += len(content)
            self._link = linked.link
            if isinstance(linked, Entry):
                self.tail = linked
        return linked

    def entries(self) -> list[Entry]:
        """Return the entries that have not expired, oldest first."""
        with self._lock:
            self._load()
            return self._entries[self._first_held() :]

    def find(self, seq: int) -> Entry | None:
        """Return the entry of the segment that holds ``seq``; None: none does, or it has expired."""
        with self._lock:
            self._load()
            at = bisect_left(self._lasts, seq)
            if at == len(self._entries):
                return None
            entry = self._entries[at]
            return entry if entry.first_seq <= seq and entry.key > self.gone else None

    def named(self, name: str) -> Entry | None:
        """Return the entry of the segment ``name`` (compressed), expired or not."""
        with self._lock:
            self._load()
            at = bisect_left(self._entries, key_in(name), key=lambda entry: entry.key)
            return self._entries[at] if at < len(self._entries) and self._entries[at].name == name else None

    def current(self, entry: Entry) -> Entry | None:
        """Return what is said by now of the segment of ``entry``; None: it has expired."""
        found = self.named(entry.name)
        return found if found is not None and found.key > self.gone else None

    def is_archived(self, entry: Entry) -> bool:
        """Return whether the archive has the segment as ``entry`` describes it."""
        with self._lock:
            self._load()
            return bool(entry.packed_sha256) and self._archived.get(entry.name) == entry.packed_sha256

    def gone_with(self, seqs: Sequence[int]) -> list[Entry]:
        """Return the entries of segments that have expired with any of ``seqs`` (ascending)."""
        with self._lock:
            self._load()
            at = {bisect_left(self._lasts, seq) for seq in seqs}
            return [self._entries[one] for one in sorted(at) if one < self._first_held()]

    def content(self) -> tuple[str, bytes]:
        """Return the last link, and the whole manifest as it is durable."""
        with self._lock:
            link, end = self._link, self._end
        with self.path.open("rb") as file:
            return link, file.read(end)

    @property
    def link(self) -> str:
        return self._link

    def expired_seq(self) -> int:
        """Return the newest event that has expired; 0: none has."""
        with self._lock:
            self._load()
            at = self._first_held()
            return self._lasts[at - 1] if at else 0

    def erased(self, first_seq: int, last_seq: int) -> list[Run]:
        """Return the runs of erased events within the two."""
        with self._lock:
            self._load()
            return cut(self._erased, first_seq, last_seq)

    def next_erased(self, seq: int) -> int | None:
        """Return the first erased event from ``seq`` on."""
        with self._lock:
            self._load()
            at = bisect_left(self._erased, seq, key=lambda run: run[1])
            return max(self._erased[at][0], seq) if at < len(self._erased) else None

    def newest_first(self) -> Iterator[Entry]:
        """Yield entries from the newest, expired ones too; reads the rest of the file only for a second one."""
        if self.tail is not None:
            yield self.tail
            with self._lock:
                self._load()
                rest = self._entries[-2::-1]
            yield from rest

    def _first_held(self) -> int:
        return bisect_right(self._entries, self.gone, key=lambda entry: entry.key)

    def _load(self) -> None:
        if self._loaded:
            return
        unreadable = False
        for content in read_lines(self.path):
            try:
                self._apply(decode(content))
            except _UNREADABLE:
                unreadable = True  # verify names it; what the directory itself knows must do
        if unreadable:
            self._stand_in()
        self._loaded = True

    def _apply(self, line: Line) -> None:
        match line:
            case Entry():
                self._entries.append(line)
                self._lasts.append(line.last_seq)
            case Expiry():
                self.gone = max(self.gone, key_in(line.expired))
            case Archived():
                self._archived[line.archived] = line.packed_sha256
            case Rewritten():
                self._archived.pop(line.rewritten, None)
                at = bisect_left(self._entries, key_in(line.rewritten), key=lambda entry: entry.key)
                if at < len(self._entries) and self._entries[at].name == line.rewritten:
                    self._entries[at] = renewed(self._entries[at], line)
                if line.why == "erased":
                    for run in line.seqs:
                        add_run(self._erased, run)

    def _stand_in(self) -> None:
        """Give segments whose line is damaged an entry from their name, so that their events can be read."""
        known = {entry.name for entry in self._entries}
        for path in self.path.parent.glob("*.jsonl.zst"):
            key = key_of(path.name)
            if key is None or path.name in known or not self.gone < key or self.tail is None or key > self.tail.key:
                continue
            following = next(entry for entry in self._entries if entry.key > key)
            insort(self._entries, _from_name(path, key, following), key=lambda entry: entry.key)
        self._lasts = [entry.last_seq for entry in self._entries]


def read_lines(path: Path) -> list[bytes]:
    """Return the manifest's lines, without line ends."""
    return path.read_bytes().splitlines() if path.exists() else []


def _from_name(path: Path, key: Key, following: Entry) -> Entry:
    return Entry(
        name=path.name, first_seq=key[0], last_seq=following.first_seq - 1, frames=0, lines=0, size=0,
        packed_size=path.stat().st_size, newest_at=following.newest_at, sha256="", packed_sha256="", previous="",
    )  # fmt: skip


class _Last(msgspec.Struct):
    """What the end of a manifest says."""

    entry: Entry | None = None
    gone: Key = (0, 0)
    link: str = NO_LINK
    end: int = 0


def _read_last(path: Path) -> _Last:
    """Read the end of the file only; cut a line that a crash left without its end.

    The segment of a line cut off is still there uncompressed: it is compressed again. What it said of erasing or
    expiring has not begun.
    """
    if not path.exists():
        return _Last()
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        span = _TAIL
        while True:
            start = file.seek(max(size - span, 0))
            content = file.read()
            whole = content.rfind(b"\n") + 1
            lines = content[:whole].splitlines()
            if start == 0 or any(line.startswith(b'{"name":') for line in lines[1:]):
                break
            span *= 4
        if whole < len(content):
            file.truncate(start + whole)
            os.fsync(file.fileno())
    return _last_of(lines if start == 0 else lines[1:], start + whole)


def _last_of(lines: list[bytes], end: int) -> _Last:
    last = _Last(end=end)
    if lines:
        last.link = decode(lines[-1]).link
    for content in reversed(lines):
        line = decode(content)
        if isinstance(line, Expiry) and last.gone == (0, 0):
            last.gone = key_in(line.expired)
        if isinstance(line, Entry):
            last.entry = line
            if line.gone and last.gone == (0, 0):
                last.gone = key_in(line.gone)
            break
    return last
