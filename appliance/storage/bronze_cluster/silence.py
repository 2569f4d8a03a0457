"""Nodes that could not be reached a moment ago: asking them again at once would only make everybody wait again."""

from collections.abc import Callable
from time import monotonic
from typing import Final

SECS: Final = 2.0


class Silence:
    """For any thread: what two of them say at the same moment is the same."""

    def __init__(self, secs: float = SECS, clock: Callable[[], float] = monotonic) -> None:
        self._secs, self._clock = secs, clock
        self._told: dict[str, tuple[float, str]] = {}

    def begins(self, address: str, why: str) -> None:
        self._told[address] = (self._clock() + self._secs, why)

    def reason(self, address: str) -> str | None:
        """Return why ``address`` could not be reached just now; None: it may be asked."""
        until, why = self._told.get(address, (0.0, ""))
        return why if self._clock() < until else None
