"""What a start makes of the files that a crash, a bad disk or a person left behind."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from appliance.domain.ids import PipelineId
from appliance.storage.bronze.blockstore import Blockstore
from appliance.storage.bronze.frame import header_line
from appliance.storage.bronze.pipeline_log import PipelineLog
from appliance.storage.bronze.reader import Reader
from appliance.storage.bronze.recovery import recover
from appliance.storage.bronze.sidecar import Delivered
from appliance.storage.bronze.verify import Verification
from tests.fakes.segments import compact_all, events, names, open_log, packed, reasons

NOON_US = 1795348800000000  # date -u -d 2026-11-22T12:00:00Z +%s → 1795348800
FIRST = "00000000000000000001.jsonl"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pipeline with three commits, events 1-2, 3 and 4; not closed in good order, so that a start has to scan."""
    log = open_log(tmp_path / "pl")
    log.commit([packed(b"1", b"2", delivery_id="a", checkpoint={"page": 1})])
    log.commit([packed(b"3", delivery_id="b")])
    log.commit([packed(b"4")])
    log.park()
    return tmp_path / "pl"


def messages(log: PipelineLog) -> list[tuple[str, str]]:
    return [(found.segment, found.message) for found in Verification(PipelineId("pl"), log).findings()]


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_clean_log_comes_back_whole(folder: Path) -> None:
    log = open_log(folder)
    assert (log.last_seq, log.checkpoint, log.cut_bytes) == (4, {"page": 1}, 0)
    assert events(log) == [(1, b"1"), (2, b"2"), (3, b"3"), (4, b"4")]
    assert [delivered.id for delivered in recover(folder).deliveries] == ["a", "b"]


@pytest.mark.parametrize("torn", [b"{", b'{"seq":5,"durable":4,"n":1', b"x" * 5000, b"junk\n", b"\xff\0\n"])
def test_a_torn_tail_is_cut_kept_and_counted(folder: Path, torn: bytes) -> None:
    size = (folder / FIRST).stat().st_size
    append(folder / FIRST, torn)
    log = open_log(folder)
    assert (log.last_seq, log.cut_bytes) == (4, len(torn))
    assert (folder / f"{FIRST}.cut-{size}").read_bytes() == torn
    assert (folder / FIRST).stat().st_size == size
    log.commit([packed(b"5")])
    assert events(open_log(folder), 3) == [(4, b"4"), (5, b"5")]
    assert messages(log) == []


def test_space_taken_ahead_is_not_a_loss(folder: Path) -> None:
    size = (folder / FIRST).stat().st_size
    append(folder / FIRST, bytes(300_000))
    log = open_log(folder)
    assert (log.last_seq, log.cut_bytes) == (4, 0)
    assert (folder / FIRST).stat().st_size == size
    assert names(folder) == ["1.jsonl"]


def test_zeros_around_a_torn_tail_are_not_counted(folder: Path) -> None:
    append(folder / FIRST, b'{"seq":5,' + bytes(4096))
    assert open_log(folder).cut_bytes == 9


def test_the_last_frame_cut_anywhere_is_gone_and_the_others_stay(folder: Path) -> None:
    whole = (folder / FIRST).read_bytes()
    start = whole.rindex(b'{"seq"')
    for end in range(start, len(whole)):
        (folder / FIRST).write_bytes(whole[:end])
        log = open_log(folder)
        assert (log.last_seq, log.cut_bytes) == (3, end - start)


def test_a_commit_of_which_only_the_end_reached_the_disk_is_cut(folder: Path) -> None:
    log = open_log(folder)
    end = (folder / FIRST).stat().st_size
    log.commit([packed(b"5"), packed(b"6")])  # one sync for both: neither was acknowledged without the other
    log.park()
    flip(folder / FIRST, end + 3)
    log = open_log(folder)
    assert log.last_seq == 4
    assert log.cut_bytes > 200


