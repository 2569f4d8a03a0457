"""How far a move is: lines copied and lines compared, and how long the rest may take."""

import time
from collections.abc import Callable
from enum import Enum

import msgspec


class Doing(Enum):
    COPYING = "copying"
    COMPARING = "comparing"


class Step(msgspec.Struct, frozen=True):
    """``done``, ``total``: lines, each counted when it is copied and when it is compared. ``secs_left``: at this rate.

    ``rate_per_sec``: since the beginning; what was there already, from a move that was interrupted, counts as well.
    """

    doing: Doing
    pipeline: str
    done: int
    total: int
    rate_per_sec: float
    secs_left: float | None


Told = Callable[[Step], None]


class Count:
    """Counts lines, and tells after each part."""

    def __init__(self, total: int, told: Told, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self._told, self._clock = total, told, clock
        self._done, self._began = 0, clock()

    def add(self, doing: Doing, pipeline: str, lines: int) -> None:
        """Take note of lines that were copied or compared."""
        self._done += lines
        took = self._clock() - self._began
        rate = self._done / took if took > 0 else 0.0
        left = max(0, self.total - self._done) / rate if rate else None
        self._told(Step(doing, pipeline, self._done, self.total, rate, left))
