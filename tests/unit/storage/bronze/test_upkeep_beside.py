"""Upkeep beside receiving and reading: nobody ever sees half of it."""

import threading
from asyncio import gather, to_thread
from datetime import timedelta
from pathlib import Path

from appliance.components.bronze import Correction
from appliance.domain.event import Delivery, Envelope
from appliance.domain.ids import PipelineId
from appliance.storage.bronze import FileBronzeLog
from tests.fakes.segments import NOON

PIPE = PipelineId("pl_1")
TOTAL = 3000


def follow(log: FileBronzeLog, written: threading.Event) -> dict[int, bytes | None]:
    """Read to the end; every event that has not expired must come, in order."""
    seen: dict[int, bytes | None] = {}
    after = log.upkeep.first_seq(PIPE) - 1
    while after < TOTAL:
        frames = log.read(PIPE, after, 70, 1 << 20)
        for frame in frames:
            assert frame.damaged is None
            assert frame.first_seq == after + 1 or after < log.upkeep.first_seq(PIPE) - 1
            for seq, line in enumerate(frame.lines.split(b"\n"), frame.first_seq):
                seen[seq] = None if seq in frame.withdrawn else line
            after = frame.last_seq
        assert frames or not written.is_set() or log.last_seq(PIPE) == TOTAL
    return seen


def keep(log: FileBronzeLog, written: threading.Event) -> int:
    """Erase, correct and expire until all is written; return how many events were erased."""
    erased = 0
    while not written.wait(0.002):
        last = log.last_seq(PIPE)
        if last >= 100:
            erased += log.upkeep.erase(PIPE, [last - 50, last - 40], "asked for", "ada")
            log.upkeep.correct(PIPE, [Correction(last - 1, b"-1", "-", "ada", NOON)])
            log.upkeep.expire(PIPE, before=None, keep_bytes=100_000, up_to=last - 500)
    return erased


async def write(log: FileBronzeLog, written: threading.Event) -> None:
    for first in range(1, TOTAL, 10):
        payloads = [b"%d" % seq for seq in range(first, first + 10)]
        await log.append(PIPE, Delivery(Envelope(received_at=NOON, source="webhook"), payloads))
    written.set()


async def test_reading_goes_on_while_events_are_erased_corrected_and_expire(tmp_path: Path) -> None:
    log = FileBronzeLog(tmp_path, clock=lambda: NOON, segment_bytes=6000, segment_age=timedelta(days=1))
    written = threading.Event()
    beside = [to_thread(work, log, written) for work in (keep, follow, follow)]
    erased, *answers, _ = await gather(*beside, write(log, written))
    assert erased > 0
    for seen in answers:
        assert all(line in (b"%d" % seq, b"-1", None) for seq, line in seen.items())
    assert log.upkeep.quarantined(PIPE) == []
    assert list(log.verify(PIPE)) == []
    assert log.read(PIPE, 0, TOTAL, 1 << 20)[0].first_seq == log.upkeep.first_seq(PIPE)
    await log.close()
