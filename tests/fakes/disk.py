"""Disks that lose, tear or refuse writes: what FileBronzeLog is handed instead of pwritev and fdatasync."""

import errno
import os
import random
from collections.abc import Sequence

_SECTOR = 512


class VolatileDisk:
    """A disk with a cache that a power cut empties: writes stay in this process until ``sync``.

    Then they go to the file sector by sector, in no particular order. So a process killed before ``sync`` has lost
    all of them, and one killed within it leaves any subset of the sectors behind.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._held: dict[int, list[tuple[int, bytes]]] = {}  # by inode: offset, bytes

    def write(self, fd: int, buffers: Sequence[bytes], offset: int) -> None:
        self._held.setdefault(os.fstat(fd).st_ino, []).append((offset, b"".join(buffers)))

    def sync(self, fd: int) -> None:
        sectors = [
            (offset + start, content[start : start + _SECTOR])
            for offset, content in self._held.pop(os.fstat(fd).st_ino, [])
            for start in range(0, len(content), _SECTOR)
        ]
        self._random.shuffle(sectors)
        for place, sector in sectors:
            os.pwrite(fd, sector, place)
        os.fdatasync(fd)


class FailingDisk:
    """A disk of which the next calls can be told to fail. Counts the calls and the descriptors they came for."""

    def __init__(self) -> None:
        self.failures: list[int] = []  # errno of the next syncs, 0: works
        self.syncs: list[tuple[int, int]] = []  # inode and errno of each

    def sync(self, fd: int) -> None:
        number = self.failures.pop(0) if self.failures else 0
        self.syncs.append((os.fstat(fd).st_ino, number))
        if number:
            raise OSError(number, os.strerror(number))
        os.fdatasync(fd)


def short_write(fd: int, buffers: Sequence[bytes], offset: int) -> None:
    """Write half and then find the disk full."""
    content = b"".join(buffers)
    os.pwrite(fd, content[: len(content) // 2], offset)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
