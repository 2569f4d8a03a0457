"""Instants as people write them."""

from datetime import UTC, datetime, timedelta

import pytest

from appliance.services.moments import parse_moment

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T08:00:00Z", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2026-01-31T08:00:00.5+02:00", datetime(2026, 1, 31, 6, 0, 0, 500_000, tzinfo=UTC)),
        ("now", NOW),
        (" now-1h ", NOW - timedelta(hours=1)),
        ("now - 1h30m", NOW - timedelta(minutes=90)),
        ("now+1d", NOW + timedelta(days=1)),
    ],
)
def test_moments(text: str, expected: datetime) -> None:
    assert parse_moment(text, NOW) == expected


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-01-31", "2026-01-31T08:00:00", "now-", "now-1", "now1h", "now-1y", "now-999999d",
     "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-13-01T00:00:00Z", "x" * 1000],
)  # fmt: skip
def test_what_is_no_moment_says_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected a"):
        parse_moment(text, NOW)
