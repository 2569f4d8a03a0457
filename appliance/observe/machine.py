"""What this process stands on and may use: the system, memory of the machine or of its control group, open files."""

import os
import platform
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MOST_FILES: Final = 65_536
_ROOT: Final = Path("/")


def about_machine() -> dict[str, str | int | float]:
    """Return what tells one machine from another where programs are concerned; no name, no address."""
    libc, version = platform.libc_ver()
    return {
        "python": platform.python_version(),
        "kernel": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "libc": f"{libc} {version}",
        "cores": os.cpu_count() or 0,
        "memory_bytes": memory_bytes(),
        "up_secs": round(time.clock_gettime(time.CLOCK_BOOTTIME)),
    }


def memory_bytes(root: Path = _ROOT) -> int:
    """Return the memory of the machine, or less where a control group (version 2 or 1) allows less.

    ``root``: below which ``proc`` and ``sys`` are looked for.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits(root)])


def raise_open_files() -> int:
    """Let this process open as many files as it may (at most 65,536) and return that number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return MOST_FILES if soft == resource.RLIM_INFINITY else soft


def _limits(root: Path) -> Iterator[int]:
    """Yield every limit that is set for this process's groups, from its own up to the outermost."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, place = line.split(":", 2)
        if not controllers:
            yield from _upwards(root / "sys/fs/cgroup", place, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _upwards(root / "sys/fs/cgroup/memory", place, "memory.limit_in_bytes")


def _upwards(mount: Path, place: str, name: str) -> Iterator[int]:
    group = mount / place.lstrip("/")
    while True:
        text = _text(group / name).strip()
        if text.isdecimal() and int(text) > 0:
            yield int(text)
        if group == mount or mount not in group.parents:
            return
        group = group.parent


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError):  # not Linux, or a group that this namespace does not show
        return ""