def test_damage_to_what_was_acknowledged_cuts_nothing_and_gives_no_number_twice(folder: Path) -> None:
    place = (folder / FIRST).read_bytes().index(b'{"seq":3,') + 2
    flip(folder / FIRST, place)
    log = open_log(folder)
    assert (log.last_seq, log.cut_bytes) == (4, 0)
    assert log.commit([packed(b"5")]) == [5]
    log.park()
    for after in (log, open_log(folder)):
        assert events(after, 3) == [(4, b"4"), (5, b"5")]
        assert events(after) == [(1, b"1"), (2, b"2"), (3, None), (4, b"4"), (5, b"5")]
        ((first, last, reason),) = reasons(after)
        assert (first, last) == (3, 3)
        assert reason.startswith(f"byte {place - 2}: no frame begins here")
        assert [segment for segment, _ in messages(after)] == [FIRST]
    assert names(folder) == ["1.jsonl", "5.jsonl", "quarantine.json"]


def test_what_is_good_is_handed_out_before_and_behind_the_damage(folder: Path) -> None:
    flip(folder / FIRST, (folder / FIRST).read_bytes().index(b'{"seq":3,') + 2)
    reader = Reader(open_log(folder), Blockstore())
    frames = reader.read(0, 99, 99)
    assert [(frame.last_seq, frame.lines, frame.damaged is None) for frame in frames] == [
        (2, b"1\n2", True), (3, b"null", False), (4, b"4", True),
    ]  # fmt: skip
    assert frames[1].received_us == NOON_US


def test_what_was_written_but_never_acknowledged_gives_way_to_the_next_segment(folder: Path) -> None:
    refused, accepted = packed(b"refused"), packed(b"5")
    append(folder / FIRST, header_line(refused, 5, 4) + refused.block)
    (folder / "00000000000000000005.jsonl").write_bytes(header_line(accepted, 5, 4) + accepted.block)
    log = open_log(folder)
    assert events(log, 3) == [(4, b"4"), (5, b"5")]
    assert [segment.last_seq for segment in log.segments()] == [4, 5]
    compact_all(log)
    assert events(log, 3) == [(4, b"4"), (5, b"5")]
    assert messages(log) == []


def test_the_newest_segment_may_be_empty(folder: Path) -> None:
    (folder / "00000000000000000005.jsonl").write_bytes(b"")
    log = open_log(folder)
    assert log.commit([packed(b"5")]) == [5]
    assert [segment.name for segment in log.segments()] == [FIRST, "00000000000000000005.jsonl"]
    log.park()
    assert events(open_log(folder))[-1] == (5, b"5")


def test_an_empty_segment_before_another_is_removed(folder: Path) -> None:
    (folder / "00000000000000000005.jsonl").write_bytes(bytes(100))
    (folder / "00000000000000000005-1.jsonl").write_bytes(b"")
    log = open_log(folder)
    assert log.commit([packed(b"5")]) == [5]
    assert names(folder) == ["1.jsonl", "5-1.jsonl"]


def test_a_missing_segment_is_told(folder: Path) -> None:
    log = open_log(folder, segment_bytes=1)
    for number in (5, 6):
        log.commit([packed(b"%d" % number)])
    log.park()
    os.unlink(folder / "00000000000000000005.jsonl")
    log = open_log(folder)
    assert log.last_seq == 6
    assert reasons(log, 4) == [(5, 5, "it is missing")]
    assert events(log, 4) == [(5, None), (6, b"6")]
    assert messages(log) == [(FIRST, f"byte {(folder / FIRST).stat().st_size}: events 5 to 5 are not whole")]


