"""How fast something grows, and when it will be full: from samples, without being led astray by single ones."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Final

LEAST_SAMPLES: Final = 6
LEAST_SPAN: Final = timedelta(hours=5)
MOST_POINTS: Final = 100  # of longer series every so-manyth: the work grows with the square
DAY_SECS: Final = 86_400.0
FAR_DAYS: Final = 3650.0  # beyond ten years nobody needs to know

Sample = tuple[datetime, int]


def growth_per_day(samples: Sequence[Sample]) -> float | None:
    """Return bytes a day: the median of the slopes between any two samples (Theil-Sen); None: too few to tell.

    ``samples``: oldest first. Up to 29 % of them may be anything (a clean-up, a disk made larger).
    """
    if len(samples) < LEAST_SAMPLES or samples[-1][0] - samples[0][0] < LEAST_SPAN:
        return None
    step = -(-len(samples) // MOST_POINTS)
    points = [(at.timestamp(), size) for at, size in reversed(samples[::-1][::step])]
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for place, earlier in enumerate(points)
        for later in points[place + 1 :]
        if later[0] > earlier[0]
    ]
    return median(slopes) * DAY_SECS if slopes else None


def days_until(room_bytes: int, growth: float | None) -> float | None:
    """Return in how many days ``room_bytes`` are used up; None: not known, not growing, or not within ten years."""
    if growth is None or growth <= 0:
        return None
    days = max(0, room_bytes) / growth
    return round(days, 2) if days <= FAR_DAYS else None
