"""Watching drift: a few events of each batch, each once, whatever they hold."""

import pytest

from appliance.domain.drift import LEARNING, Drift
from appliance.domain.event import Frame
from appliance.domain.ids import PipelineId
from appliance.engine.drift import Drifts, Watcher

BOILERS = PipelineId("pl_boilers")


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def frames(first: int, count: int, each: int = 1) -> list[Frame]:
    """Return ``count`` events from ``first`` on, ``each`` in a frame."""
    return [
        Frame(seq, each, seq * 1_000_000, b"\n".join(b'{"n":%d}' % one for one in range(seq, seq + each)))
        for seq in range(first, first + count, each)
    ]


@pytest.mark.parametrize("each", [1, 20, 2_000])
def test_a_hundred_events_a_second_are_looked_at(clock: Clock, each: int) -> None:
    watcher = Watcher(clock=clock)
    watcher.offer(frames(1, 2_000, each))
    assert watcher.state().events == 100
    watcher.offer(frames(2_001, 2_000, each))
    assert watcher.state().events == 100
    clock.now += 0.5
    watcher.offer(frames(4_001, 2_000, each))
    assert watcher.state().events == 150
    clock.now += 60
    watcher.offer(frames(6_001, 30))
    assert watcher.state().events == 180


def test_they_are_taken_from_all_over_the_batch(clock: Clock) -> None:
    watcher = Watcher(clock=clock)
    watcher.offer(frames(1, 10_000, 10))
    assert watcher.state().last_seq == 9_901  # the first of each tenth delivery


def test_what_is_offered_again_was_looked_at_before(clock: Clock) -> None:
    watcher = Watcher(clock=clock)
    watcher.offer(frames(1, 10))
    watcher.offer(frames(1, 10))
    assert watcher.state().events == 10


def test_what_cannot_be_read_is_passed_over(clock: Clock) -> None:
    watcher = Watcher(clock=clock)
    watcher.offer([
        Frame(1, 4, 0, b'{"a":1}\n{"a"\n\xff\n' + b"[" * 100_000, withdrawn=()),
        Frame(5, 2, 0, b'null\n{"a":2}', withdrawn=(5,)),
        Frame(7, 1, 0, b"null", damaged="the segment is gone"),
    ])  # fmt: skip
    assert (watcher.state().events, watcher.state().last_seq) == (2, 6)


def test_findings_are_acknowledged_and_kept_until_something_changes(clock: Clock) -> None:
    watcher = Watcher(Drift(taught=LEARNING), clock)
    watcher.offer(frames(1, 5))
    assert (watcher.findings, watcher.changed) == (1, True)  # $ itself is new to an empty baseline
    kept = watcher.take()
    assert (len(kept.findings), watcher.changed) == (1, False)
    watcher.note(kept.findings.values())
    assert (watcher.findings, watcher.changed) == (0, True)
    assert len(kept.findings) == 1  # a copy


def test_watchers_go_on_from_what_was_kept_and_are_forgotten() -> None:
    drifts = Drifts()
    drifts.restore(BOILERS, Drift(last_seq=90, events=90))
    drifts.offer(BOILERS, frames(81, 20))
    assert drifts.of(BOILERS).state().events == 100
    assert drifts.findings() == {BOILERS: 0}
    drifts.forget(BOILERS)
    assert drifts.all() == {}
