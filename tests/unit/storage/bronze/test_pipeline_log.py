"""Commits, rotation, and what happens when the disk says no."""

import errno
from datetime import timedelta
from pathlib import Path

import pytest

from appliance.errors import TransientError
from appliance.storage.bronze.disk import Disk, write_all
from appliance.storage.bronze.writer import OpenFiles
from tests.fakes.disk import FailingDisk, short_write
from tests.fakes.segments import Hand, compact_all, events, names, open_log, packed


def test_one_commit_is_one_sync(tmp_path: Path) -> None:
    disk = FailingDisk()
    log = open_log(tmp_path / "pl", disk=Disk(sync=disk.sync))
    assert log.commit([packed(b"%d" % number) for number in range(1, 2001)]) == list(range(1, 2001))
    assert len(disk.syncs) == 1
    assert events(log) == [(number, b"%d" % number) for number in range(1, 2001)]


def test_a_full_segment_closes_before_the_next_commit(tmp_path: Path) -> None:
    log = open_log(tmp_path / "pl", segment_bytes=1000)
    for number in range(1, 7):
        log.commit([packed(b"%0400d" % number)])  # header and payload: about 520 bytes
    assert [(s.first_seq, s.last_seq, s.closed) for s in log.segments()] == [
        (1, 2, True), (3, 4, True), (5, 6, False),
    ]  # fmt: skip
    assert names(tmp_path / "pl") == ["1.jsonl", "3.jsonl", "5.jsonl"]


def test_an_old_segment_closes_at_a_tick_or_before_the_next_commit(tmp_path: Path) -> None:
    hand = Hand()
    log = open_log(tmp_path / "pl", hand, segment_age=timedelta(hours=1))
    log.commit([packed(b"1")])
    hand.move(minutes=59)
    log.tick()
    assert [s.closed for s in log.segments()] == [False]
    hand.move(minutes=1)
    log.tick()
    assert [s.closed for s in log.segments()] == [True]
    log.commit([packed(b"2", received_at=hand.now)])
    hand.move(hours=1)
    log.commit([packed(b"3", received_at=hand.now)])
    assert [(s.first_seq, s.closed) for s in log.segments()] == [(1, True), (2, True), (3, False)]


def test_age_survives_a_restart_and_closed_segments_are_cut_to_size(tmp_path: Path) -> None:
    hand = Hand()
    log = open_log(tmp_path / "pl", hand)
    log.commit([packed(b"1")])
    log.close()
    hand.move(hours=2)
    log = open_log(tmp_path / "pl", hand)
    log.tick()
    segment = log.segments()[0]
    assert segment.closed
    assert (tmp_path / "pl" / segment.name).stat().st_size == segment.size_bytes


def test_checkpoints_alone_do_not_close_a_segment_by_age_but_by_size(tmp_path: Path) -> None:
    hand = Hand()
    log = open_log(tmp_path / "pl", hand, segment_bytes=500)
    for page in range(4):
        log.commit([packed(checkpoint={"page": page}, received_at=hand.now)])
        hand.move(hours=2)
    log.commit([packed(b"1")])
    assert names(tmp_path / "pl") == ["1-1.jsonl", "1.jsonl"]  # 4 headers of about 130 bytes, then the event
    compact_all(log)
    log = open_log(tmp_path / "pl", hand)
    assert (events(log), log.checkpoint, log.last_seq) == ([(1, b"1")], {"page": 3}, 1)


def test_after_a_failed_sync_the_segment_is_sealed_and_the_batch_written_once_more(tmp_path: Path) -> None:
    disk = FailingDisk()
    log = open_log(tmp_path / "pl", disk=Disk(sync=disk.sync))
    log.commit([packed(b"1")])
    disk.failures = [errno.EIO]
    assert log.commit([packed(b"2"), packed(b"3")]) == [2, 3]
    inodes = [inode for inode, _ in disk.syncs]
    assert inodes[0] == inodes[1] != inodes[2]  # never again on the descriptor that failed
    assert names(tmp_path / "pl") == ["1.jsonl", "2.jsonl"]
    for after in (log, open_log(tmp_path / "pl")):
        assert events(after) == [(1, b"1"), (2, b"2"), (3, b"3")]
        assert after.stopped is None


