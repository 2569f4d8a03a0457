"""Who may write at the same time."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from appliance.storage.silver_duckdb.lanes import LIVE, LONG, Lanes

DEADLINE_SECS = 10.0
AT_ONCE_SECS = 0.2  # long enough to see that somebody does not come in


class Visitor:
    """A thread that enters, stays until it is told to leave, and leaves."""

    def __init__(self, way: AbstractContextManager[None]) -> None:
        self.inside, self.leave = threading.Event(), threading.Event()
        self._way = way
        self._thread = threading.Thread(target=self._visit)
        self._thread.start()

    def _visit(self) -> None:
        with self._way:
            self.inside.set()
            self.leave.wait(DEADLINE_SECS)

    def entered(self) -> bool:
        return self.inside.wait(DEADLINE_SECS)

    def kept_out(self) -> bool:
        return not self.inside.wait(AT_ONCE_SECS)

    def end(self) -> None:
        self.leave.set()
        self._thread.join()


@pytest.fixture
def visitors() -> Iterator[list[Visitor]]:
    came: list[Visitor] = []
    yield came
    for visitor in came:
        visitor.end()


def test_one_at_a_time_in_a_lane_and_lanes_beside_each_other(visitors: list[Visitor]) -> None:
    lanes = Lanes()
    visitors += [Visitor(lanes.one(LIVE))]
    assert visitors[0].entered()
    visitors += [Visitor(lanes.one("shadow")), Visitor(lanes.one(LIVE))]
    assert visitors[1].entered()
    assert visitors[2].kept_out()
    visitors[0].end()
    assert visitors[2].entered()


def test_alone_means_that_nobody_else_is_inside_and_who_waits_for_it_goes_first(visitors: list[Visitor]) -> None:
    lanes = Lanes()
    visitors += [Visitor(lanes.one("shadow"))]
    assert visitors[0].entered()
    visitors += [Visitor(lanes.alone())]
    assert visitors[1].kept_out()
    visitors += [Visitor(lanes.one(LIVE))]
    assert visitors[2].kept_out()
    visitors[0].end()
    assert visitors[1].entered()
    assert visitors[2].kept_out()
    visitors[1].end()
    assert visitors[2].entered()


def test_who_waits_for_long_work_keeps_nobody_out(visitors: list[Visitor]) -> None:
    lanes = Lanes()
    visitors += [Visitor(lanes.one(LONG))]
    assert visitors[0].entered()
    assert lanes.long_work()
    visitors += [Visitor(lanes.alone())]
    assert visitors[1].kept_out()
    visitors += [Visitor(lanes.one(LIVE))]
    assert visitors[2].entered()
    visitors[0].end()
    visitors[2].end()
    assert visitors[1].entered()
    assert not lanes.long_work()


def test_who_is_inside_may_enter_again() -> None:
    lanes = Lanes()
    with lanes.one("shadow"), lanes.one(LIVE):
        assert lanes.inside
    with lanes.alone(), lanes.one(LIVE):
        assert lanes.inside
    assert not lanes.inside


def test_who_is_inside_cannot_wait_to_be_alone() -> None:
    lanes = Lanes()
    with lanes.one(LIVE), pytest.raises(RuntimeError, match="cannot ask to be alone"), lanes.alone():
        pass
