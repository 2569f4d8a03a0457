"""How many pipelines refine at the same time: how much each takes at once, and how long it rests in between."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MAX_EVENTS: Final = 100_000
MAX_BYTES: Final = 24 << 20
LEAST_EVENTS: Final = 5_000  # of a batch when many wait: fewer would cost more than they are fair
LEAST_BYTES: Final = 1 << 20
REST_SHARE: Final = 2.0  # of a batch's own duration, before the next: batches grow, receiving keeps its share
REST_MOST_SECS: Final = 0.25  # of one among few
REST_LONGEST_SECS: Final = 2.0  # of one among many
FEW: Final = 4
HURRY_AFTER_SECS: Final = 2.0  # behind by more than this, there is no rest: a burst is absorbed first, refined next
HURRY_BESIDE_SECS: Final = 0.5  # beside a replay, which rests instead: live rows lag by less than 2 s


class Crowd:
    """Shared by all refiners of a process, on its event loop.

    Each batch costs milliseconds whatever its size. So with many busy pipelines each comes less often and takes more:
    together they take about as much of the processor as one does alone. A batch of one that is far behind is smaller
    then, so that nobody waits long for a thread.
    """

    def __init__(self) -> None:
        self.busy = 0
        self.rebuilding = 0

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Count as a replay that rebuilds."""
        self.rebuilding += 1
        try:
            yield
        finally:
            self.rebuilding -= 1

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Count as busy for as long as there is something to refine."""
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1

    @property
    def most_events(self) -> int:
        return max(LEAST_EVENTS, MAX_EVENTS // max(1, self.busy))

    @property
    def most_bytes(self) -> int:
        return max(LEAST_BYTES, MAX_BYTES // max(1, self.busy))

    @property
    def longest_rest_secs(self) -> float:
        return min(REST_LONGEST_SECS, REST_MOST_SECS * max(1.0, self.busy / FEW))

    def rest_secs(self, took_secs: float) -> float:
        """Return how long to rest after a batch that took so long."""
        return min(self.longest_rest_secs, took_secs * REST_SHARE * max(1, self.busy))

    @property
    def hurry_after_secs(self) -> float:
        """Behind by more than this, a pipeline does not rest."""
        least = HURRY_BESIDE_SECS if self.rebuilding else HURRY_AFTER_SECS
        return least + 2 * (self.longest_rest_secs - REST_MOST_SECS)
