"""Whatever changes in any file, verify names the segment."""

from pathlib import Path

import pytest

from appliance.domain.ids import PipelineId
from appliance.storage.bronze.pipeline_log import PipelineLog
from appliance.storage.bronze.verify import Verification
from tests.fakes.segments import compact_all, open_log, packed

NAMES = [f"{first:020d}" for first in (1, 3, 5, 6)]


@pytest.fixture
def log(tmp_path: Path) -> PipelineLog:
    """Two compressed segments, one closed, one open."""
    log = open_log(tmp_path / "pl", segment_bytes=1)
    log.commit([packed(b"1", b"2")])
    log.commit([packed(b"3", b"4")])
    log.commit([packed(b"5")])
    compact_all(log)
    log.commit([packed(b"6")])
    return log


def found(log: PipelineLog) -> list[tuple[str, str]]:
    return [(one.segment, one.message) for one in Verification(PipelineId("pl"), log).findings()]


def test_nothing_is_wrong(log: PipelineLog) -> None:
    assert found(log) == []


@pytest.mark.parametrize(
    "name", [f"{NAMES[0]}.jsonl.zst", f"{NAMES[1]}.jsonl.zst", f"{NAMES[2]}.jsonl", f"{NAMES[3]}.jsonl"]
)
def test_every_flipped_byte_of_a_segment_is_found(log: PipelineLog, name: str) -> None:
    path = log.directory / name
    whole = path.read_bytes().rstrip(b"\0") if name.endswith(".jsonl") else path.read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 4
        path.write_bytes(changed)
        assert {segment for segment, _ in found(log)} == {name}, place


def test_every_flipped_byte_of_the_manifest_is_found(log: PipelineLog) -> None:
    path = log.directory / "manifest.jsonl"
    whole = path.read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert found(log) != [], place


def test_a_missing_file_is_named_with_a_remedy(log: PipelineLog) -> None:
    for name in (f"{NAMES[1]}.jsonl.zst", f"{NAMES[2]}.jsonl"):
        (log.directory / name).unlink()
    findings = list(Verification(PipelineId("pl"), log).findings())
    assert [(one.segment, one.message) for one in findings] == [
        (f"{NAMES[1]}.jsonl.zst", "the file is missing"),
        (f"{NAMES[2]}.jsonl", "the file is missing"),
    ]
    assert {one.remedy for one in findings} == {"restore this file from a backup or from the archive"}


def test_a_line_taken_out_of_the_manifest_breaks_the_chain(log: PipelineLog) -> None:
    path = log.directory / "manifest.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[1])
    assert ("manifest.jsonl", f"the chain is broken before line 1 ({NAMES[1]}.jsonl.zst): a line is missing or was "
            "changed") in found(log)  # fmt: skip


def test_a_segment_in_the_place_of_another_is_found(log: PipelineLog) -> None:
    first, second = (log.directory / f"{name}.jsonl.zst" for name in NAMES[:2])
    second.write_bytes(first.read_bytes())
    assert found(log) == [(second.name, "byte 0: expected event 3, found 1")]


def test_an_index_that_lies_is_found(log: PipelineLog) -> None:
    path = log.directory / f"{NAMES[0]}.idx"
    path.write_bytes(path.read_bytes().replace(b"[[1,0,", b"[[1,9,"))
    assert found(log) == [(path.name, "the index does not fit its segment")]
