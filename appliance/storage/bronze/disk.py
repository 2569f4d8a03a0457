"""The system calls that durability hangs on, as values: a test hands in others to model a disk that loses or fails."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.components.durable import sync_directory

Write = Callable[[int, Sequence[bytes], int], None]
Sync = Callable[[int], None]

_IOV_MAX = 1024


def write_all(fd: int, buffers: Sequence[bytes], offset: int) -> None:
    """Write ``buffers`` one after the other at ``offset``, whatever the kernel takes at a time."""
    for start in range(0, len(buffers), _IOV_MAX):
        group = buffers[start : start + _IOV_MAX]
        size = sum(map(len, group))
        written = os.pwritev(fd, group, offset)
        if written < size:
            _write_rest(fd, memoryview(b"".join(group))[written:], offset + written)
        offset += size


def _write_rest(fd: int, rest: memoryview, offset: int) -> None:
    while rest:
        written = os.pwrite(fd, rest, offset)
        rest, offset = rest[written:], offset + written


@dataclass(frozen=True)
class Disk:
    """``write(fd, buffers, offset)`` and ``sync(fd)``; what was written is durable when ``sync`` has returned."""

    write: Write = write_all
    sync: Sync = os.fdatasync


def write_new(path: Path, content: bytes) -> None:
    """Write ``content`` as a durable file that appears whole or not at all."""
    draft = path.with_name(path.name + ".tmp")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    try:
        write_all(fd, [content], 0)
        os.fsync(fd)
    finally:
        os.close(fd)
    draft.rename(path)
    sync_directory(path.parent)
