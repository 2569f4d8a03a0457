"""Which period a row is in, and how long periods are."""

from datetime import UTC, datetime, timedelta

import pytest

from appliance.storage.silver_postgres.length import Length, length_for, period_of

AT = datetime(2026, 11, 29, 23, 59, 59, 999_999, tzinfo=UTC)  # a Sunday


def day(month: int, day: int, year: int = 2026) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


@pytest.mark.parametrize(
    ("length", "starts", "ends"),
    [
        (Length.DAY, day(11, 29), day(11, 30)),
        (Length.WEEK, day(11, 23), day(11, 30)),
        (Length.MONTH, day(11, 1), day(12, 1)),
    ],
)
def test_an_instant_is_in_the_period_that_has_it(length: Length, starts: datetime, ends: datetime) -> None:
    assert period_of(AT, length) == (starts, ends)
    assert period_of(starts, length) == (starts, ends)
    assert period_of(ends, length).starts == ends


def test_december_ends_with_the_year() -> None:
    assert period_of(day(12, 31), Length.MONTH) == (day(12, 1), day(1, 1, 2027))


@pytest.mark.parametrize(
    ("days", "length"),
    [(1, Length.DAY), (14, Length.DAY), (15, Length.WEEK), (120, Length.WEEK), (121, Length.MONTH)],
)
def test_the_shorter_rows_are_kept_the_shorter_are_periods(days: int, length: Length) -> None:
    assert length_for(timedelta(days=days)) is length
