"""The clock of the running appliance is set forward and back by an hour, under load, over a replay and a kill.

faketime hands it the wall clock, and a file says how far that is off; the monotonic clock goes on as it does when a
person sets the time. Senders' clocks follow, but for one: that it is refused shows that the clock was really set.
"""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
import zstandard

from tests.crash.faults import Subject, until
from tests.running import standard_headers

HOUR = 3600
STEPS = (HOUR, 0, -HOUR, 0)
STALE = frozenset({401})  # signed before the clock was set; it is signed anew and sent again


class Clock:
    """Says how many seconds the appliance's clock is ahead."""

    def __init__(self, subject: Subject, file: Path) -> None:
        (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
        self._file, self._ahead = file, 0
        self.set(0)
        subject.appliance.environment |= {
            "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip

    def set(self, ahead: int) -> None:
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{ahead:+d}\n")
        draft.rename(self._file)
        self._ahead = ahead

    def time(self) -> float:
        return time.time() + self._ahead


@pytest.fixture
def subject(made_subject: Subject, tmp_path: Path) -> Iterator[Subject]:
    copy = made_subject.copied(tmp_path)
    try:
        yield copy
    finally:
        copy.appliance.stop()


def received(subject: Subject) -> list[datetime]:
    """Return when each delivery was received, as the headers in the log's files say, in order."""
    times = []
    for path in sorted(subject.bronze.glob("0*.jsonl*")):
        content = path.read_bytes()
        if path.suffix == ".zst":
            content = zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True).read()
        headers = [json.loads(line) for line in content.split(b"\n") if line.startswith(b'{"seq"')]
        times += [datetime.fromisoformat(header["at"]) for header in headers]
    return times


def hours_set(subject: Subject) -> list[int]:
    """Return by how many hours, rounded, the times of the log step from one delivery to the next, where they do."""
    steps = [round((later - earlier).total_seconds() / HOUR) for earlier, later in pairwise(received(subject))]
    return [step for step in steps if step]


def test_the_clock_is_set_under_load(subject: Subject, tmp_path: Path) -> None:
    clock = Clock(subject, tmp_path / "clock")
    subject.appliance.start()
    with subject.sending(clock=clock.time, answers=STALE) as sender:
        for ahead in STEPS:
            clock.set(ahead)
            goal = subject.acknowledged + 200
            until(lambda goal=goal: subject.acknowledged >= goal, lambda: (sender.answers, sender.trouble))
    subject.check()
    assert subject.appliance.stop() == 0
    assert hours_set(subject) == [1, -1, -1, 1]
    assert subject.findings() == []


@pytest.mark.slow
def test_the_clock_is_set_while_history_is_rebuilt_and_while_it_is_down(subject: Subject, tmp_path: Path) -> None:
    clock = Clock(subject, tmp_path / "clock")
    subject.appliance.start()
    clock.set(HOUR)
    with subject.sending(clock=clock.time, answers=STALE):
        with subject.appliance.client() as client:
            client.post(f"{subject.path}/replays", json={"version": 2}).raise_for_status()
        clock.set(-HOUR)
        subject.await_replay("swapped")
    subject.check()
    subject.appliance.kill()
    clock.set(-2 * HOUR)
    subject.appliance.start()
    subject.send(100, clock=clock.time, answers=STALE)
    subject.replay(1)
    subject.check()
    subject.verify()


def test_the_control_a_sender_whose_clock_is_not_set_is_refused(subject: Subject, tmp_path: Path) -> None:
    clock = Clock(subject, tmp_path / "clock")
    subject.appliance.start()
    clock.set(HOUR)
    subject.send(100, clock=clock.time, answers=STALE)  # accepted since the clock is set
    body = b'[{"number":-1}]'
    headers = standard_headers(subject.secret, "late", body)
    answer = httpx.post(subject.door, content=body, headers=headers, timeout=10, trust_env=False)
    assert (answer.status_code, "clock" in answer.text) == (401, True)
    subject.check()


def test_the_control_a_clock_that_behaves_makes_no_step(made_subject: Subject) -> None:
    assert hours_set(made_subject) == []
