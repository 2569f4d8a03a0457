"""Files of Bronze that rot: torn, zeroed, flipped, truncated, gone. The rest goes on, the place is named and mends.

Each case: a log of 40 events in five segments, one of the files is hurt while nobody has it open, and then the log is
opened and read to the end. Every event must come back as it was or as damaged, never otherwise, and never with an
error; all events of the other segments must be there. When the bytes are put back, nothing is in quarantine any more.

**The control** hurts a payload and mends its checksum, which no reader can see: the harness must find the wrong event,
and ``verify`` must name the file by its hash.
"""

from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import pytest
import zstandard

from appliance.domain.ids import PipelineId
from appliance.storage.bronze.frame import Damaged
from appliance.storage.bronze.pipeline_log import PipelineLog
from appliance.storage.bronze.verify import Verification
from tests.crash.bronze_keeper import keeper_of
from tests.fakes.segments import compact_all, open_log, packed, told

SEGMENTS = [f"{first:020d}.jsonl" for first in (1, 9, 17, 25, 33)]  # the last two are not compressed
EVENTS = {seq: b'{"n":%d,"pad":"%0300d"}' % (seq, seq * seq) for seq in range(1, 41)}


def flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :]


HURT: dict[str, Callable[[bytes], bytes]] = {
    "torn": lambda content: content[: len(content) // 2],
    "truncated": lambda content: b"",
    "zeroed": lambda content: content[: len(content) // 3] + bytes(20) + content[len(content) // 3 + 20 :],
    "wholly zeroed": lambda content: bytes(len(content)),
    "flipped": lambda content: flip(content, len(content) // 3),
    "first byte flipped": lambda content: flip(content, 0),
    "last byte flipped": lambda content: flip(content, len(content) - 1),
}
FILES = (f"{SEGMENTS[0]}.zst", f"{SEGMENTS[2]}.zst", SEGMENTS[3], SEGMENTS[4])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four frames of two events a segment."""
    log = open_log(tmp_path / "pl", segment_bytes=2400)
    for seq in range(1, 41, 2):
        log.commit([packed(EVENTS[seq], EVENTS[seq + 1])])
        if seq == 25:
            compact_all(log)
    log.close()
    assert [path.name for path in sorted(log.directory.glob("0*.jsonl*")) if path.suffix != ".rest"] == [
        f"{SEGMENTS[0]}.zst", f"{SEGMENTS[1]}.zst", f"{SEGMENTS[2]}.zst", SEGMENTS[3], SEGMENTS[4],
    ]  # fmt: skip
    return tmp_path / "pl"


def outcome(log: PipelineLog) -> tuple[list[int], list[int]]:
    """Return which events came back as something else, and which as damaged; all must come, in order."""
    answered = told(keeper_of(log).reader)
    assert [seq for seq, _ in answered] == list(range(1, log.last_seq + 1))
    wrong = [seq for seq, line in answered if line not in (None, EVENTS[seq])]
    return wrong, [seq for seq, line in answered if line is None]


def names_found(log: PipelineLog) -> set[str]:
    found = Verification(PipelineId("pl"), log).findings()
    return {one.segment.removesuffix(".zst") for one in found}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("how", HURT)
def test_the_rest_goes_on_and_a_copy_mends_it(folder: Path, file: str, how: str) -> None:
    path, name = folder / file, file.removesuffix(".zst")
    whole = path.read_bytes()
    path.write_bytes(HURT[how](whole))
    log = open_log(folder, segment_bytes=2400)
    wrong, damaged = outcome(log)
    first = int(name[:20])
    assert (log.last_seq, wrong) == (40, [])
    assert damaged != []
    assert set(damaged) <= set(range(first, first + 8))  # nothing of another segment
    keeper = keeper_of(log)
    places = keeper.quarantined()
    assert [seq for one in places for seq in range(one.first_seq, one.last_seq + 1)] == damaged
    assert {one.segment.removesuffix(".zst") for one in places} == {name}
    assert names_found(log) == {name}
    assert log.commit([packed(b"41")]) == [41]
    log.park()

    path.write_bytes(whole)
    assert keeper.quarantined() == []
    if file.endswith(".zst"):
        assert names_found(log) == set()
    assert told(keeper.reader, 0)[:40] == list(EVENTS.items())


@pytest.mark.parametrize("file", FILES[2:])
@pytest.mark.parametrize("how", HURT)
def test_a_damaged_segment_is_compressed_and_a_copy_beside_it_mends_it(folder: Path, file: str, how: str) -> None:
    path = folder / file
    whole = path.read_bytes()
    path.write_bytes(HURT[how](whole))
    log = open_log(folder, segment_bytes=2400)
    log.commit([packed(b"41")])  # so that the last one closes
    log.commit([packed(b"42")])
    _, damaged = outcome_of(log)
    _compact_whatever(log)
    assert outcome_of(log) == ([], damaged)
    keeper = keeper_of(log)
    assert [seq for one in keeper.quarantined() for seq in range(one.first_seq, one.last_seq + 1)] == damaged
    assert (folder / f"{file}.damaged").exists()
    log.close()

    path.write_bytes(whole)  # a copy, put back while Dash was stopped
    log = open_log(folder, segment_bytes=2400)
    assert keeper_of(log).quarantined() == []
    assert outcome_of(log) == ([], [])
    assert names_found(log) == set()
    assert not path.exists()
    assert not (folder / f"{file}.damaged").exists()


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_a_damaged_place(folder: Path, file: str) -> None:
    path = folder / file
    whole = path.read_bytes()
    log = open_log(folder, segment_bytes=2400)
    path.unlink()
    first = int(file[:20])
    assert outcome(log) == ([], list(range(first, first + 8)))
    keeper = keeper_of(log)
    assert [one.reason for one in keeper.quarantined()] == ["the file is missing"]
    path.write_bytes(whole)
    assert keeper.quarantined() == []
    assert outcome(log) == ([], [])


@pytest.mark.parametrize("how", HURT)
def test_an_index_that_rots_costs_nothing(folder: Path, how: str) -> None:
    path = folder / SEGMENTS[1].replace(".jsonl", ".idx")
    path.write_bytes(HURT[how](path.read_bytes()))
    log = open_log(folder, segment_bytes=2400)
    assert outcome(log) == ([], [])


@pytest.mark.parametrize("line", [0, 1])
def test_a_manifest_that_rots_in_the_middle_costs_nothing(folder: Path, line: int) -> None:
    path = folder / "manifest.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line] = b"#" * (len(lines[line]) - 1) + b"\n"
    path.write_bytes(b"".join(lines))
    log = open_log(folder, segment_bytes=2400)
    assert outcome(log) == ([], [])
    assert "manifest.jsonl" in names_found(log)


def test_quarantine_outlives_a_restart(folder: Path) -> None:
    (folder / FILES[0]).write_bytes(b"rotten")
    log = open_log(folder, segment_bytes=2400)
    assert outcome(log) == ([], list(range(1, 9)))
    log.close()
    again = keeper_of(open_log(folder, segment_bytes=2400))
    assert [(one.first_seq, one.last_seq) for one in again.quarantined()] == [(1, 8)]


def test_the_control_a_wrong_payload_with_the_right_checksum(folder: Path) -> None:
    path = folder / FILES[0]
    plain = zstandard.ZstdDecompressor().stream_reader(path.read_bytes(), read_across_frames=True).read()
    header, first, second, rest = plain.split(b"\n", 3)
    second = second.replace(b'"n":2', b'"n":7')
    start = header[: -len(b',"crc":"00000000"}')]
    crc = crc32(b"%b\n%b\n" % (first, second), crc32(start))
    forged = b"\n".join((b'%b,"crc":"%08x"}' % (start, crc), first, second, rest))
    path.write_bytes(zstandard.ZstdCompressor().compress(forged))
    (folder / SEGMENTS[0].replace(".jsonl", ".idx")).unlink()
    log = open_log(folder, segment_bytes=2400)
    assert outcome(log) == ([2], [])
    assert names_found(log) == {SEGMENTS[0]}


def outcome_of(log: PipelineLog) -> tuple[list[int], list[int]]:
    """Do as ``outcome``, leaving out the events that a test has added."""
    answered = [(seq, line) for seq, line in told(keeper_of(log).reader) if seq <= 40]
    assert [seq for seq, _ in answered] == list(range(1, 41))
    wrong = [seq for seq, line in answered if line not in (None, EVENTS[seq])]
    return wrong, [seq for seq, line in answered if line is None]


def _compact_whatever(log: PipelineLog) -> None:
    """Do as the caretaker does."""
    while True:
        try:
            if not log.compact_oldest(lambda worked: None):
                return
        except Damaged:
            continue
