"""Erasing: what the files say afterwards, and that a copy from before does not undo it."""

import json
from pathlib import Path

import zstandard

from appliance.components.bronze import Correction
from appliance.domain.ids import PipelineId
from appliance.storage.bronze.blockstore import Blockstore
from appliance.storage.bronze.keeper import Keeper
from appliance.storage.bronze.pipeline_log import PipelineLog
from appliance.storage.bronze.verify import Verification
from tests.fakes.segments import NOON, compact_all, events, open_log, options, packed, told

FIRST = "00000000000000000001"
PL = PipelineId("pl")


def three_segments(directory: Path) -> PipelineLog:
    log = open_log(directory, segment_bytes=1)
    log.commit([packed(b'{"a":1}', b'{"a":\n2}', b'{"a":3}', delivery_id="x", checkpoint={"page": 1})])
    log.commit([packed(b"4", b"5"), packed(b"6")])
    log.commit([packed(b"7")])
    compact_all(log)
    return log


def keeper_of(log: PipelineLog) -> Keeper:
    return Keeper(log, options(), Blockstore())


def found(log: PipelineLog) -> list[tuple[str, str]]:
    return [(one.message, one.remedy) for one in Verification(PL, log).findings()]


def lines(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read().splitlines()


def test_a_tombstone_stands_where_the_payload_was(tmp_path: Path) -> None:
    log = three_segments(tmp_path / "pl")
    before = [json.loads(line) for line in lines(tmp_path / "pl" / f"{FIRST}.jsonl.zst")]
    assert keeper_of(log).erase([1, 3], "asked for", "ada") == 2
    header, *payloads = [json.loads(line) for line in lines(tmp_path / "pl" / f"{FIRST}.jsonl.zst")]
    assert payloads == [None, before[2], None]
    assert header["erased"] == [0, 2]
    changed = {"bytes", "crc", "erased"}
    assert {key: value for key, value in header.items() if key not in changed} == {
        key: value for key, value in before[0].items() if key not in changed
    }
    assert events(log)[:4] == [(1, None), (2, b'{"a": 2}'), (3, None), (4, b"4")]
    assert keeper_of(log).reader.event(PL, 2).payload == b'{"a":\n2}'


def test_the_manifest_says_what_was_done_and_why(tmp_path: Path) -> None:
    log = three_segments(tmp_path / "pl")
    manifest = tmp_path / "pl" / "manifest.jsonl"
    was = [json.loads(line) for line in manifest.read_bytes().splitlines()]
    keeper_of(log).erase([1, 3], "asked for", "ada")
    line = json.loads(manifest.read_bytes().splitlines()[-1])
    assert {key: line[key] for key in ("rewritten", "why", "seqs", "reason", "by", "at", "was", "previous")} == {
        "rewritten": f"{FIRST}.jsonl.zst", "why": "erased", "seqs": [[1, 1], [3, 3]], "reason": "asked for",
        "by": "ada", "at": "2026-11-22T12:00:00Z", "was": [was[0]["sha256"], was[0]["packed_sha256"]],
        "previous": was[-1]["link"],
    }  # fmt: skip
    assert found(log) == []


def test_a_copy_from_before_is_named_answers_nothing_and_is_erased_again(tmp_path: Path) -> None:
    log = three_segments(tmp_path / "pl")
    path = tmp_path / "pl" / f"{FIRST}.jsonl.zst"
    copy = path.read_bytes()
    keeper = keeper_of(log)
    keeper.erase([1, 3], "asked for", "ada")
    path.write_bytes(copy)
    assert ("it is the file from before events in it were erased", "erase the same events again") in found(log)
    assert told(keeper.reader)[:3] == [(1, None), (2, b'{"a": 2}'), (3, None)]
    assert keeper.erase([1, 3], "asked for", "ada") == 0
    assert [json.loads(line) for line in lines(path)][1:] == [None, '{"a":\n2}', None]
    assert found(log) == []


def test_the_erased_stay_erased_after_a_restart_and_numbers_go_on(tmp_path: Path) -> None:
    log = three_segments(tmp_path / "pl")
    keeper_of(log).erase([7], "asked for", "ada")
    assert log.commit([packed(b"8")]) == [8]
    log.close()
    again = open_log(tmp_path / "pl")
    assert events(again, 5) == [(6, b"6"), (7, None), (8, b"8")]
    assert again.checkpoint == {"page": 1}


def test_events_of_a_damaged_segment_are_erased_with_what_cannot_be_read(tmp_path: Path) -> None:
    log = three_segments(tmp_path / "pl")
    path = tmp_path / "pl" / f"{FIRST}.jsonl.zst"
    whole = path.read_bytes()
    path.write_bytes(whole[:20] + bytes(10) + whole[30:])
    keeper = keeper_of(log)
    assert told(keeper.reader)[:4] == [(1, None), (2, None), (3, None), (4, b"4")]
    assert keeper.erase([2], "asked for", "ada") == 1
    assert [json.loads(line) for line in lines(path)][1:] == [None, None, None]
    frames = keeper.reader.read(0, 3, 1 << 20)
    assert [(frame.first_seq, frame.withdrawn, frame.damaged is None) for frame in frames] == [
        (1, (), False), (2, (2,), True), (3, (), False),
    ]  # fmt: skip
    path.write_bytes(whole)  # a copy, put back: it mends the others, and the erased one stays erased
    keeper.quarantined()
    assert told(keeper.reader)[:3] == [(1, b'{"a":1}'), (2, None), (3, b'{"a":3}')]
    assert b"2}" not in b"".join(lines(path))
    assert found(log) == []


def test_a_damaged_event_that_was_corrected_is_refined(tmp_path: Path) -> None:
    log = three_segments(tmp_path / "pl")
    (tmp_path / "pl" / f"{FIRST}.jsonl.zst").write_bytes(b"rotten")
    keeper = keeper_of(log)
    keeper.correct([Correction(2, b'{"a":2}', "typed from paper", "ada", NOON), Correction(3, None, "-", "ada", NOON)])
    frames = keeper.reader.read(0, 3, 1 << 20)
    assert [(f.first_seq, f.lines, f.withdrawn, f.damaged is None) for f in frames] == [
        (1, b"null", (), False), (2, b'{"a":2}\nnull', (3,), True),
    ]  # fmt: skip