def test_a_second_failure_stops_receiving_for_five_seconds_and_reading_goes_on(tmp_path: Path) -> None:
    hand, disk = Hand(), FailingDisk()
    log = open_log(tmp_path / "pl", hand, disk=Disk(sync=disk.sync))
    log.commit([packed(b"1")])
    disk.failures = [errno.EIO, errno.EIO, errno.EIO, errno.EIO]
    with pytest.raises(TransientError, match=r"writing to the disk failed twice \(Input/output error\)") as caught:
        log.commit([packed(b"2")])
    assert caught.value.retry_after_secs == 5
    hand.move(seconds=4)
    with pytest.raises(TransientError):
        log.commit([packed(b"2")])
    assert len(disk.syncs) == 3  # refused without asking the disk
    hand.move(seconds=1)
    with pytest.raises(TransientError):
        log.commit([packed(b"2")])
    assert log.stopped == "writing to the disk failed twice (Input/output error)"
    assert events(log) == [(1, b"1")]
    hand.move(seconds=5)
    assert log.commit([packed(b"2")]) == [2]
    assert log.stopped is None
    assert names(tmp_path / "pl") == ["1.jsonl", "2.jsonl"]
    assert events(open_log(tmp_path / "pl")) == [(1, b"1"), (2, b"2")]


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    hand = Hand()
    writes = [write_all, short_write, short_write, write_all]
    log = open_log(tmp_path / "pl", hand, disk=Disk(write=lambda *call: writes.pop(0)(*call)))
    log.commit([packed(b"1")])
    with pytest.raises(TransientError, match="No space left on device"):
        log.commit([packed(b"2" * 100)])
    assert names(tmp_path / "pl") == ["1.jsonl"]
    hand.move(seconds=5)
    log.commit([packed(b"2")])
    assert events(open_log(tmp_path / "pl")) == [(1, b"1"), (2, b"2")]


def test_a_failure_of_the_very_first_write_leaves_no_file(tmp_path: Path) -> None:
    disk = FailingDisk()
    disk.failures = [errno.EIO, errno.EIO]
    log = open_log(tmp_path / "pl", disk=Disk(sync=disk.sync))
    with pytest.raises(TransientError):
        log.commit([packed(b"1")])
    assert names(tmp_path / "pl") == []


def test_space_is_taken_ahead_and_given_back(tmp_path: Path) -> None:
    log = open_log(tmp_path / "pl")
    log.commit([packed(b"1")])
    path = tmp_path / "pl" / "00000000000000000001.jsonl"
    assert path.stat().st_size == 262144
    log.commit([packed(b"2" * 300_000)])
    assert path.stat().st_size == 524288  # as much again as it had
    log.close()
    assert path.stat().st_size == log.segments()[0].size_bytes


def test_the_number_of_open_files_is_bounded(tmp_path: Path) -> None:
    files = OpenFiles(2)
    logs = [open_log(tmp_path / f"pl{number}", files=files) for number in range(4)]
    for _ in range(3):
        for log in logs:
            log.commit([packed(b"1")])
            assert sum(other._writer is not None for other in logs) <= 2
    assert [len(events(log)) for log in logs] == [3, 3, 3, 3]


def test_a_deleted_pipeline_refuses(tmp_path: Path) -> None:
    log = open_log(tmp_path / "pl", segment_bytes=1)
    log.commit([packed(b"1")])
    log.commit([packed(b"2")])
    log.delete()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TransientError, match="the pipeline is deleted"):
        log.commit([packed(b"3")])
    compact_all(log)
