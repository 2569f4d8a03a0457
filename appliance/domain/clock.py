"""The clock as a value that is handed in, so that time can be chosen in tests."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
Elapsed = Callable[[], float]  # seconds since some moment, never set, the same for all threads


def utc_now() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(UTC)


def elapsed_secs() -> float:
    """Return the seconds since the machine started, also those it slept through; nobody can set this clock."""
    if hasattr(time, "CLOCK_BOOTTIME"):  # Linux; its CLOCK_MONOTONIC stands still while the machine is suspended
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
