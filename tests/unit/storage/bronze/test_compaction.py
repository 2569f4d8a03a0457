"""Closed segments in compressed form: readable by anybody, found quickly, and safe at every step of getting there."""

import json
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
import zstandard

from appliance.domain.ids import PipelineId
from appliance.errors import FatalError
from appliance.storage.bronze.blockstore import Blockstore
from appliance.storage.bronze.compaction import Stopped
from appliance.storage.bronze.frame import Damaged
from appliance.storage.bronze.pipeline_log import PipelineLog
from appliance.storage.bronze.reader import Reader
from appliance.storage.bronze.recovery import recover
from appliance.storage.bronze.unpack import rebuild_blocks
from appliance.storage.bronze.verify import Verification
from tests.fakes.segments import compact_all, events, names, open_log, packed, reasons

FIRST = "00000000000000000001"


def three_segments(directory: Path) -> PipelineLog:
    """Events 1-2, 3-4 and, open, 5."""
    log = open_log(directory, segment_bytes=1)
    log.commit([packed(b'{"a":1}', b"2", delivery_id="a", checkpoint={"page": 1})])
    log.commit([packed(b"3", b'"\n"', delivery_id="b")])
    log.commit([packed(b"5")])
    return log


def unzstd(path: Path) -> bytes:
    """Decompress with the tool everybody has, or with the library where it is missing."""
    if shutil.which("zstd"):
        return subprocess.run(["zstd", "-dc", path], capture_output=True, check=True).stdout
    with path.open("rb") as file:
        return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()


def findings(log: PipelineLog) -> list[str]:
    return [found.message for found in Verification(PipelineId("pl"), log).findings()]


def test_standard_zstd_reads_the_file(tmp_path: Path) -> None:
    log = three_segments(tmp_path / "pl")
    plain = (tmp_path / "pl" / f"{FIRST}.jsonl").read_bytes()
    compact_all(log)
    unpacked = unzstd(tmp_path / "pl" / f"{FIRST}.jsonl.zst")
    assert unpacked == plain
    assert [json.loads(line) for line in unpacked.splitlines()][1:] == [{"a": 1}, 2]


def test_the_manifest_names_sums_and_links(tmp_path: Path) -> None:
    log = three_segments(tmp_path / "pl")
    plain = (tmp_path / "pl" / f"{FIRST}.jsonl").read_bytes()
    compact_all(log)
    first, second = [json.loads(line) for line in (tmp_path / "pl" / "manifest.jsonl").read_bytes().splitlines()]
    packed_file = (tmp_path / "pl" / first["name"]).read_bytes()
    assert first == {
        "name": f"{FIRST}.jsonl.zst", "first_seq": 1, "last_seq": 2, "frames": 1, "lines": 3,
        "size": len(plain), "packed_size": len(packed_file), "newest_at": "2026-11-22T12:00:00Z",
        "sha256": sha256(plain).hexdigest(), "packed_sha256": sha256(packed_file).hexdigest(),
        "checkpoint": {"page": 1}, "previous": "0" * 64, "link": first["link"],
    }  # fmt: skip
    assert second["previous"] == first["link"]
    assert second["checkpoint"] == {"page": 1}  # still the newest
    assert names(tmp_path / "pl") == [
        "1.idx", "1.jsonl.zst", "3.idx", "3.jsonl.zst", "5.jsonl", "manifest.jsonl",
    ]  # fmt: skip
    assert next((s.sha256, s.previous) for s in log.segments()) == (first["sha256"], "0" * 64)


def test_everything_reads_the_same_before_and_after(tmp_path: Path) -> None:
    log = three_segments(tmp_path / "pl")
    reader = Reader(log, Blockstore())
    before = [reader.event(PipelineId("pl"), seq) for seq in range(1, 6)]
    told = events(log)
    compact_all(log)
    after = [reader.event(PipelineId("pl"), seq) for seq in range(1, 6)]
    assert events(log) == told
    assert [(e.payload, e.envelope, e.line) for e in after] == [(e.payload, e.envelope, e.line) for e in before]
    assert [e.segment for e in after] == [f"{FIRST}.jsonl.zst"] * 2 + [f"{3:020d}.jsonl.zst"] * 2 + [f"{5:020d}.jsonl"]
    assert findings(log) == []


def test_blocks_of_a_large_segment_and_the_line_numbers_in_them(tmp_path: Path) -> None:
    log = open_log(tmp_path / "pl", segment_bytes=5 << 20)
    for first in range(1, 6001, 100):
        log.commit([packed(*(b'{"n":%d,"pad":"%01000d"}' % (seq, seq) for seq in range(first, first + 100)))])
    plain = (tmp_path / "pl" / f"{FIRST}.jsonl").read_bytes().splitlines()
    compact_all(log)
    path = tmp_path / "pl" / f"{FIRST}.jsonl.zst"
    blocks = rebuild_blocks(path).blocks
    assert [block.first_seq for block in blocks] == [1, 1101, 2201, 3301, 4401]  # 11 frames of 102 kB are 1 MiB
    reader = Reader(log, Blockstore())
    assert reader._blocks.index(path).blocks == blocks
    for seq in (1, 1100, 1101, 4000, 5100):
        event = reader.event(PipelineId("pl"), seq)
        assert plain[event.line - 1] == event.payload
        assert json.loads(event.payload)["n"] == seq
    (tmp_path / "pl" / f"{FIRST}.idx").unlink()
    assert Reader(log, Blockstore()).event(PipelineId("pl"), 3333).payload.startswith(b'{"n":3333,')


