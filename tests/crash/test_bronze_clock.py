"""The clock is set forward and back by an hour while Bronze receives: numbers are the order, times are only told.

The same run with a clock that behaves is the control: only with steps do the times of the log go back.
"""

from asyncio import to_thread
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from time import monotonic

import pytest

from appliance.domain.event import Delivery, Envelope, Receipt
from appliance.domain.ids import PipelineId
from appliance.storage.bronze import FileBronzeLog
from tests.fakes.segments import Hand

PIPE = PipelineId("pl_clock")
STEPS = {"forward and back": (3600, -3600), "back and forward": (-3600, 3600), "back twice": (-3600, -3600)}
US = timedelta(microseconds=1)


class Run:
    """Receives 60 deliveries of two events, three minutes apart, and sets the clock after the 20th and the 40th."""

    def __init__(self, root: Path, steps: tuple[int, int]) -> None:
        self.hand = Hand()
        self.stamps: list[datetime] = []
        self._steps = dict(zip((20, 40), steps, strict=True))
        self.log = FileBronzeLog(root, clock=self.hand, segment_bytes=2000, segment_age=timedelta(minutes=30))

    async def receive(self) -> None:
        for number in range(60):
            self.hand.move(minutes=3, seconds=self._steps.get(number, 0))
            envelope = Envelope(received_at=self.hand.now, source="webhook", delivery_id=f"d{number}")
            delivery = Delivery(envelope, [b'{"n":%d,"pad":"%0100d"}' % (number, at) for at in (1, 2)])
            assert await self.log.append(PIPE, delivery) == Receipt(2 * number + 1, 2 * number + 2)
            assert (await self.log.append(PIPE, delivery)).duplicate
            self.stamps += [self.hand.now] * 2

    async def settle(self) -> None:
        deadline = monotonic() + 10
        while any(segment.closed and not segment.sha256 for segment in self.log.segments(PIPE)):
            assert monotonic() < deadline, self.log.troubles()
            self.log.tick()
            await to_thread(Event().wait, 0.005)

    def first_at(self, moment: datetime) -> int:
        """Return what ``seq_at`` ought to answer, by looking at each event."""
        return next((seq for seq, at in enumerate(self.stamps, 1) if at >= moment), len(self.stamps) + 1)


@pytest.mark.parametrize("steps", STEPS)
async def test_numbers_ids_and_order_survive_and_times_are_found(tmp_path: Path, steps: str) -> None:
    run = Run(tmp_path, STEPS[steps])
    await run.receive()
    await run.settle()
    assert any(later < earlier for earlier, later in zip(run.stamps, run.stamps[1:], strict=False))
    frames = run.log.read(PIPE, 0, 1000, 1 << 20)
    assert [frame.first_seq for frame in frames] == list(range(1, 121, 2))
    assert list(run.log.verify(PIPE)) == []
    for moment in {at + delta for at in run.stamps for delta in (-US, timedelta(0), US)}:
        assert run.log.upkeep.seq_at(PIPE, moment) == run.first_at(moment)
    await run.log.close()


@pytest.mark.parametrize("steps", STEPS)
async def test_nothing_that_is_young_enough_expires(tmp_path: Path, steps: str) -> None:
    run = Run(tmp_path, STEPS[steps])
    await run.receive()
    await run.settle()
    gone = 0
    for minutes in range(0, 300, 20):
        before = run.hand.now - timedelta(minutes=300 - minutes)
        gone += run.log.upkeep.expire(PIPE, before=before, keep_bytes=None, up_to=120).events
        young = [seq for seq, at in enumerate(run.stamps, 1) if before <= at <= run.hand.now]
        assert run.log.upkeep.first_seq(PIPE) == gone + 1
        assert gone < min(young, default=121)
    assert list(run.log.verify(PIPE)) == []
    await run.log.close()


async def test_ids_are_known_and_the_log_whole_when_it_starts_with_another_clock(tmp_path: Path) -> None:
    run = Run(tmp_path, (3600, -3600))
    await run.receive()
    await run.log.close()
    for step in (-3600, 3600):
        hand = Hand()
        hand.now = run.hand.now + timedelta(seconds=step)
        log = FileBronzeLog(tmp_path, clock=hand, segment_bytes=2000)
        known = Delivery(Envelope(received_at=hand.now, source="webhook", delivery_id="d59"), [b"1"])
        assert await log.append(PIPE, known) == Receipt(119, 120, duplicate=True)
        assert log.last_seq(PIPE) == 120
        await log.close()


async def test_the_control_a_clock_that_behaves(tmp_path: Path) -> None:
    run = Run(tmp_path, (0, 0))
    await run.receive()
    await run.settle()
    assert all(earlier <= later for earlier, later in zip(run.stamps, run.stamps[1:], strict=False))
    assert run.log.upkeep.expire(PIPE, before=run.hand.now + US, keep_bytes=None, up_to=120).events > 100
    await run.log.close()
