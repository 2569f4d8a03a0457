"""Counts events by second, to say how many a second arrive now."""

import time
from collections import deque
from typing import Final

WINDOW_SECS: Final = 10


class Meter:
    """A rate over the last ten whole seconds; costs one addition an arrival."""

    def __init__(self) -> None:
        self._seconds: deque[list[int]] = deque(maxlen=WINDOW_SECS + 1)  # [second, events], oldest first

    def add(self, events: int) -> None:
        now = int(time.monotonic())
        if self._seconds and self._seconds[-1][0] == now:
            self._seconds[-1][1] += events
        else:
            self._seconds.append([now, events])

    def rate(self) -> float:
        """Return events per second, over the window or since the first event if that is shorter."""
        now = time.monotonic()
        inside = [second for second in self._seconds if second[0] > now - WINDOW_SECS - 1]
        if not inside:
            return 0.0
        span = min(WINDOW_SECS, max(1.0, now - inside[0][0]))
        return sum(events for _, events in inside) / span