STEPS = ("draft", "renamed", "listed")


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_between_two_steps_is_made_good(tmp_path: Path, step: str) -> None:
    """Put the files back to how they lay after ``step``."""
    log = three_segments(tmp_path / "pl")
    told = events(log)
    log.close()
    before = tmp_path / "before"
    shutil.copytree(tmp_path / "pl", before)
    compact_all(log)
    if step == "draft":
        (before / f"{FIRST}.jsonl.zst.tmp").write_bytes(b"half")
    else:
        for name in (f"{FIRST}.jsonl.zst", f"{FIRST}.idx"):
            shutil.copy(tmp_path / "pl" / name, before)
    if step == "listed":
        line = (tmp_path / "pl" / "manifest.jsonl").read_bytes().splitlines(keepends=True)[0]
        (before / "manifest.jsonl").write_bytes(line)
    log = open_log(before, segment_bytes=1)
    assert (log.last_seq, log.checkpoint, events(log)) == (5, {"page": 1}, told)
    compact_all(log)
    assert names(before) == ["1.idx", "1.jsonl.zst", "3.idx", "3.jsonl.zst", "5.jsonl", "manifest.jsonl"]
    assert (events(log), findings(log)) == (told, [])


def test_a_torn_line_of_the_manifest_is_written_again(tmp_path: Path) -> None:
    log = three_segments(tmp_path / "pl")
    log.close()
    shutil.copytree(tmp_path / "pl", tmp_path / "before")
    compact_all(log)
    whole = (tmp_path / "pl" / "manifest.jsonl").read_bytes()
    for end in (10, whole.index(b"\n"), whole.index(b"\n") + 1, len(whole) - 1):
        work = tmp_path / f"at{end}"
        shutil.copytree(tmp_path / "before", work)
        (work / "manifest.jsonl").write_bytes(whole[:end])
        if end > whole.index(b"\n"):
            shutil.copy(tmp_path / "pl" / f"{FIRST}.jsonl.zst", work)
        again = open_log(work, segment_bytes=1)
        compact_all(again)
        assert (work / "manifest.jsonl").read_bytes() == whole
        assert findings(again) == []


def test_stopping_leaves_the_segment_for_the_next_start(tmp_path: Path) -> None:
    log = open_log(tmp_path / "pl", segment_bytes=1)
    log.commit([packed(b"1" * (2 << 20))])
    log.commit([packed(b"2")])

    def closing(worked: float) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        log.compact_oldest(closing)
    assert names(tmp_path / "pl") == ["1.jsonl", "2.jsonl"]
    compact_all(log)
    assert names(tmp_path / "pl") == ["1.idx", "1.jsonl.zst", "2.jsonl", "manifest.jsonl"]


def test_a_damaged_segment_is_kept_aside_and_what_can_be_read_of_it_goes_on(tmp_path: Path) -> None:
    log = three_segments(tmp_path / "pl")
    path = tmp_path / "pl" / f"{FIRST}.jsonl"
    path.write_bytes(path.read_bytes().replace(b'{"a":1}', b'{"a":7}'))
    with pytest.raises(Damaged, match="byte 0: the checksum is wrong"):
        log.compact_oldest(lambda worked: None)
    assert names(tmp_path / "pl") == ["1.jsonl", "3.jsonl", "5.jsonl"]
    for _ in range(2):  # the second time compressed, with a frame that stands for what is lost
        assert reasons(log) == [(1, 2, "byte 0: the checksum is wrong")]
        assert events(log, 2) == [(3, b"3"), (4, b'" "'), (5, b"5")]
        compact_all(log)
    assert names(tmp_path / "pl") == [
        "1.idx", "1.jsonl.damaged", "1.jsonl.zst", "3.idx", "3.jsonl.zst", "5.jsonl", "manifest.jsonl",
        "quarantine.json",
    ]  # fmt: skip
    assert findings(log) == ["events 1 to 2 could not be read when it was compressed (byte 0: the checksum is wrong)"]


def test_a_manifest_that_is_behind_the_files_is_not_trusted(tmp_path: Path) -> None:
    compact_all(three_segments(tmp_path / "pl"))
    manifest = tmp_path / "pl" / "manifest.jsonl"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole.splitlines(keepends=True)[0])
    with pytest.raises(FatalError, match=r"it does not list 00000000000000000003\.jsonl\.zst"):
        recover(tmp_path / "pl")
    manifest.write_bytes(whole[:-5] + b"????\n")
    with pytest.raises(FatalError, match="its last line is damaged"):
        recover(tmp_path / "pl")


def test_a_start_reads_only_the_end_of_the_manifest(tmp_path: Path) -> None:
    log = open_log(tmp_path / "pl", segment_bytes=1)
    for number in range(40):
        log.commit([packed(b"%d" % number, checkpoint={"cursor": "x" * 3000})])
    compact_all(log)
    manifest = tmp_path / "pl" / "manifest.jsonl"
    content = bytearray(manifest.read_bytes())
    assert len(content) > 100_000  # 39 lines of 3.4 kB
    content[:100] = b"?" * 100  # far before the end: nobody asks for it
    manifest.write_bytes(content)
    log.close()
    again = open_log(tmp_path / "pl")
    assert (again.last_seq, events(again, 39)) == (40, [(40, b"39")])
