"""Periods of time that rows are partitioned by: days, weeks or months of UTC."""

from datetime import datetime, timedelta
from enum import Enum
from typing import Final, NamedTuple


class Length(Enum):
    """How long a period is."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Period(NamedTuple):
    """``starts`` inclusive, ``ends`` exclusive."""

    starts: datetime
    ends: datetime


_KEPT_AT_MOST: Final = ((timedelta(days=14), Length.DAY), (timedelta(days=120), Length.WEEK))


def length_for(kept: timedelta) -> Length:
    """Return how long periods are where rows are kept for so long: some ten of them, so that little is kept longer."""
    return next((length for most, length in _KEPT_AT_MOST if kept <= most), Length.MONTH)


def period_of(instant: datetime, length: Length) -> Period:
    """Return the period that an instant is in. Days, weeks from Monday, and months of UTC."""
    day = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    match length:
        case Length.DAY:
            return Period(day, day + timedelta(days=1))
        case Length.WEEK:
            monday = day - timedelta(days=day.weekday())
            return Period(monday, monday + timedelta(days=7))
        case Length.MONTH:
            first = day.replace(day=1)
            return Period(first, (first + timedelta(days=32)).replace(day=1))
