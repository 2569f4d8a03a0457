"""FileBronzeLog as a whole: restarts, deletion, health, and reading while everything moves."""

import errno
import os
import threading
import time
from asyncio import gather, to_thread
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from appliance.domain.event import Delivery, Envelope, Receipt
from appliance.domain.ids import PipelineId
from appliance.errors import NotFound, TransientError
from appliance.storage.bronze import FileBronzeLog
from appliance.storage.bronze.dedupe import DeliveryWindow
from appliance.storage.bronze.sidecar import Delivered
from tests.fakes.disk import FailingDisk
from tests.fakes.segments import NOON, Hand

PIPE = PipelineId("pl_1")


def delivery(*payloads: bytes, received_at: datetime = NOON, **envelope: Any) -> Delivery:
    return Delivery(Envelope(received_at=received_at, source="webhook", **envelope), payloads)


def open_log(tmp_path: Path, **chosen: Any) -> FileBronzeLog:
    return FileBronzeLog(tmp_path / "bronze", **({"clock": lambda: NOON} | chosen))


async def compacted(log: FileBronzeLog) -> None:
    """Return when all closed segments are compressed."""
    log.tick()
    deadline = time.monotonic() + 10
    while any(segment.closed and not segment.sha256 for segment in log.segments(PIPE)):
        assert time.monotonic() < deadline, log.troubles()
        await to_thread(threading.Event().wait, 0.005)


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    await log.append(PIPE, delivery(b"1", b"2", checkpoint={"page": 1}))
    await log.close()
    log = open_log(tmp_path)
    log.open()
    assert (log.pipelines(), log.last_seq(PIPE), log.checkpoint(PIPE)) == ([PIPE], 2, {"page": 1})
    assert await log.append(PIPE, delivery(b"3")) == Receipt(3, 3)
    assert (log.recovered(), log.health(), log.troubles()) == ({}, {}, {})
    await log.close()


@pytest.mark.parametrize("without_index", [False, True])
async def test_the_window_of_delivery_ids_survives_a_restart(tmp_path: Path, without_index: bool) -> None:
    log = open_log(tmp_path, segment_bytes=1)
    for name in "abc":  # a and b end up compressed, c in the open segment
        await log.append(PIPE, delivery(b"1", b"2", delivery_id=name))
    await compacted(log)
    await log.close()
    if without_index:
        for index in (tmp_path / "bronze" / PIPE).glob("*.idx"):
            index.unlink()
    log = open_log(tmp_path)
    assert await log.append(PIPE, delivery(b"1", b"2", delivery_id="a")) == Receipt(1, 2, duplicate=True)
    assert await log.append(PIPE, delivery(b"1", b"2", delivery_id="c")) == Receipt(5, 6, duplicate=True)
    assert await log.append(PIPE, delivery(b"1", delivery_id="d")) == Receipt(7, 7)
    await log.close()


async def test_old_segments_are_left_out_of_the_window(tmp_path: Path) -> None:
    hand = Hand()
    log = open_log(tmp_path, segment_bytes=1, clock=hand)
    await log.append(PIPE, delivery(b"1", delivery_id="a", received_at=hand.now))
    hand.move(hours=25)
    await log.append(PIPE, delivery(b"2", delivery_id="b", received_at=hand.now))
    await log.append(PIPE, delivery(b"3", received_at=hand.now))
    await compacted(log)
    await log.close()
    log = open_log(tmp_path, clock=hand)
    assert await log.append(PIPE, delivery(b"1", delivery_id="a", received_at=hand.now)) == Receipt(4, 4)
    assert (await log.append(PIPE, delivery(b"2", delivery_id="b", received_at=hand.now))).duplicate
    await log.close()


def test_the_window_keeps_the_newest_ids() -> None:
    window = DeliveryWindow(size=3)
    for number, name in enumerate("abcad", 1):
        window.add(Delivered(name, number, number, 0))
    assert len(window) == 3
    assert [window.find(name, 0) for name in "abcd"] == [(4, 4), None, (3, 3), (5, 5)]


