"""The writing end of the open segment: takes space ahead, writes, makes durable, gives back what is left."""

import errno
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

from appliance.components.durable import sync_directory
from appliance.storage.bronze.disk import Disk

_FIRST_STEP = 1 << 18
_LARGEST_STEP = 1 << 23
_NO_SPACE_AHEAD = {errno.ENOSPC, errno.EOPNOTSUPP, errno.EINVAL, errno.EDQUOT, errno.EFBIG}


class Writer:
    """One file descriptor. After any OSError it must not be written to again: ``abandon`` it."""

    def __init__(self, path: Path, end: int, disk: Disk) -> None:
        """Open ``path``, whose content up to ``end`` is durable; create it (durably) where it is missing."""
        self.path = path
        self._disk = disk
        new = not path.exists()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._taken = end
        try:
            if new:
                sync_directory(path.parent)
        except OSError:
            os.close(self._fd)
            raise

    def append(self, buffers: Sequence[bytes], end: int) -> int:
        """Write ``buffers`` at ``end``, make them durable, and return the new end."""
        after = end + sum(map(len, buffers))
        if after > self._taken:
            self._take_ahead(after)
        self._disk.write(self._fd, buffers, end)
        self._disk.sync(self._fd)
        return after

    def close(self, end: int) -> None:
        """Give back the space beyond ``end`` and close."""
        try:
            os.ftruncate(self._fd, end)
        finally:
            os.close(self._fd)

    def _take_ahead(self, after: int) -> None:
        """Take space up to ``after`` and as much again as the file has (within bounds): syncs need not grow it then."""
        step = min(max(self._taken, _FIRST_STEP), _LARGEST_STEP)
        size = max(after, self._taken + step) - self._taken
        try:
            os.posix_fallocate(self._fd, self._taken, size)
        except OSError as error:
            if error.errno not in _NO_SPACE_AHEAD:
                raise
            size = after - self._taken  # taking ahead is a wish; whether there is room, the write itself finds out
        self._taken += size


class OpenFiles:
    """Keeps the number of open writers bounded: asks the pipeline that wrote longest ago to close its file."""

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._lock = Lock()
        self._parks: OrderedDict[int, Callable[[], bool]] = OrderedDict()

    def used(self, owner: int, park: Callable[[], bool]) -> None:
        """Note that ``owner`` wrote just now. ``park`` closes its file, or answers False while that is busy."""
        with self._lock:
            self._parks[owner] = park
            self._parks.move_to_end(owner)
            excess = len(self._parks) - self._limit
            surplus = list(self._parks.items())[:excess] if excess > 0 else []
        for other, close in surplus:
            if close():
                self.gone(other)

    def gone(self, owner: int) -> None:
        """Note that ``owner`` has no open file any more."""
        with self._lock:
            self._parks.pop(owner, None)
