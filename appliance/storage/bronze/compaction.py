"""Compressing closed segments: verified frame by frame on the way, and never deleted before its successor is durable.

Order: compressed file and index as ``.tmp`` → fsync → rename → directory fsync → manifest line → the plain file goes.
A crash between any two steps leaves the plain file, or the manifest line: recovery finishes what was begun.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import perf_counter

import msgspec
import zstandard

from appliance.storage.bronze.frame import FULL, Damaged, Found, Header
from appliance.storage.bronze.manifest import Entry
from appliance.storage.bronze.segment import Segment, walk
from appliance.storage.bronze.sidecar import Block, Delivered, sidecar_path, write_sidecar

BLOCK_BYTES = 1 << 20  # what one lookup has to decompress
LEVEL = 3
Pace = Callable[[float], None]  # is told how long the last step took; may wait, may raise Stopped


class Stopped(Exception):
    """The log is closing: leave the segment for the next start."""


class Packer:
    """Writes the compressed form of one segment, block by block."""

    def __init__(self, draft: Path) -> None:
        self._file = draft.open("wb")
        self._plain, self._packed = sha256(), sha256()
        self._zstd = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._next = (0, 1)  # first sequence number and line of the pending block
        self.blocks: list[Block] = []
        self.size = 0
        self.packed_size = 0
        self.lines = 0

    def add(self, found: Found[Header]) -> bool:
        """Take one frame; return whether that filled a block."""
        if not self._pending:
            self._next = (found.header.seq, self.lines + 1)
        self._pending.append(found.chunk[found.start : found.stop])
        self._pending_size += found.size
        self.lines += found.header.n + 1
        if self._pending_size < BLOCK_BYTES:
            return False
        self.flush()
        return True

    def flush(self) -> None:
        """Write the pending frames as one block."""
        plain = b"".join(self._pending)
        if not plain:
            return
        packed = self._zstd.compress(plain)
        self._file.write(packed)
        self._plain.update(plain)
        self._packed.update(packed)
        first_seq, line = self._next
        self.blocks.append(Block(first_seq, self.packed_size, len(packed), self.size, len(plain), line))
        self.size += len(plain)
        self.packed_size += len(packed)
        self._pending, self._pending_size = [], 0

    def finish(self) -> tuple[str, str]:
        """Make the file durable and return the sums of content and file."""
        self.flush()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._plain.hexdigest(), self._packed.hexdigest()

    def discard(self) -> None:
        """Give up: remove what was written."""
        with contextlib.suppress(OSError):  # a full disk refuses what is still buffered
            self._file.close()
        os.unlink(self._file.name)


def compact(segment: Segment, checkpoint: msgspec.Raw, pace: Pace) -> Entry:
    """Write ``segment``, closed, in its compressed form with its index, durably; return its entry, not yet linked.

    ``checkpoint``: as it stood before this segment. The plain file stays.

    Raises:
        Damaged: a frame is not as it was written; nothing is left behind.
        Stopped: from ``pace``.
        OSError: the disk refuses; nothing is left behind.
    """
    target = segment.path.with_name(segment.name + ".zst")
    packer = Packer(target.with_name(target.name + ".tmp"))
    tail = _Tail(checkpoint)
    try:
        for found in _paced(_contiguous(segment), packer, pace):
            tail.take(found.header)
        sums = packer.finish()
    except BaseException:
        packer.discard()
        raise
    Path(packer._file.name).rename(target)
    write_sidecar(sidecar_path(target), tuple(packer.blocks), tail.deliveries)  # syncs the directory for both
    return Entry(
        name=target.name, first_seq=segment.first_seq, last_seq=segment.last_seq, frames=segment.frames,
        lines=packer.lines, size=packer.size, packed_size=packer.packed_size, newest_at=tail.newest_at,
        sha256=sums[0], packed_sha256=sums[1], checkpoint=tail.checkpoint, previous="",
    )  # fmt: skip


def remove_plain(segment: Segment) -> None:
    """Remove the plain file of a segment that the manifest vouches for; should it come back, recovery removes it."""
    segment.path.unlink(missing_ok=True)


class _Tail:
    """What an entry and an index say about the frames of a segment."""

    def __init__(self, checkpoint: msgspec.Raw) -> None:
        self.checkpoint = checkpoint
        self.newest_at = datetime.fromtimestamp(0, UTC)
        self.deliveries: list[Delivered] = []

    def take(self, header: Header) -> None:
        self.newest_at = header.at
        if header.checkpoint:
            self.checkpoint = header.checkpoint
        if header.delivery is not None:
            last_seq = header.seq + header.n - 1
            self.deliveries.append(Delivered(header.delivery, header.seq, last_seq, header.received_us))


def _contiguous(segment: Segment) -> Iterator[Found[Header]]:
    """Yield the segment's frames, proving that they are all there."""
    if segment.damage is not None:
        raise Damaged(0, segment.damage)
    expected = segment.first_seq
    for found in walk(segment.path, 0, segment.end, FULL):
        if found.header.seq != expected:
            raise Damaged(found.offset, f"expected sequence number {expected}, found {found.header.seq}")
        expected += found.header.n
        yield found
    if expected != segment.last_seq + 1:
        raise Damaged(segment.end, f"expected the last sequence number {segment.last_seq}, found {expected - 1}")


def _paced(frames: Iterator[Found[Header]], packer: Packer, pace: Pace) -> Iterator[Found[Header]]:
    began = perf_counter()
    for found in frames:
        if packer.add(found):
            pace(perf_counter() - began)
            began = perf_counter()
        yield found
