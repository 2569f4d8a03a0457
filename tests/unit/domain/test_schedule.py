from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.schedule import Cron, Every


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def instants(first: str, last: str) -> st.SearchStrategy[datetime]:
    micros = st.integers(0, (utc(last) - utc(first)) // timedelta(microseconds=1))
    return micros.map(lambda count: utc(first) + timedelta(microseconds=count))


def test_every_keeps_to_its_grid() -> None:
    every = Every(timedelta(seconds=60))
    assert every.due(utc("2026-03-01T10:00:00")) == utc("2026-03-01T10:01:00")
    assert every.due(utc("2026-03-01T10:00:59.999999")) == utc("2026-03-01T10:01:00")
    assert Every(timedelta(seconds=60), timedelta(seconds=7)).due(utc("2026-03-01T10:00:00")) == utc(
        "2026-03-01T10:00:07"
    )


@given(
    instants("1971-01-01", "2200-01-01"),
    st.timedeltas(timedelta(milliseconds=1), timedelta(days=400)),
)
def test_every_is_strictly_after_and_within_one_interval(after: datetime, interval: timedelta) -> None:
    due = Every(interval).due(after)
    assert after < due <= after + interval
    assert Every(interval).due(due) == due + interval


@pytest.mark.parametrize("interval", [timedelta(0), timedelta(seconds=-1), timedelta(microseconds=999)])
def test_every_refuses_no_pace(interval: timedelta) -> None:
    with pytest.raises(ValueError, match="at least 1ms"):
        Every(interval)


def test_naive_instants_are_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        Every(timedelta(seconds=1)).due(datetime(2026, 1, 1))  # noqa: DTZ001 - naive on purpose
    with pytest.raises(ValueError, match="aware"):
        Cron("* * * * *").due(datetime(2026, 1, 1))  # noqa: DTZ001 - naive on purpose


@pytest.mark.parametrize(
    ("expression", "timezone", "after", "expected"),
    [
        ("*/5 * * * *", "UTC", "2026-03-01T10:00:00", "2026-03-01T10:05:00"),
        ("0 6 * * MON", "UTC", "2026-03-01T10:00:00", "2026-03-02T06:00:00"),
        ("30 2 * * *", "Europe/Zurich", "2026-01-15T00:00:00", "2026-01-15T01:30:00"),
        ("0 0 L * *", "UTC", "2026-02-01T00:00:00", "2026-02-28T00:00:00"),
        # Zurich 2026-03-29: 02:00 to 03:00 do not exist; 03:00 CEST is 01:00 UTC.
        ("30 2 * * *", "Europe/Zurich", "2026-03-28T12:00:00", "2026-03-29T01:00:00"),
        ("30 2 * * *", "Europe/Zurich", "2026-03-29T01:00:00", "2026-03-30T00:30:00"),
        ("*/30 * * * *", "Europe/Zurich", "2026-03-29T00:30:00", "2026-03-29T01:00:00"),
        # Zurich 2026-10-25: 02:00 to 03:00 come twice; 02:30 CEST is 00:30 UTC, 02:30 CET is 01:30 UTC.
        ("30 2 * * *", "Europe/Zurich", "2026-10-24T12:00:00", "2026-10-25T00:30:00"),
        ("30 2 * * *", "Europe/Zurich", "2026-10-25T00:30:00", "2026-10-26T01:30:00"),
        ("30 2 * * *", "Europe/Zurich", "2026-10-25T01:10:00", "2026-10-26T01:30:00"),
        ("*/30 * * * *", "Europe/Zurich", "2026-10-25T00:30:00", "2026-10-25T01:00:00"),
    ],
)
def test_cron(expression: str, timezone: str, after: str, expected: str) -> None:
    assert Cron(expression, timezone).due(utc(after)) == utc(expected)


@given(
    st.sampled_from(["30 2 * * *", "0 * * * *", "15 1,2,3 * * *", "*/20 2 * * *", "0 0 1 * *"]),
    instants("2026-03-27", "2026-03-31") | instants("2026-10-23", "2026-10-28"),
)
def test_cron_is_strictly_after(expression: str, after: datetime) -> None:
    due = Cron(expression, "Europe/Zurich").due(after)
    assert due > after
    assert due.utcoffset() == timedelta(0)
    assert due.microsecond == 0


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "* * * * * *", "61 * * * *", "x * * * *", "0 0 30 2 *", "0 0 31 2,4 *", "*," * 200 + "* * * * *"],
)
def test_what_is_no_cron_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="cron"):
        Cron(expression)


@pytest.mark.parametrize("timezone", ["Mars/Olympus", "../../etc/passwd", "", "Europe"])
def test_what_is_no_time_zone_is_refused(timezone: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        Cron("* * * * *", timezone)
