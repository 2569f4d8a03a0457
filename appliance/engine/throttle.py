"""How much of its time a replay works: all of it while nothing else happens, less as others have to wait."""

from typing import Final

import msgspec

BUSY_EVENTS_PER_SEC: Final = 1_000.0  # received: a trickle leaves a replay alone
LAG_NONE_SECS: Final = 0.3
LAG_FINE_SECS: Final = 0.8
LAG_TOO_LONG_SECS: Final = 1.2  # live rows may lag by 2 s; what is under way when this is seen takes its time too
LEAST_SHARE: Final = 0.02  # it always comes to an end
FIRST_BESIDE: Final = 0.25  # when others begin to do something: live rows must not lag before it is noticed
MOST_BESIDE: Final = 0.9
MOST_BESIDE_READERS: Final = 0.5
STEP: Final = 0.05


class Pressure(msgspec.Struct, frozen=True):
    """What else the appliance does at this moment.

    ``lag_secs``: of the live refiner that is furthest behind; ``received_per_sec``: events, over all pipelines;
    ``reading``: queries and exports under way or waiting. ``disk_slow``: the disk fills; whatever can wait should.
    """

    lag_secs: float = 0.0
    received_per_sec: float = 0.0
    reading: int = 0
    disk_slow: bool = False

    @property
    def none(self) -> bool:
        if self.disk_slow:
            return False
        return self.lag_secs < LAG_NONE_SECS and self.received_per_sec < BUSY_EVENTS_PER_SEC and not self.reading


class Throttle:
    """Additive increase, multiplicative decrease of the share of time that a replay works."""

    def __init__(self) -> None:
        self.share = 1.0

    @property
    def throttled(self) -> bool:
        return self.share < 1.0

    def pause(self, worked_secs: float, now: Pressure) -> float:
        """Return the seconds to rest after ``worked_secs`` of work."""
        self.share = self._share(now)
        return worked_secs * (1.0 / self.share - 1.0)

    def _share(self, now: Pressure) -> float:
        if now.disk_slow:
            return LEAST_SHARE
        if now.none:
            return min(1.0, self.share * 1.5)
        if not self.throttled and now.received_per_sec >= BUSY_EVENTS_PER_SEC:
            return FIRST_BESIDE
        most = MOST_BESIDE_READERS if now.reading else MOST_BESIDE
        if now.lag_secs > LAG_TOO_LONG_SECS:
            return max(LEAST_SHARE, min(most, self.share) / 2)
        if now.lag_secs > LAG_FINE_SECS:
            return max(LEAST_SHARE, min(most, self.share))
        return min(most, max(LEAST_SHARE, self.share + STEP))
