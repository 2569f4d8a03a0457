from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.forecast import days_until, growth_per_day

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
GIB = 1 << 30


def hourly(*sizes: int) -> list[tuple[datetime, int]]:
    return [(MONDAY + timedelta(hours=hour), size) for hour, size in enumerate(sizes)]


def test_too_few_samples_tell_nothing() -> None:
    assert growth_per_day([]) is None
    assert growth_per_day(hourly(1, 2, 3, 4, 5)) is None
    assert growth_per_day([(MONDAY + timedelta(minutes=minute), minute) for minute in range(100)]) is None


def test_steady_growth_is_found() -> None:
    assert growth_per_day(hourly(*range(0, 1200, 100))) == pytest.approx(2400)  # 100 an hour


@given(st.integers(0, GIB), st.integers(-GIB, GIB), st.lists(st.integers(0, 40), max_size=9, unique=True), st.data())
def test_some_odd_samples_do_not_matter(start: int, slope: int, odd: list[int], data: st.DataObject) -> None:
    """9 of 41 are 22 %: fewer than the 29 that the median of slopes bears."""
    sizes = [start + slope * hour for hour in range(41)]
    for place in odd:
        sizes[place] = data.draw(st.integers(-(1 << 40), 1 << 40))
    found = growth_per_day(hourly(*sizes))
    assert found is not None
    if not odd:
        assert found == pytest.approx(slope * 24)


def test_a_clean_up_in_the_middle_hides_no_growth() -> None:
    sizes = [hour * GIB for hour in range(40)]
    sizes[35:] = [size - 30 * GIB for size in sizes[35:]]
    found = growth_per_day(hourly(*sizes))
    assert found is not None
    assert 20 * GIB < found < 25 * GIB


@given(st.integers(101, 900))
def test_long_series_are_thinned_and_tell_the_same(count: int) -> None:
    assert growth_per_day(hourly(*range(0, count * 10, 10))) == pytest.approx(240)


@pytest.mark.parametrize(
    ("room", "growth", "days"),
    [
        (100, 10.0, 10),
        (0, 10.0, 0),
        (-5, 10.0, 0),
        (100, None, None),
        (100, 0.0, None),
        (100, -3.0, None),
        (GIB, 1.0, None),
    ],
)
def test_days_until_full(room: int, growth: float | None, days: float | None) -> None:
    assert days_until(room, growth) == days