def test_events_that_a_good_end_vouched_for_are_missing_not_torn(folder: Path) -> None:
    """Control: without the note the same cut is a torn tail, and the number is given out again."""
    open_log(folder).close()
    whole = (folder / FIRST).read_bytes()
    (folder / FIRST).write_bytes(whole[: whole.rindex(b'{"seq"') + 9])
    copy = folder.with_name("control")
    shutil.copytree(folder, copy)
    (copy / f"{FIRST}.rest").unlink()
    assert open_log(copy).last_seq == 3
    log = open_log(folder)
    assert (log.last_seq, log.cut_bytes, log.commit([packed(b"5")])) == (4, 0, [5])
    assert events(log) == [(1, b"1"), (2, b"2"), (3, b"3"), (4, None), (5, b"5")]


def test_after_a_good_end_no_waiting_segment_is_read_again(folder: Path) -> None:
    log = open_log(folder, segment_bytes=1)
    for seq in (5, 6):
        log.commit([packed(b"%d" % seq, delivery_id=f"d{seq}")])
    log.close(lambda seq: [Delivered("a", 1, 2, 0), Delivered("d5", 5, 5, 0), Delivered("d6", 6, 6, 0)])
    for path in folder.glob("*.jsonl"):
        path.write_bytes(b"x" * path.stat().st_size)
    state = recover(folder)
    assert [segment.last_seq for segment in state.waiting] == [4, 5]
    assert (state.next_seq, [delivered.id for delivered in state.deliveries]) == (7, ["a", "d5", "d6"])
    assert names(folder) == ["1.jsonl", "1.jsonl.rest", "5.jsonl", "5.jsonl.rest", "6.jsonl"]


def test_after_a_good_end_the_segment_is_not_read_again(folder: Path) -> None:
    log = open_log(folder, segment_bytes=1 << 20)
    log.commit([packed(b"%d" % seq, delivery_id=f"d{seq}") for seq in range(5, 500)])
    log.close(lambda seq: [Delivered("d5", 5, 5, 0)])
    content = bytearray((folder / FIRST).read_bytes())
    content[:10] = b"unreadable"
    (folder / FIRST).write_bytes(content)
    state = recover(folder)
    assert names(folder) == ["1.jsonl"]  # the note is used once
    assert (state.next_seq, state.deliveries) == (500, [Delivered("d5", 5, 5, 0)])
    assert state.open is not None
    assert (state.open.end, state.open.frames) == (len(content), 498)
    assert state.open.index.place(499).offset > 50_000


@pytest.mark.parametrize("note", [b"", b"{}", b'{"end":1,"last_seq":9,"lines":1,"frames":1,"opened_at":null,'
                                  b'"index":[[0],[0],[1]],"deliveries":[]}'])  # fmt: skip
def test_a_note_that_does_not_fit_is_ignored(folder: Path, note: bytes) -> None:
    (folder / f"{FIRST}.rest").write_bytes(note)
    log = open_log(folder)
    assert (log.last_seq, log.checkpoint, len(events(log))) == (4, {"page": 1}, 4)
    assert names(folder) == ["1.jsonl"]


def test_a_good_end_keeps_everything(folder: Path) -> None:
    log = open_log(folder)
    log.close()
    assert names(folder) == ["1.jsonl", "1.jsonl.rest"]
    again = open_log(folder)
    assert (again.last_seq, again.checkpoint, again.commit([packed(b"5")])) == (4, {"page": 1}, [5])
    assert events(again) == [(1, b"1"), (2, b"2"), (3, b"3"), (4, b"4"), (5, b"5")]
    assert again.segments()[0].size_bytes == (folder / FIRST).read_bytes().rindex(b"\n") + 1
    assert messages(again) == []


def test_a_disk_that_does_not_read_at_the_start_makes_nothing_be_cut(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (folder / FIRST).read_bytes()

    def refuses(fd: int, size: int, offset: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", refuses)
        with pytest.raises(OSError, match="the disk does not read it"):
            open_log(folder)
    assert (folder / FIRST).read_bytes() == whole
    assert events(open_log(folder)) == [(1, b"1"), (2, b"2"), (3, b"3"), (4, b"4")]
