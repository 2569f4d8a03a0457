"""When something is due: at a fixed pace, or by a cron expression in a time zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_CRON_CHARS = 200


class Every(msgspec.Struct, frozen=True):
    """Every ``interval`` since 1970-01-01 UTC plus ``phase``: a grid, so that being late once does not shift the rest.

    ``phase`` keeps schedules of the same pace from firing all at once.
    """

    interval: timedelta
    phase: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if self.interval < timedelta(milliseconds=1):
            raise ValueError(f"expected an interval of at least 1ms, got {self.interval!r}")

    def due(self, after: datetime) -> datetime:
        """Return the first instant of the grid strictly after ``after``; the answer is UTC, to the microsecond.

        Raises:
            ValueError: ``after`` is naive.
        """
        pace = self.interval // _MICROSECOND
        since = (_aware(after) - _EPOCH - self.phase) // _MICROSECOND
        return _EPOCH + self.phase + timedelta(microseconds=(since // pace + 1) * pace)


class Cron(msgspec.Struct, frozen=True):
    """Five fields (minute, hour, day of month, month, day of week), read in the time zone of that IANA name.

    Names (``MON``, ``JAN``), ranges, lists, steps, ``L`` (last day), ``LW`` and ``FRI#2`` are understood. If neither
    day field begins with ``*``, either may match.

    Raises:
        ValueError: not such an expression, one that never fires, or an unknown time zone.
    """

    expression: str
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if len(self.expression) > _MAX_CRON_CHARS or len(self.expression.split()) != 5:
            raise ValueError(f"expected five cron fields such as '*/5 * * * *', got {self.expression[:80]!r}")
        try:
            next(CronSim(self.expression, _EPOCH))
        except CronSimError as error:
            raise ValueError(
                f"expected a cron expression such as '0 6 * * MON', got {self.expression!r}: {error}"
            ) from error
        except StopIteration:
            raise ValueError(f"the cron expression {self.expression!r} never fires: that day does not exist") from None
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"expected a time zone such as 'Europe/Zurich', got {self.timezone!r}") from error

    def due(self, after: datetime) -> datetime:
        """Return the first instant strictly after ``after`` at which it fires; the answer is UTC, whole seconds.

        When clocks change: an expression with fixed minutes and hours fires once where its local time is skipped (at
        the first minute that exists again) and once where it is repeated (at the first occurrence). One whose minute
        or hour begins with ``*`` follows elapsed time: skipped times do not fire, repeated ones fire twice.

        Raises:
            ValueError: ``after`` is naive.

        Source: cron(8) of Debian for the rule, as kept by cronsim.
        """
        instant = _aware(after)
        # A fixed local time is sought on the wall clock, which can lie before ``after`` in the repeated hour.
        for moment in CronSim(self.expression, instant.astimezone(ZoneInfo(self.timezone))):
            if (found := moment.astimezone(UTC)) > instant:
                return found
        raise AssertionError("unreachable: __post_init__ has seen it fire")


def _aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"expected an aware datetime, got {instant!r}")
    return instant.astimezone(UTC)
