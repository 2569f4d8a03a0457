"""What is decided about chunks and columns, without a database."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from appliance.storage.silver_postgres.timescale import Edition, Extension
from appliance.storage.silver_postgres.timescale_columns import Statistic, most_telling
from appliance.storage.silver_postgres.timescale_widths import AT_ONCE, MOST, microseconds, slots_of, width_for

DAY = microseconds(timedelta(days=1))


def times(*instants: datetime) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(instants, pa.timestamp("us", "UTC"))])


@pytest.mark.parametrize(
    ("version", "supported"),
    [("2.28.3", True), ("2.20.0", True), ("2.29.0-dev", True), ("2.19.9", False), ("3.0", True), ("2.3.1", False)],
)
def test_versions_are_compared_as_numbers(version: str, supported: bool) -> None:
    assert Extension(version, Edition.COMMUNITY, "public").supported is supported


def test_only_the_community_edition_has_columns() -> None:
    assert Extension("2.28.3", Edition.COMMUNITY, "public").has_columnstore
    assert not Extension("2.28.3", Edition.APACHE, "public").has_columnstore


def test_slots_are_days_since_1970() -> None:
    first = datetime(1970, 1, 3, 23, 59, 59, 999_999, UTC)
    assert slots_of(times(), DAY) == []
    assert slots_of(times(first, datetime(1970, 1, 3, tzinfo=UTC)), DAY) == [2]
    assert slots_of(times(datetime(1970, 1, 11, tzinfo=UTC), first), DAY) == [2, 10]
    assert slots_of(times(datetime(1969, 12, 31, tzinfo=UTC)), DAY) == [-1]


def test_chunks_are_as_wide_as_asked_for_while_there_are_few() -> None:
    assert width_for(range(AT_ONCE), 0, DAY) == DAY
    assert width_for([5], MOST - 1, DAY) == DAY


def test_many_new_chunks_at_once_become_wider_by_powers_of_two() -> None:
    assert width_for(range(2 * AT_ONCE), 0, DAY) == 2 * DAY
    assert width_for(range(365), 0, DAY) == 16 * DAY  # 365 / 16 = 22.8: 23 chunks; by 8 they would be 46


def test_beyond_the_budget_chunks_become_wider_the_more_there_are() -> None:
    assert width_for([7], MOST, DAY) == 4 * DAY
    assert width_for([7], MOST + 49, DAY) == 8 * DAY
    assert width_for(range(40), MOST - 10, DAY) == 4 * DAY
    assert width_for([7], MOST + 5_000, DAY) == microseconds(timedelta(days=365_250))


def test_the_days_of_a_century_make_some_hundred_chunks() -> None:
    there, day = 0, 0
    while day < 36_525:
        width = width_for([day], there, DAY) // DAY
        there, day = there + 1, day + width
    assert there < 800


def test_the_column_that_tells_devices_apart_has_many_values_that_come_often() -> None:
    device, site = Statistic("device", 100, 100_000), Statistic("site", 7, 100_000)
    note, trace = Statistic("note", 1, 100_000), Statistic("trace", 50_000, 100_000)
    assert most_telling([site, device, note, trace]) == "device"
    assert most_telling([note, trace]) is None
    assert most_telling([]) is None
