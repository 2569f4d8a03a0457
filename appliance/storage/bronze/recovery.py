"""What a start finds in a pipeline's directory, and how it makes it whole again.

Only segments that are not compressed yet are scanned: after a crash the open one and those that were still waiting;
after a good end the open one left a note of what is in it (see rest). A bad frame
is a *torn tail* if nothing proves that the disk ever acknowledged it: it and what follows is cut off, kept beside the
segment and counted. A later frame whose ``durable`` reaches it is such a proof: then it is *damage*, nothing is cut,
no number is given out twice, reading stops there and ``verify`` names the place.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from appliance.errors import FatalError
from appliance.storage.bronze.disk import sync_directory, write_new
from appliance.storage.bronze.frame import FULL, Damaged, Found, Header, parse
from appliance.storage.bronze.manifest import Manifest
from appliance.storage.bronze.rest import REST, take_rest
from appliance.storage.bronze.segment import Key, Segment, file_name, key_of, read_at, walk
from appliance.storage.bronze.sidecar import Delivered

_RESTORE = "restore manifest.jsonl of this pipeline from a backup, then start again"
_FRAME_START = b'\n{"seq":'


@dataclass
class Recovered:
    """``waiting``: closed, not compressed, oldest first. ``open``: the segment to go on with, if there is one."""

    manifest: Manifest
    waiting: list[Segment] = field(default_factory=list)
    open: Segment | None = None
    next_seq: int = 1
    checkpoint: msgspec.Raw = field(default_factory=msgspec.Raw)
    deliveries: list[Delivered] = field(default_factory=list)
    cut_bytes: int = 0


@dataclass(frozen=True)
class Gap:
    """Bytes of a segment that are not frames, up to ``end``."""

    offset: int
    end: int
    reason: str


def recover(directory: Path) -> Recovered:
    """Read and repair ``directory``; what it answers is durable."""
    for draft in directory.glob("*.tmp"):
        draft.unlink()
    manifest = _manifest(directory)
    state = Recovered(manifest)
    if manifest.tail is not None:
        state.next_seq = manifest.tail.last_seq + 1
        state.checkpoint = manifest.tail.checkpoint
    keys = _unfinished(directory, manifest)
    for at, key in enumerate(keys):
        limit = keys[at + 1][0] if at + 1 < len(keys) else None
        segment = Segment(directory, key)
        if limit is not None or not _rested(state, segment):
            _Scan(state, segment, limit).run()
        state.waiting.append(segment)
    for note in directory.glob("*" + REST):
        note.unlink()
    if keys and state.waiting[-1].damage is None:
        state.open = state.waiting.pop()
    for empty in [segment for segment in state.waiting if not segment.frames and segment.damage is None]:
        state.waiting.remove(empty)
        empty.path.unlink()
    if keys:
        sync_directory(directory)
    return state


def _rested(state: Recovered, segment: Segment) -> bool:
    """Return whether ``segment`` was closed in good order, and go on from there."""
    rest = take_rest(segment)
    if rest is None:
        return False
    state.next_seq = rest.last_seq + 1
    state.checkpoint = rest.checkpoint or state.checkpoint
    state.deliveries += rest.deliveries
    return True


def survey(path: Path, end: int) -> Iterator[Found[Header] | Gap]:
    """Yield the frames of a segment and the gaps between them."""
    offset = 0
    while offset < end:
        try:
            for found in walk(path, offset, end, FULL):
                yield found
                offset = found.offset + found.size
            return
        except Damaged as error:
            following = _next_frame(path, offset, end)
            yield Gap(offset, following or end, error.reason)
            if following is None:
                return
            offset = following


def _manifest(directory: Path) -> Manifest:
    """Return the manifest, after checking that it is not behind the files: else their numbers were given out again."""
    path = directory / "manifest.jsonl"
    try:
        manifest = Manifest(path)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FatalError(f"opening {path}: its last line is damaged ({error})", hint=_RESTORE) from error
    done = manifest.tail.key if manifest.tail else (0, 0)
    for packed in directory.glob("*.jsonl.zst"):
        key = key_of(packed.name)
        if key is not None and key > done and not (directory / file_name(key)).exists():
            raise FatalError(f"opening {path}: it does not list {packed.name}, which is there", hint=_RESTORE)
    return manifest


def _unfinished(directory: Path, manifest: Manifest) -> list[Key]:
    """Return the keys of plain segments without a manifest line; remove those that have one."""
    done = manifest.tail.key if manifest.tail else None
    keys = sorted(key for path in directory.glob("*.jsonl") if (key := key_of(path.name)))
    for key in keys:
        if done is not None and key <= done:
            (directory / file_name(key)).unlink()
    return [key for key in keys if done is None or key > done]


def _next_frame(path: Path, offset: int, end: int) -> int | None:
    rest = read_at(path, offset, end - offset)
    at = rest.find(_FRAME_START)
    while at >= 0:
        if _is_frame(rest, at + 1):
            return offset + at + 1
        at = rest.find(_FRAME_START, at + 1)
    return None


def _is_frame(rest: bytes, at: int) -> bool:
    try:
        return parse(rest, at, at, FULL) is not None
    except Damaged:
        return False


class _Scan:
    """Reads one segment. ``limit``: first sequence number of the segment after it; None: it is the newest."""

    def __init__(self, state: Recovered, segment: Segment, limit: int | None) -> None:
        self._state = state
        self._segment = segment
        self._limit = limit
        self._gap: Gap | None = None
        self._unproven: list[Found[Header]] = []  # frames after the gap, while nothing proves the gap was durable

    def run(self) -> None:
        size = self._segment.path.stat().st_size
        for step in survey(self._segment.path, size):
            if isinstance(step, Gap):
                self._gap = self._gap or step
            elif self._limit is not None and step.header.n and step.header.seq >= self._limit:
                break  # written, never acknowledged, and then written again to the next segment
            else:
                self._see(step)
        if self._limit is not None and self._state.next_seq < self._limit:
            self._damaged(f"events {self._state.next_seq} to {self._limit - 1} are not whole")
            self._state.next_seq = self._limit
            self._segment.last_seq = self._limit - 1
        elif self._segment.damage is None:
            self._cut(size)

    def _see(self, found: Found[Header]) -> None:
        expected = self._state.next_seq
        if self._gap is None and found.header.seq != expected:
            self._gap = Gap(found.offset, found.offset, f"expected sequence number {expected}")
        if self._gap is None or self._segment.damage is not None:
            self._take(found)
            return
        self._unproven.append(found)
        if found.header.durable >= expected:
            self._damaged(f"byte {self._gap.offset}: {self._gap.reason}")
            for frame in self._unproven:
                self._take(frame)
            self._unproven.clear()

    def _damaged(self, reason: str) -> None:
        self._segment.damage = self._segment.damage or reason

    def _take(self, found: Found[Header]) -> None:
        header, segment, state = found.header, self._segment, self._state
        if found.offset != segment.end:
            segment.end = found.offset
            segment.index.gap()
        segment.grow(header.seq, header.n, found.size)
        segment.opened_at = segment.opened_at or header.at
        state.next_seq = segment.last_seq + 1
        if header.checkpoint:
            state.checkpoint = header.checkpoint
        if header.delivery is not None:
            state.deliveries.append(Delivered(header.delivery, header.seq, segment.last_seq, header.received_us))

    def _cut(self, size: int) -> None:
        """Keep what lies beyond the last good frame, zeros aside, then cut it off and make the rest durable."""
        segment = self._segment
        beyond = read_at(segment.path, segment.end, size - segment.end).rstrip(b"\0")
        if beyond:
            write_new(segment.path.with_name(f"{segment.name}.cut-{segment.end}"), beyond)
            self._state.cut_bytes += len(beyond)
        fd = os.open(segment.path, os.O_RDWR)
        try:
            os.ftruncate(fd, segment.end)
            os.fsync(fd)
        finally:
            os.close(fd)
