"""How far a standby is behind, and what is told of it."""

from collections import deque
from typing import Final

import msgspec

_MOST: Final = 8192  # steps; at one a second more than two hours


class Trail:
    """Where the primary's log ended, and when: it tells how old a standby's answers may be.

    By the clock of this process alone, so that those of the servers need not agree; and a primary that writes nothing
    makes no standby look old.
    """

    def __init__(self) -> None:
        self._steps: deque[tuple[float, int]] = deque(maxlen=_MOST)

    def note(self, at: float, position: int) -> None:
        """Take down that nothing above ``position`` had been committed at ``at`` [s, monotonic]."""
        if self._steps and position < self._steps[-1][1]:
            self._steps.clear()  # another primary: what was compared with the former one tells nothing
        if self._steps and position == self._steps[-1][1]:
            self._steps.pop()
        self._steps.append((at, position))

    def reached(self, replayed: int) -> float | None:
        """Return the last moment of which a standby has everything; None: it was before the first one noted."""
        while len(self._steps) > 1 and self._steps[1][1] <= replayed:
            self._steps.popleft()
        if self._steps and self._steps[0][1] <= replayed:
            return self._steps[0][0]
        return None


class ReplicaState(msgspec.Struct, frozen=True, kw_only=True):
    """``number``: its place in ``database.replicas``, from 1. ``trouble``: why nothing is read from it; None: it is.

    ``lag_secs``: at most so far behind; None: not known. ``reads``: answered by it; ``again``: begun there, answered by
    the primary.
    """

    number: int
    reads: int
    again: int
    lag_secs: float | None
    trouble: str | None


class ReadState(msgspec.Struct, frozen=True):
    """Who answers what people look at. ``primary``: reads that it answered."""

    primary: int
    replicas: tuple[ReplicaState, ...]
