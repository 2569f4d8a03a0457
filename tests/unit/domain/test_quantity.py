from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.quantity import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("1h", timedelta(hours=1)),
        ("365d", timedelta(days=365)),
        ("2w", timedelta(days=14)),
        ("250ms", timedelta(milliseconds=250)),
        ("1h30m", timedelta(minutes=90)),
        ("1 h 30 min", timedelta(minutes=90)),
        ("1.5d", timedelta(hours=36)),
        ("0s", timedelta(0)),
        (" 10 seconds ", timedelta(seconds=10)),
        ("15us", timedelta(microseconds=15)),
    ],
)
def test_durations_are_read(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "30", "1.5", "s", "-5s", "5 parsecs", "1y", "5s later", "1e3s", "٣s", "99999999999999999w", "1" * 200]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


def test_a_missing_unit_is_named() -> None:
    with pytest.raises(ValueError, match="got '30': the unit is missing"):
        parse_duration("30")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10 MiB", 10_485_760),
        ("10MiB", 10_485_760),
        ("512 B", 512),
        ("1.5 GB", 1_500_000_000),
        ("2 kb", 2_000),
        ("1 TiB", 1_099_511_627_776),
        ("7 bytes", 7),
    ],
)
def test_sizes_are_read(text: str, expected: int) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize("text", ["", "10", "MiB", "-1 B", "1 MiB 2 KiB", "9000000 TiB", "1 Mbit"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36_500)))
def test_every_duration_comes_back(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@given(st.integers(0, 1 << 60))
def test_every_size_comes_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


def test_the_written_forms() -> None:
    assert format_duration(timedelta(minutes=90)) == "1h30m"
    assert format_duration(timedelta(0)) == "0s"
    assert format_size(10 * 1024 * 1024) == "10 MiB"
    assert format_size(1536) == "1536 B"
