from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.retry import Backoff, Circuit, RetryPolicy, retry_after_secs, wait_secs

POLICY = RetryPolicy(first_secs=1, most_secs=60, open_after=3, heed_secs=3600)
NOW = datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("failures", "draw", "asked", "expected"),
    [
        (1, 0.5, None, 0.5),
        (2, 0.5, None, 1.0),
        (4, 0.5, None, 4.0),  # 1 s * 2**3 * 0.5
        (100, 0.5, None, 30.0),  # ceiling 60 s
        (1, 0.5, 20.0, 20.0),
        (7, 0.5, 20.0, 30.0),
        (1, 0.0, 1e9, 3600.0),
    ],
)
def test_wait(failures: int, draw: float, asked: float | None, expected: float) -> None:
    assert wait_secs(POLICY, failures, draw, asked) == expected


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.none() | st.floats(0, 1e6))
def test_the_wait_is_bounded(failures: int, draw: float, asked: float | None) -> None:
    assert 0 <= wait_secs(POLICY, failures, draw, asked) <= 3600
    assert wait_secs(POLICY, failures, draw, asked) >= min(asked or 0, 3600)


def test_backoff_counts_and_forgets() -> None:
    backoff = Backoff(POLICY, draw=lambda: 0.5)
    assert [backoff.failed() for _ in range(4)] == [0.5, 1.0, 2.0, 4.0]
    assert backoff.circuit is Circuit.OPEN
    backoff.worked()
    assert (backoff.failures, backoff.circuit) == (0, Circuit.CLOSED)
    assert backoff.failed(9.0) == 9.0


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Sun, 01 Mar 2026 10:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 09:00:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
        ("٣", None),
        ("Sun, 99 Mar 2026 10:00:30 GMT", None),
    ],
)
def test_retry_after(header: str | None, expected: float | None) -> None:
    assert retry_after_secs(header, NOW) == expected


@given(st.text(max_size=60))
def test_retry_after_never_raises(header: str) -> None:
    found = retry_after_secs(header, NOW)
    assert found is None or found >= 0
