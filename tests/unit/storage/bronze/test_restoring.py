"""A log made again from the archive alone."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from appliance.components.archive import Restored
from appliance.components.bronze import Correction
from appliance.errors import Conflict, FatalError, NotFound, TransientError
from appliance.storage.archive.folder import FolderArchive
from appliance.storage.bronze.archive.claim import Identity
from appliance.storage.bronze.archive.log_archive import Archiving, LogArchive
from appliance.storage.bronze.dedupe import DeliveryWindow
from appliance.storage.bronze.frame import microseconds
from appliance.storage.bronze.recovery import recover
from tests.fakes.archived import Archived, Gate, findings
from tests.fakes.segments import NOON, told

NEW = Identity("here", "token-of-the-new-machine")


@pytest.fixture
def lost(tmp_path: Path) -> Iterator[Archived]:
    """A machine that archived ten events in five segments, one of them corrected and one erased, and then was lost."""
    one = Archived(tmp_path / "lost", archive=tmp_path / "archive")
    one.fill()
    one.keeper.correct([Correction(3, b'{"n":3}', "a test", "ada", NOON)])
    one.archive()
    one.keeper.erase([6], "asked for", "ada")
    one.archive()
    yield one
    one.close()


class Elsewhere:
    """Another machine with an empty disk."""

    def __init__(self, lost: Archived, folder: Path, local_cache: int | None = None) -> None:
        self._lost, self._folder, self._local_cache = lost, folder, local_cache
        self.gate = Gate(FolderArchive(lost.objects))
        terms = Archiving(store=self.gate, who=NEW, local_cache=local_cache)
        self.office = LogArchive(folder / "bronze", terms)

    def restore(self) -> Restored:
        steps = list(self.office.restoration("pl").steps())
        assert [step.done for step in steps] == sorted(step.done for step in steps)
        assert steps[-1].finished
        return steps[-1]

    def open(self) -> Archived:
        return Archived(self._folder, who=NEW, archive=self._lost.objects, local_cache=self._local_cache)


def test_answers_as_the_lost_one_did(lost: Archived, tmp_path: Path) -> None:
    elsewhere = Elsewhere(lost, tmp_path / "new")
    assert elsewhere.office.pipelines() == ["pl"]
    done = elsewhere.restore()
    assert (done.segments, done.last_seq, done.lost, done.erase_again) == (5, 10, {}, [])
    new = elsewhere.open()
    assert told(new.keeper.reader) == told(lost.keeper.reader)
    assert (new.log.last_seq, new.log.first_seq) == (10, 1)
    assert [one.sha256 for one in new.log.segments()] == [one.sha256 for one in lost.log.segments()]
    assert findings(new) == []
    new.fill(first=5, hours=1)
    assert new.log.last_seq == 12
    new.close()


def test_deliveries_are_known_again(lost: Archived, tmp_path: Path) -> None:
    elsewhere = Elsewhere(lost, tmp_path / "new", local_cache=0)
    elsewhere.restore()
    window = DeliveryWindow()
    now = microseconds(NOON + timedelta(hours=5))
    window.restore(recover(tmp_path / "new" / "bronze" / "pl"), now)
    assert [window.find(f"d{hour}", now) for hour in range(5)] == [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10)]


def test_leaves_the_newest_here_and_has_proved_the_others(lost: Archived, tmp_path: Path) -> None:
    size = sum(entry.packed_size for entry in lost.log.manifest.entries()[-2:])
    elsewhere = Elsewhere(lost, tmp_path / "new", local_cache=size)
    assert elsewhere.restore().bytes == sum(entry.packed_size for entry in lost.log.manifest.entries())
    new = elsewhere.open()
    assert new.here() == ["7", "9"]
    assert len(list(new.log.directory.glob("*.idx"))) == 5
    assert told(new.keeper.reader) == told(lost.keeper.reader)
    new.close()


@pytest.mark.parametrize("local_cache", [None, 0])
def test_goes_on_where_it_was_interrupted(lost: Archived, tmp_path: Path, local_cache: int | None) -> None:
    elsewhere = Elsewhere(lost, tmp_path / "new", local_cache)
    gate = elsewhere.gate

    def close(doing: str, key: str) -> None:
        gate.closed = key.endswith("5.jsonl.zst")

    gate.before = close
    with pytest.raises(TransientError):
        elsewhere.restore()
    assert not (tmp_path / "new" / "bronze" / "pl").exists()
    gate.before, gate.closed = lambda doing, key: None, False
    gate.asked.clear()
    elsewhere.restore()
    fetched = [name.lstrip("0") for doing, name in gate.asked if name.endswith(".zst")]
    assert fetched == ["5.jsonl.zst", "7.jsonl.zst", "9.jsonl.zst"]
    new = elsewhere.open()
    assert (told(new.keeper.reader), findings(new)) == (told(lost.keeper.reader), [])
    new.close()


def test_only_where_there_is_no_log(lost: Archived, tmp_path: Path) -> None:
    elsewhere = Elsewhere(lost, tmp_path / "new")
    elsewhere.restore()
    with pytest.raises(Conflict, match="move it away first"):
        elsewhere.restore()
    with pytest.raises(NotFound):
        list(elsewhere.office.restoration("pl_none").steps())


def test_a_manifest_that_was_changed_is_not_believed(lost: Archived, tmp_path: Path) -> None:
    manifest = lost.object("manifest.jsonl")
    manifest.write_bytes(manifest.read_bytes().replace(b'"reason":"asked for"', b'"reason":"asked fur"'))
    with pytest.raises(FatalError, match="is not as it was written: line"):
        Elsewhere(lost, tmp_path / "new").restore()


def test_what_the_archive_has_lost_is_named_and_its_numbers_are_not_given_out_again(
    lost: Archived, tmp_path: Path
) -> None:
    lost.object("9.jsonl.zst").unlink()
    rotten = lost.object("3.jsonl.zst")
    rotten.write_bytes(b"rot")
    elsewhere = Elsewhere(lost, tmp_path / "new")
    done = elsewhere.restore()
    assert {name.lstrip("0"): reason.partition(" (")[0] for name, reason in done.lost.items()} == {
        "3.jsonl.zst": "the archive has other bytes",
        "9.jsonl.zst": "it is not in the archive",
    }
    new = elsewhere.open()
    lines = dict(told(new.keeper.reader))
    assert [seq for seq, line in lines.items() if line is None] == [4, 6, 9, 10]  # 3 is corrected, 6 was erased
    new.fill(first=5, hours=1)
    assert new.log.last_seq == 12
    new.close()


def test_an_erasure_that_was_not_finished_is_told_of_and_finished_by_the_same_call(
    lost: Archived, tmp_path: Path
) -> None:
    def close(doing: str, key: str) -> None:
        lost.gate.closed = doing == "put" and key.endswith("1.jsonl.zst")

    lost.gate.before = close
    with pytest.raises(TransientError):
        lost.keeper.erase([1], "asked for", "ada")
    elsewhere = Elsewhere(lost, tmp_path / "new")
    done = elsewhere.restore()
    assert ([name.lstrip("0") for name in done.erase_again], done.lost) == (["1.jsonl.zst"], {})
    new = elsewhere.open()
    assert told(new.keeper.reader)[0] == (1, None)
    assert findings(new) == ["1.jsonl.zst: it is the file from before events in it were erased"]
    new.office.take_over()
    new.keeper.erase([1], "asked for", "ada")
    assert findings(new) == []
    assert new.archive() is None
    new.close()
