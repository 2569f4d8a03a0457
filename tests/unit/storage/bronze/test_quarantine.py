"""Damaged places: cut to what somebody can take at once, told once, and forgotten when they read again."""

import errno
import os
from pathlib import Path

import pytest
import structlog

from appliance.domain.ids import PipelineId
from appliance.errors import NotFound
from appliance.storage.bronze.blockstore import Blockstore
from appliance.storage.bronze.keeper import Keeper
from appliance.storage.bronze.pipeline_log import PipelineLog
from tests.fakes.segments import compact_all, open_log, options, packed, told

pytestmark = pytest.mark.usefixtures("all_is_logged")

FIRST = "00000000000000000001"
PL = PipelineId("pl")


def log_of(directory: Path, events: int) -> PipelineLog:
    log = open_log(directory, segment_bytes=1)
    for first in range(1, events + 1, 10_000):
        log.commit([packed(*[b"1"] * min(10_000, events + 1 - first))])
    log.commit([packed(b"2")])
    compact_all(log)
    return log


def keeper_of(log: PipelineLog) -> Keeper:
    return Keeper(log, options(), Blockstore())


def test_at_most_100000_damaged_events_at_once(tmp_path: Path) -> None:
    log = open_log(tmp_path / "pl", segment_bytes=1 << 30)
    log.commit([packed(*[b"1"] * 250_000)])
    log.rotate()
    log.commit([packed(b"2")])
    compact_all(log)
    (tmp_path / "pl" / f"{FIRST}.jsonl.zst").write_bytes(b"rotten")
    reader = keeper_of(log).reader
    after, counts = 0, []
    while frames := reader.read(after, 1_000_000, 1 << 30):
        counts.append([(frame.count, frame.damaged is not None) for frame in frames])
        after = frames[-1].last_seq
    assert counts == [[(100_000, True)], [(100_000, True)], [(50_000, True), (1, False)]]


def test_a_damaged_place_keeps_to_the_limits(tmp_path: Path) -> None:
    log = log_of(tmp_path / "pl", 50)
    (tmp_path / "pl" / f"{FIRST}.jsonl.zst").write_bytes(b"rotten")
    reader = keeper_of(log).reader
    assert [(frame.first_seq, frame.count) for frame in reader.read(0, 7, 1 << 20)] == [(1, 7)]
    assert [(frame.first_seq, frame.count) for frame in reader.read(7, 99, 50)] == [(8, 10)]  # 5 bytes each
    assert [(frame.first_seq, frame.count) for frame in reader.read(7, 99, 1)] == [(8, 1)]


def test_a_place_is_told_once_and_once_more_when_it_reads(tmp_path: Path) -> None:
    log = log_of(tmp_path / "pl", 50)
    path = tmp_path / "pl" / f"{FIRST}.jsonl.zst"
    whole = path.read_bytes()
    path.write_bytes(b"rotten")
    keeper = keeper_of(log)
    with structlog.testing.capture_logs() as logged:
        for _ in range(3):
            assert told(keeper.reader)[-1] == (51, b"2")
            assert [(one.first_seq, one.last_seq) for one in keeper.quarantined()] == [(1, 50)]
        with pytest.raises(NotFound, match=r"event 7 of pl: it stands in quarantine: 0{19}1.jsonl.zst is damaged"):
            keeper.reader.event(PL, 7)
        path.write_bytes(whole)
        assert keeper.reader.event(PL, 7).payload == b"1"
        assert keeper.quarantined() == []
    assert [one["event"] for one in logged] == ["bronze.damaged", "bronze.readable"]
    assert not (tmp_path / "pl" / "quarantine.json").exists()


def test_a_disk_that_does_not_read_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of(tmp_path / "pl", 50)
    keeper = keeper_of(log)
    pread = os.pread

    def refuses(fd: int, size: int, offset: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pread", refuses)
    assert told(keeper.reader) == [(seq, None) for seq in range(1, 52)]
    assert [one.reason for one in keeper.quarantined()] == [
        "byte 0: the disk does not read it (Input/output error)"
    ] * 2
    monkeypatch.setattr(os, "pread", pread)
    assert keeper.quarantined() == []
    assert told(keeper.reader)[-1] == (51, b"2")
