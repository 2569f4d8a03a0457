"""Keeps the C allocator small: few arenas, and memory that was freed goes back to the system while nothing happens.

glibc makes an arena for each thread and keeps what was freed in it; with a dozen threads that is tens of megabytes
which nobody uses. Where there is no glibc, nothing happens.
"""

import asyncio
import ctypes
from collections.abc import Callable
from typing import Final

_M_ARENA_MAX: Final = -8  # mallopt(3)
ARENAS: Final = 2
TRIM_EVERY_SECS: Final = 30.0


def bound_arenas() -> None:
    """Let all threads share two arenas; call before there are threads."""
    mallopt = _function("mallopt")
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS)


async def keep_trimming() -> None:
    """Give freed memory back twice a minute; returns only by cancellation."""
    trim = _function("malloc_trim")
    while trim is not None:
        await asyncio.sleep(TRIM_EVERY_SECS)
        await asyncio.to_thread(trim, 0)


def _function(name: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), name, None)
