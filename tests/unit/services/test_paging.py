"""Cursors go round; what is no cursor is refused."""

from datetime import UTC, datetime

import pytest

from appliance.errors import Invalid
from appliance.services.paging import bounded, cursor_of, place_of


def test_a_cursor_goes_round() -> None:
    place = [datetime(2026, 1, 31, 8, 0, 0, 1, tzinfo=UTC), 7, 0]
    cursor = cursor_of(place)
    assert cursor.isascii()
    assert not set(cursor) & set("+/= ")
    assert place_of(cursor, tuple[datetime, int, int]) == tuple(place)


@pytest.mark.parametrize("cursor", ["", "x", "é", "W10", "WzFd", "bnVsbA", "W" * 100_000, "WyJhIiwiYiJd"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid) as caught:
        place_of(cursor)
    assert caught.value.problems[0].pointer == "/cursor"


def test_limits_are_bounded() -> None:
    assert bounded(500) == 500
    for wrong in (0, -1, 501):
        with pytest.raises(Invalid):
            bounded(wrong)
