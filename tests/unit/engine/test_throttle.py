"""How much of its time a replay works beside everything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.engine.throttle import LEAST_SHARE, Pressure, Throttle

QUIET = Pressure(lag_secs=0.01, received_per_sec=3, reading=0)


def test_at_rest_it_never_rests() -> None:
    throttle = Throttle()
    assert [throttle.pause(0.1, QUIET) for _ in range(5)] == [0, 0, 0, 0, 0]
    assert not throttle.throttled


def test_it_gives_way_as_live_rows_lag_and_comes_back_when_they_do_not() -> None:
    throttle = Throttle()
    behind, busy = Pressure(1.3, 150_000, 0), Pressure(0.6, 150_000, 0)
    assert [round(throttle.pause(0.1, behind), 3) for _ in range(3)] == [
        0.3,  # a quarter of the time at first: 0.1 * (1 / 0.25 - 1)
        0.7,  # then half of that, as long as they lag
        1.5,
    ]
    for _ in range(20):
        pause = throttle.pause(0.1, busy)
    assert round(pause, 3) == 0.011  # 0.9 of the time: the most beside live traffic
    for _ in range(3):
        throttle.pause(0.1, QUIET)
    assert throttle.share == 1.0


def test_beside_readers_it_works_half_of_the_time() -> None:
    throttle = Throttle()
    assert throttle.pause(0.1, Pressure(reading=1)) == 0.1


def test_it_hardly_works_while_the_disk_fills() -> None:
    assert Throttle().pause(0.1, Pressure(disk_slow=True)) == pytest.approx(4.9)  # 0.1 * (1 / 0.02 - 1)


@given(
    st.lists(st.builds(Pressure, st.floats(0, 100), st.floats(0, 1e6), st.integers(0, 128), st.booleans()), max_size=60)
)
def test_it_always_comes_to_an_end(times: list[Pressure]) -> None:
    throttle = Throttle()
    for pressure in times:
        assert 0 <= throttle.pause(0.05, pressure) <= 0.05 / LEAST_SHARE
        assert LEAST_SHARE <= throttle.share <= 1
