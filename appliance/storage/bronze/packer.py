"""Writing the compressed form of a segment, block by block."""

import contextlib
import os
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import msgspec
import zstandard

from appliance.storage.bronze.disk import write_all
from appliance.storage.bronze.frame import Found, Header
from appliance.storage.bronze.segment import NEVER
from appliance.storage.bronze.sidecar import Block, Delivered

BLOCK_BYTES = 1 << 20  # what one lookup has to decompress
LEVEL = 3
_EARLIEST_US = -62_135_596_800_000_000  # 0001-01-01, the first day that has a datetime


class Sums(msgspec.Struct, frozen=True):
    """What a manifest says about a compressed segment. Sizes in bytes."""

    frames: int
    lines: int
    size: int
    packed_size: int
    sha256: str
    packed_sha256: str
    damaged: int


class Packer:
    """Takes frames in order and writes them to ``draft``; ``finish`` makes it durable, ``discard`` removes it."""

    def __init__(self, draft: Path, checkpoint: msgspec.Raw) -> None:
        """``checkpoint``: as it stood before this segment."""
        self.draft = draft
        self.checkpoint = checkpoint
        self.blocks: list[Block] = []
        self.deliveries: list[Delivered] = []
        self._fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        self._plain, self._packed = sha256(), sha256()
        self._zstd = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._next = (0, 1)  # first sequence number and line of the pending block
        self._newest_us = self._block_newest_us = NEVER
        self._frames = self._lines = self._size = self._packed_size = self._damaged = 0

    @property
    def newest_at(self) -> datetime:
        """Return the latest receipt."""
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=max(self._newest_us, _EARLIEST_US))

    def add(self, found: Found[Header], frame: bytes | None = None) -> bool:
        """Take ``found``, written as ``frame`` if that is given; return whether that filled a block."""
        header = found.header
        if not self._pending:
            self._next = (header.seq, self._lines + 1)
        self._pending.append(found.chunk[found.start : found.stop] if frame is None else frame)
        self._pending_size += len(self._pending[-1])
        self._frames += 1
        self._lines += header.n + 1
        self._note(header)
        if self._pending_size < BLOCK_BYTES:
            return False
        self._flush()
        return True

    def finish(self) -> Sums:
        """Make the file durable and return what is in it."""
        self._flush()
        os.fsync(self._fd)
        self._close()
        sums = (self._plain.hexdigest(), self._packed.hexdigest())
        return Sums(self._frames, self._lines, self._size, self._packed_size, *sums, self._damaged)

    def discard(self) -> None:
        """Give up: remove what was written."""
        with contextlib.suppress(OSError):  # what is failing may fail again
            self._close()
        with contextlib.suppress(OSError):  # the next start removes it
            self.draft.unlink(missing_ok=True)

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _note(self, header: Header) -> None:
        self._block_newest_us = max(self._block_newest_us, header.received_us)
        if header.damaged is not None:
            self._damaged += header.n
        if header.checkpoint:
            self.checkpoint = header.checkpoint
        if header.delivery is not None:
            self.deliveries.append(Delivered(header.delivery, header.seq, header.last_seq, header.received_us))

    def _flush(self) -> None:
        """Write the pending frames as one block."""
        plain = b"".join(self._pending)
        if not plain:
            return
        packed = self._zstd.compress(plain)
        write_all(self._fd, [packed], self._packed_size)
        self._plain.update(plain)
        self._packed.update(packed)
        first_seq, line = self._next
        self.blocks.append(
            Block(first_seq, self._packed_size, len(packed), self._size, len(plain), line, self._block_newest_us)
        )
        self._newest_us = max(self._newest_us, self._block_newest_us)
        self._block_newest_us = NEVER
        self._size += len(plain)
        self._packed_size += len(packed)
        self._pending, self._pending_size = [], 0
