"""What this process uses of its machine."""

import os
import time
from pathlib import Path
from typing import Final

_STATM: Final = Path("/proc/self/statm")


class Cores:
    """Counts computing time; ``used`` is since the last call, or since it was made."""

    def __init__(self) -> None:
        self._at, self._computed = time.monotonic(), time.process_time()

    def used(self) -> float:
        """Return how many cores' worth of computing time went by, on average."""
        now, computed = time.monotonic(), time.process_time()
        passed = max(now - self._at, 1e-3)
        share = (computed - self._computed) / passed
        self._at, self._computed = now, computed
        return round(share, 3)


def resident_bytes() -> int:
    """Return the memory this process has in use; 0 where the system does not say."""
    try:
        return int(_STATM.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):  # not Linux
        return 0
