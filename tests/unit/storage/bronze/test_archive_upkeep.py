"""What leaves the archive, and what replaces what is there: erasure, expiry, deletion, corrections."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest

from appliance.components.bronze import Correction
from appliance.errors import TransientError
from appliance.storage.bronze.archive.log_archive import Archiving, LogArchive
from tests.fakes.archived import ALL, SECRET, SEGMENTS, WHO, Archived, everything, findings
from tests.fakes.segments import NOON, told


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Archived]:
    """Ten events in five closed segments; nothing stays here that is archived."""
    one = Archived(tmp_path, local_cache=0)
    one.fill()
    yield one
    one.close()


def test_what_is_erased_is_erased_there_before_it_is_told(one: Archived) -> None:
    one.archive()
    assert everything(one.objects).count(SECRET) == 8
    one.keeper.correct([Correction(9, b'{"who":"%b"}' % SECRET, "a test", "ada", NOON)])
    one.archive()
    assert one.keeper.erase([1, 2, 9, 10], "asked for", "ada") == 4
    assert everything(one.objects).count(SECRET) == 4  # events 5 to 8
    one.gate.closed = True
    with pytest.raises(TransientError, match="no answer"):
        one.keeper.erase([5, 6], "asked for", "ada")
    one.gate.closed = False
    assert one.keeper.erase([5, 6], "asked for", "ada") in (0, 2)
    assert everything(one.objects).count(SECRET) == 2
    assert (findings(one), one.archive()) == ([], None)
    assert told(one.keeper.reader) == [(n, line if n in (3, 4, 7, 8) else None) for n, line in ALL]
    assert one.here() == []


def test_an_erasure_that_the_archive_refused_is_done_by_the_same_call(tmp_path: Path) -> None:
    one = Archived(tmp_path)
    one.fill()
    one.archive()
    one.gate.closed = True
    with pytest.raises(TransientError, match="they are erased here, and in the archive not yet"):
        one.keeper.erase([1], "asked for", "ada")
    assert everything(one.objects).count(SECRET) == 8
    one.gate.closed = False
    assert one.keeper.erase([1], "asked for", "ada") == 0
    assert everything(one.objects).count(SECRET) == 7
    one.close()


def test_an_upload_that_is_overtaken_by_an_erasure_does_not_count(tmp_path: Path) -> None:
    one = Archived(tmp_path)
    one.fill(hours=1)
    erased: list[Thread] = []

    def overtake(doing: str, key: str) -> None:
        if doing == "put" and key.endswith("1.jsonl.zst") and not erased:
            erased.append(Thread(target=one.keeper.erase, args=([1, 2], "asked for", "ada")))
            erased[0].start()
            while one.log.manifest.erased(1, 2) != [(1, 2)]:
                erased[0].join(0.001)

    one.gate.before = overtake
    assert one.archive() is None
    erased[0].join()
    assert SECRET not in everything(one.objects) + everything(one.root)
    assert findings(one) == []
    one.close()


def test_what_expires_goes_there_too(one: Archived) -> None:
    one.archive()
    sizes = [entry.packed_size for entry in one.log.manifest.entries()]
    one.hand.move(hours=9)
    gone = one.keeper.expire(NOON + timedelta(hours=2), None, 10)
    assert (gone.segments, gone.events, gone.bytes_freed >= sum(sizes[:2])) == (2, 4, True)
    one.archive()
    assert one.there() == ["5.jsonl.zst", "7.jsonl.zst", "9.jsonl.zst", "manifest.jsonl"]
    assert told(one.keeper.reader) == ALL[4:]


def test_size_counts_what_is_there_only_and_bounds_the_log(one: Archived) -> None:
    one.archive()
    sizes = [entry.packed_size for entry in one.log.manifest.entries()]
    assert one.keeper.size() >= sum(sizes)
    one.keeper.expire(None, one.keeper.size() - sizes[0], 10)
    assert one.log.first_seq == 3


def test_what_expires_may_be_kept_there_for_longer_but_not_what_is_erased(tmp_path: Path) -> None:
    one = Archived(tmp_path, keep=timedelta(hours=24))
    one.fill()
    one.archive()
    one.hand.move(hours=9)
    one.keeper.expire(NOON + timedelta(hours=2), None, 10)
    one.archive()
    assert one.there() == [*SEGMENTS, "manifest.jsonl"]
    one.keeper.erase([1], "asked for", "ada")
    assert one.there() == [*SEGMENTS[1:], "manifest.jsonl"]
    one.hand.move(hours=24)
    one.archive()
    assert one.there() == ["5.jsonl.zst", "7.jsonl.zst", "9.jsonl.zst", "manifest.jsonl"]
    one.close()


def test_a_deleted_pipeline_goes_there_too_once_it_can(one: Archived) -> None:
    one.archive()
    one.gate.closed = True
    one.office.delete("pl")
    one.log.delete()
    one.office.detach(one.log)
    assert one.archive() is not None
    again = LogArchive(one.root, Archiving(store=one.gate.store, who=WHO))
    again.rounds.make()
    assert (again.rounds.trouble, one.there()) == (None, [])
    assert list(one.root.iterdir()) == []


def test_a_deletion_that_a_crash_ended_before_it_began_takes_nothing(one: Archived) -> None:
    one.archive()
    one.office.delete("pl")
    again = Archived(one.root.parent, local_cache=0)
    assert again.archive() is None
    assert (again.there(), told(again.keeper.reader)) == ([*SEGMENTS, "manifest.jsonl"], ALL)
    again.close()


def test_corrections_are_archived(one: Archived) -> None:
    one.archive()
    one.keeper.correct([Correction(3, b"3", "a test", "ada", NOON)])
    one.archive()
    assert one.object("corrections.jsonl").read_bytes() == (one.log.directory / "corrections.jsonl").read_bytes()


def test_what_is_compressed_while_a_round_ends_comes_with_the_next(tmp_path: Path) -> None:
    one = Archived(tmp_path)
    one.fill(hours=1)
    closed: list[int] = []

    def close_another(doing: str, key: str) -> None:
        if doing == "put" and key.endswith("1.jsonl.zst") and not closed:  # what this round takes is settled by now
            closed.append(1)
            one.fill(first=1, hours=1)

    one.gate.before = close_another
    assert one.archive() is None
    assert "3.jsonl.zst" not in one.there()
    assert one.archive() is None
    assert one.there() == ["1.jsonl.zst", "3.jsonl.zst", "manifest.jsonl"]
    one.close()
