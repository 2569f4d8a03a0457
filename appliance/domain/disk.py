"""When a disk that fills is told of, slowed down for, and stops receiving: pure decisions about room."""

from enum import Enum
from typing import Final

import msgspec

RELEASED_BELOW: Final = 0.02  # of the disk: a mark is released this much below where it was reached
RELEASED_ABOVE: Final = 1.1  # times the free bytes of the stop mark
SLOWEST_SECS: Final = 0.5  # what an acknowledgement is held back for, just before the stop mark


class DiskState(Enum):
    """Mildest first; ``rank`` compares them."""

    FINE = "fine"
    WARNING = "warning"
    SLOW = "slow"  # acknowledgements are held back, replays wait, Silver is compacted
    STOPPED = "stopped"  # nothing is received or refined; reading, deleting and signing in go on

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS: Final = {state: rank for rank, state in enumerate(DiskState)}


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of the disk in use (0 … 1), and free bytes under which receiving stops as well (0: only the share)."""

    warn: float = 0.80
    slow: float = 0.90
    stop: float = 0.95
    stop_free_bytes: int = 2 << 30


class Room(msgspec.Struct, frozen=True):
    """``free``: what this process may still take. ``total``: that and what is in use, as ``df`` counts."""

    total: int
    free: int

    @property
    def used_share(self) -> float:
        return 1 - self.free / self.total if self.total > 0 else 1.0


def state_after(before: DiskState, room: Room, marks: Marks) -> DiskState:
    """Return the state that follows ``before``: at once when a mark is reached, back only some way below it."""
    reached = _worst(room, marks, 0.0, 1.0)
    if reached.rank >= before.rank:
        return reached
    held = _worst(room, marks, RELEASED_BELOW, RELEASED_ABOVE)
    return min(before, held, key=_RANKS.__getitem__)


def delay_secs(room: Room, marks: Marks) -> float:
    """Return for how long an acknowledgement is held back: nothing at the slow mark, most at the stop mark."""
    span = marks.stop - marks.slow
    part = (room.used_share - marks.slow) / span if span > 0 else 1.0
    return SLOWEST_SECS * min(1.0, max(0.0, part))


def reserve_bytes(wanted: int, total: int, marks: Marks) -> int:
    """Return how large a reserve may be: at most half of what is free when the stop mark is reached."""
    free_at_stop = max(int(total * (1 - marks.stop)), marks.stop_free_bytes)
    return max(0, min(wanted, free_at_stop // 2, total // 20))


def _worst(room: Room, marks: Marks, below: float, above: float) -> DiskState:
    used = room.used_share + below
    if used >= marks.stop or room.free < marks.stop_free_bytes * above:
        return DiskState.STOPPED
    if used >= marks.slow:
        return DiskState.SLOW
    return DiskState.WARNING if used >= marks.warn else DiskState.FINE
