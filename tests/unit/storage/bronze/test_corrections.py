"""Corrections outlive crashes, cut what was never promised, and keep little in memory."""

import errno
from pathlib import Path

import pytest

from appliance.components.bronze import Correction
from appliance.errors import Conflict
from appliance.storage.bronze.corrections import Corrections
from tests.fakes.segments import NOON


def one(seq: int, payload: bytes | None = b"1") -> Correction:
    return Correction(seq, payload, "a typing error", "ada@example.org", NOON)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three corrections, of events 7, 3 and 7 again."""
    corrections = Corrections(tmp_path)
    corrections.add([one(7, b'{"a":"caf\xc3\xa9"}'), one(3, None)])
    corrections.add([one(7, b'{"a":2}')])
    return tmp_path


def test_the_newest_counts_after_a_restart_too(folder: Path) -> None:
    corrections = Corrections(folder)
    assert corrections.find(7) == one(7, b'{"a":2}')
    assert corrections.find(3) == one(3, None)
    assert corrections.find(4) is None
    assert (corrections.between(1, 9), corrections.between(4, 6), corrections.unreadable()) == ([3, 7], [], [])
    assert [corrections.next_seq(seq) for seq in (1, 3, 4, 7, 8)] == [3, 3, 7, 7, None]


def test_a_torn_tail_is_cut_wherever_it_tore(folder: Path) -> None:
    path = folder / "corrections.jsonl"
    whole = path.read_bytes()
    start = whole[:-1].rindex(b"\n") + 1
    for end in range(start, len(whole)):
        path.write_bytes(whole[:end])
        corrections = Corrections(folder)
        assert corrections.find(7) == one(7, b'{"a":"caf\xc3\xa9"}')
        assert path.read_bytes() == whole[:start]
        corrections.add([one(9)])
        assert Corrections(folder).between(1, 9) == [3, 7, 9]


def test_a_line_that_rots_is_passed_over_and_named(folder: Path) -> None:
    path = folder / "corrections.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"seq":3', b'"seq":4', 1))
    corrections = Corrections(folder)
    assert (corrections.between(1, 9), corrections.unreadable()) == ([7], [2])
    corrections.add([one(3, None)])
    assert Corrections(folder).between(1, 9) == [3, 7]


def test_what_goes_is_nowhere_in_the_file(folder: Path) -> None:
    corrections = Corrections(folder)
    corrections.keep(lambda seq: seq != 7)
    assert (corrections.between(1, 9), corrections.find(7)) == ([3], None)
    assert b'"a"' not in (folder / "corrections.jsonl").read_bytes()
    before = (folder / "corrections.jsonl").stat().st_ino
    corrections.keep(lambda seq: True)
    assert (folder / "corrections.jsonl").stat().st_ino == before  # nothing to leave out: not written again


def test_many_are_found_with_sixteen_bytes_each(tmp_path: Path) -> None:
    corrections = Corrections(tmp_path)
    for first in range(1, 20_001, 4000):
        corrections.add([one(seq, b"%d" % seq) for seq in range(first, first + 4000)])
    assert corrections.find(13_579) == one(13_579, b"13579")
    assert len(corrections) == 20_000
    assert corrections._seqs.buffer_info()[1] * corrections._seqs.itemsize == 160_000
    with pytest.raises(Conflict, match="at most 1000000 events"):
        corrections.add([one(1)] * 980_001)


def test_a_refusal_leaves_nothing_that_counts(folder: Path) -> None:
    corrections = Corrections(folder)
    corrections.find(1)
    path = folder / "corrections.jsonl"
    path.rename(folder / "moved")
    path.mkdir()  # whoever opens it for writing is refused
    with pytest.raises(OSError, match="directory") as caught:
        corrections.add([one(5)])
    assert caught.value.errno == errno.EISDIR
    path.rmdir()
    (folder / "moved").rename(path)
    assert (corrections.find(5), corrections.between(1, 9)) == (None, [3, 7])
