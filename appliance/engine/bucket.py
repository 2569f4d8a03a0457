"""A token bucket: the rate limit of a pipeline."""

import time
from collections.abc import Callable


class TokenBucket:
    """Allows ``per_sec`` events a second and a burst of one second's worth (at least one request of any size).

    A request larger than the burst is let in when the bucket is full and puts it in debt, so that it is slow, not
    impossible.
    """

    def __init__(self, per_sec: float, now: Callable[[], float] = time.monotonic) -> None:
        self._per_sec = per_sec
        self._burst = max(1.0, per_sec)
        self._tokens = self._burst
        self._now = now
        self._at = now()

    def take(self, events: int) -> float:
        """Take ``events`` tokens and return 0, or take none and return the seconds until there would be enough."""
        now = self._now()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_sec)
        self._at = now
        wanted = min(float(events), self._burst)
        if self._tokens < wanted:
            return (wanted - self._tokens) / self._per_sec
        self._tokens -= events
        return 0.0
