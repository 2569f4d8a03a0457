"""What a start finds in a pipeline's directory, and how it makes it whole again.

Only segments that are not compressed yet are scanned: after a crash the open one and those that were still waiting;
after a good end each left a note of what is in it, which is believed (see rest). A bad frame is a *torn tail* if
nothing proves that the disk ever acknowledged it: it and what follows is cut off, kept beside the segment and counted.
A later frame whose ``durable`` reaches it is such a proof: then it is *damage*, nothing is cut, no number is given out
twice, and reading goes on behind it.
"""

import os
from dataclasses import dataclass, field
from errno import EIO
from pathlib import Path

import msgspec

from appliance.components.durable import sync_directory
from appliance.errors import FatalError
from appliance.storage.bronze.disk import write_new
from appliance.storage.bronze.expiry import sweep
from appliance.storage.bronze.frame import FULL, Found, Header, Unread
from appliance.storage.bronze.manifest import Manifest
from appliance.storage.bronze.replacing import finish_replacing
from appliance.storage.bronze.rest import REST, read_rest
from appliance.storage.bronze.segment import Key, Segment, file_name, key_of, read_at
from appliance.storage.bronze.sidecar import Delivered
from appliance.storage.bronze.survey import Gap, survey

_RESTORE = "restore manifest.jsonl of this pipeline from a backup, then start again"


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


def recover(directory: Path) -> Recovered:
    """Read and repair ``directory``; what it answers is durable."""
    names = _names(directory)
    manifest = _manifest(directory, names)
    finish_replacing(manifest, names)
    sweep(manifest, names)
    state = Recovered(manifest)
    if manifest.tail is not None:
        state.next_seq = manifest.tail.last_seq + 1
        state.checkpoint = manifest.tail.checkpoint
    keys = _unfinished(directory, manifest, names)
    for at, key in enumerate(keys):
        _take(state, Segment(directory, key), keys[at + 1][0] if at + 1 < len(keys) else None)
    if keys and state.waiting[-1].damage is None:
        state.open = state.waiting.pop()
        state.open.path.with_name(state.open.name + REST).unlink(missing_ok=True)  # it grows from now on
    for empty in [segment for segment in state.waiting if not segment.frames and segment.damage is None]:
        state.waiting.remove(empty)
        empty.path.unlink()
    if keys:
        sync_directory(directory)
    return state


def _names(directory: Path) -> list[str]:
    """Return the names in ``directory``, after removing what was never finished."""
    names = []
    for name in os.listdir(directory):
        if name.endswith(".tmp"):
            (directory / name).unlink()
        else:
            names.append(name)
    return names


def _take(state: Recovered, segment: Segment, limit: int | None) -> None:
    """Find out what is in ``segment``. ``limit``: first sequence number of the one after it; None: it is the newest."""
    state.next_seq = max(state.next_seq, segment.first_seq)  # its name proves that there were events before it
    state.waiting.append(segment)
    rest = read_rest(segment)
    if rest is not None and rest.end == segment.path.stat().st_size and limit in (None, rest.last_seq + 1):
        rest.fill(segment)
    else:
        known = len(state.deliveries)
        _Scan(state, segment, limit if rest is None else rest.last_seq + 1).run()
        if rest is None:
            return
        del state.deliveries[known:]
    state.next_seq = rest.last_seq + 1
    state.checkpoint = rest.checkpoint or state.checkpoint
    state.deliveries += rest.deliveries


def _manifest(directory: Path, names: list[str]) -> Manifest:
    """Return the manifest, after checking that it is not behind the files: else their numbers were given out again."""
    path = directory / "manifest.jsonl"
    try:
        manifest = Manifest(path)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FatalError(f"opening {path}: its last line is damaged ({error})", hint=_RESTORE) from error
    done = manifest.tail.key if manifest.tail else (0, 0)
    for name in names:
        key = key_of(name) if name.endswith(".zst") else None
        if key is not None and key > done and file_name(key) not in names:
            raise FatalError(f"opening {path}: it does not list {name}, which is there", hint=_RESTORE)
    return manifest


def _unfinished(directory: Path, manifest: Manifest, names: list[str]) -> list[Key]:
    """Return the keys of plain segments without a manifest line; remove those that have one.

    A plain file of a segment that was damaged stays: it is the damaged one, or a copy that mends it (see mending).
    """
    done = manifest.tail.key if manifest.tail else None
    keys = sorted(key for name in names if name.endswith(".jsonl") and (key := key_of(name)))
    for key in keys:
        if done is not None and key <= done:
            entry = manifest.named(file_name(key) + ".zst")
            if entry is not None and not entry.damaged:
                (directory / file_name(key)).unlink()
                (directory / (file_name(key) + REST)).unlink(missing_ok=True)
    return [key for key in keys if done is None or key > done]


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
        for step in survey(self._segment.path, 0, size, FULL):
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
        segment.grow(header.seq, header.n, found.size, header.received_us)
        segment.opened_at = segment.opened_at or header.at
        state.next_seq = segment.last_seq + 1
        if header.checkpoint:
            state.checkpoint = header.checkpoint
        if header.delivery is not None:
            state.deliveries.append(Delivered(header.delivery, header.seq, segment.last_seq, header.received_us))

    def _cut(self, size: int) -> None:
        """Keep what lies beyond the last good frame, zeros aside, then cut it off and make the rest durable."""
        segment = self._segment
        try:
            beyond = read_at(segment.path, segment.end, size - segment.end).rstrip(b"\0")
        except Unread as error:  # what cannot be read now is not cut: it may be all that was acknowledged
            raise OSError(EIO, f"{segment.name}: {error.reason}") from error
        if beyond:
            write_new(segment.path.with_name(f"{segment.name}.cut-{segment.end}"), beyond)
            self._state.cut_bytes += len(beyond)
        fd = os.open(segment.path, os.O_RDWR)
        try:
            os.ftruncate(fd, segment.end)
            os.fsync(fd)
        finally:
            os.close(fd)