async def test_what_a_crash_left_is_cut_and_told(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    await log.append(PIPE, delivery(b"1"))
    await log.close()
    with (tmp_path / "bronze" / PIPE / "00000000000000000001.jsonl").open("ab") as file:
        file.write(b"torn")
    log = open_log(tmp_path)
    log.open()
    assert log.recovered() == {PIPE: 4}
    await log.close()


async def test_a_pipeline_that_cannot_write_says_so_and_the_others_receive(tmp_path: Path) -> None:
    disk = FailingDisk()
    log = open_log(tmp_path, sync=disk.sync)
    await log.append(PIPE, delivery(b"1", delivery_id="a"))
    disk.failures = [errno.ENOSPC, errno.ENOSPC]
    with pytest.raises(TransientError):
        await log.append(PIPE, delivery(b"2", delivery_id="b"))
    assert log.health() == {PIPE: "writing to the disk failed twice (No space left on device)"}
    assert await log.append(PipelineId("pl_2"), delivery(b"1")) == Receipt(1, 1)
    assert (await log.append(PIPE, delivery(b"1", delivery_id="a"))).duplicate
    assert log.event(PIPE, 1).payload == b"1"
    await log.close()


async def test_closing_commits_what_was_accepted(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    await log.append(PIPE, delivery(b"0"))
    receipts = [log.append(PIPE, delivery(b"%d" % number)) for number in range(50)]
    *answers, _ = await gather(*receipts, log.close())
    assert answers == [Receipt(number, number) for number in range(2, 52)]
    log = open_log(tmp_path)
    assert log.last_seq(PIPE) == 51
    await log.close()


async def test_a_deletion_that_a_crash_interrupted_is_finished(tmp_path: Path) -> None:
    grave = tmp_path / "bronze" / ".deleted-pl_9"
    grave.mkdir(parents=True)
    (grave / "00000000000000000001.jsonl").write_bytes(b"x")
    log = open_log(tmp_path)
    log.open()
    assert log.pipelines() == []
    assert not grave.exists()
    await log.close()


@pytest.mark.parametrize("name", ["..", ".deleted-x", "a/b", ""])
async def test_what_is_no_pipeline_id_reaches_no_file(tmp_path: Path, name: str) -> None:
    log = open_log(tmp_path)
    assert log.read(PipelineId(name), 0, 1, 1) == []
    with pytest.raises(NotFound):
        await log.append(PipelineId(name), delivery(b"1"))
    assert os.listdir(tmp_path) == []
    await log.close()


async def test_reading_goes_on_while_segments_fill_close_and_shrink(tmp_path: Path) -> None:
    log = open_log(tmp_path, segment_bytes=4000, segment_age=timedelta(days=1))
    total, done = 3000, threading.Event()

    def follow() -> list[bytes]:
        seen: list[bytes] = []
        while len(seen) < total:
            frames = log.read(PIPE, len(seen), 50, 1 << 20)
            for frame in frames:
                seen += frame.lines.split(b"\n")
            if not frames:
                done.wait(0.001)
            if seen:
                assert log.event(PIPE, 1 + len(seen) // 2).payload == b"%d" % (len(seen) // 2)
            assert not done.is_set() or log.last_seq(PIPE) == total
        return seen

    readers = [to_thread(follow) for _ in range(2)]

    async def write() -> None:
        for first in range(0, total, 10):
            await log.append(PIPE, delivery(*(b"%d" % number for number in range(first, first + 10))))
        done.set()

    *answers, _ = await gather(*readers, write())
    assert answers == [[b"%d" % number for number in range(total)]] * 2
    await compacted(log)
    assert len(log.segments(PIPE)) > 10
    assert list(log.verify(PIPE)) == []
    await log.close()
