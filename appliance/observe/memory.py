"""Keeps the process small: few arenas, freed memory given back, and what only starting needed let go.

glibc makes an arena for each thread and keeps what was freed in it; with a dozen threads that is tens of megabytes
which nobody uses. All of this is for Linux with glibc; elsewhere nothing happens.
"""

import asyncio
import ctypes
import gc
import os
import re
from pathlib import Path
from typing import Final

ARENAS: Final = 2
TRIM_EVERY_SECS: Final = 30.0
_M_ARENA_MAX: Final = -8  # mallopt(3)
_MADV_DONTNEED: Final = 4
_MAPPING: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ [1-9]\d* +/")
_SMAPS: Final = Path("/proc/self/smaps")


def bound_arenas() -> None:
    """Let all threads share two arenas; call before there are threads."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS)


def choose_allocators() -> None:
    """Have libraries give back what they freed; call before they are imported, which is when they read this.

    Arrow's own pool takes two huge pages for some kilobytes and keeps what is freed: it shares everybody's instead.
    DuckDB's gives back only while DuckDB works: a thread of its own does so meanwhile, and no later than is useful.
    """
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    os.environ["DUCKDB_JE_MALLOC_CONF"] = "background_thread:true,dirty_decay_ms:200,muzzy_decay_ms:0"


async def keep_trimming() -> None:
    """Give freed memory back twice a minute; returns only by cancellation, or where it cannot be done."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:
        await asyncio.sleep(TRIM_EVERY_SECS)
        await asyncio.to_thread(trim, 0)


def give_back_start() -> None:
    """Collect what imports left over, keep the collector away from what stays, and unmap the program's idle pages.

    Pages of program files stay in the page cache, so that touching one again costs a minor fault, no reading.
    """
    gc.collect()
    gc.freeze()
    try:
        libc = ctypes.CDLL(None)
        libc.malloc_trim(0)
        for start, length in _clean_file_pages(_SMAPS.read_text("ascii", "replace")):
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_DONTNEED)
    except (OSError, AttributeError):  # no /proc, or a C library without these: the memory stays, nothing breaks
        return


def _clean_file_pages(smaps: str) -> list[tuple[int, int]]:
    """Return (start, length) of the mappings of files that cannot be written and hold no page of this process's own.

    Where the loader has relocated something, ``Anonymous`` is not 0: dropping that would lose it.
    """
    found: list[tuple[int, int]] = []
    place: tuple[int, int] | None = None
    for line in smaps.splitlines():
        if mapping := _MAPPING.match(line):
            start, end = int(mapping[1], 16), int(mapping[2], 16)
            place = (start, end - start) if "w" not in mapping[3] and mapping[3].endswith("p") else None
        elif re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            place = None
        elif place and line.startswith("Anonymous:") and line.split()[1] == "0":
            found.append(place)
    return found
