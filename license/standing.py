"""What a licence is worth on a day: the ladder from valid to lapsed. Pure; days are in UTC."""

from datetime import date, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from license.document import License

WARN_DAYS: Final = (30, 14, 7, 1)
GRACE: Final = timedelta(days=14)


class Standing(StrEnum):
    """The steps, in the order in which time goes down them; COMMUNITY is where no licence was installed."""

    COMMUNITY = "community"
    VALID = "valid"
    ENDING = "ending"  # valid, and a renewal is due
    GRACE = "grace"  # past its last day; nothing is different but the warning
    LAPSED = "lapsed"  # what runs, runs on; new things above Community are refused


class Outlook(msgspec.Struct, frozen=True):
    """``days_left``: until the last day, 0 on it, below 0 afterwards; None: there is no licence.

    ``next_step``: the day on which ``standing`` changes; None: it stays.
    """

    standing: Standing
    days_left: int | None = None
    next_step: date | None = None

    @property
    def warns(self) -> bool:
        """Return whether a person should be told today."""
        return self.standing in (Standing.ENDING, Standing.GRACE, Standing.LAPSED)

    @property
    def step(self) -> int | None:
        """Return the smallest of ``WARN_DAYS`` that is reached, so that each is warned of once; None: none is."""
        if self.standing is not Standing.ENDING or self.days_left is None:
            return None
        return min(days for days in WARN_DAYS if self.days_left <= days)


def outlook(license: License | None, today: date) -> Outlook:
    """Return how ``license`` stands on ``today``. It depends on nothing else: a restart changes nothing."""
    if license is None:
        return Outlook(Standing.COMMUNITY)
    left = (license.valid_to - today).days
    if left > WARN_DAYS[0]:
        return Outlook(Standing.VALID, left, _days_after(license.valid_to, -WARN_DAYS[0]))
    if left >= 0:
        return Outlook(Standing.ENDING, left, _days_after(license.valid_to, 1))
    if left >= -GRACE.days:
        return Outlook(Standing.GRACE, left, _days_after(license.valid_to, 1 + GRACE.days))
    return Outlook(Standing.LAPSED, left)


def _days_after(day: date, days: int) -> date | None:
    """None: a day that no calendar has; a licence for ever is one until 9999-12-31."""
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return None
