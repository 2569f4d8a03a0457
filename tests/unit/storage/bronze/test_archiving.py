"""What is archived when, what may go from this disk because of it, and what reading does then."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest

from appliance.components.archive import ArchiveState
from appliance.domain.ids import PipelineId
from appliance.errors import ConfigError, FatalError, TransientError
from appliance.storage.bronze.archive.claim import Identity, identity
from appliance.storage.bronze.blockstore import Blockstore
from appliance.storage.bronze.keeper import Keeper
from tests.fakes.archived import ALL, SEGMENTS, Archived, findings
from tests.fakes.segments import NOON, open_log, options, told


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Archived]:
    """Ten events in five closed segments; nothing stays here that is archived."""
    one = Archived(tmp_path, local_cache=0)
    one.fill()
    yield one
    one.close()


def test_the_manifest_goes_first_then_each_segment_is_read_back(one: Archived) -> None:
    assert one.archive() is None
    asked = [(doing, name.lstrip("0")) for doing, name in one.gate.asked]
    start = asked.index(("put", "manifest.jsonl"))
    assert asked[start : start + 6] == [
        ("put", "manifest.jsonl"), ("read", "manifest.jsonl"),
        ("put", "1.jsonl.zst"), ("read", "1.jsonl.zst"), ("put", "3.jsonl.zst"), ("read", "3.jsonl.zst"),
    ]  # fmt: skip
    assert asked[-2:] == [("put", "manifest.jsonl"), ("read", "manifest.jsonl")]
    assert one.there() == [*SEGMENTS, "manifest.jsonl"]
    assert one.object("manifest.jsonl").read_bytes() == (one.log.directory / "manifest.jsonl").read_bytes()
    one.gate.asked.clear()
    assert one.archive() is None
    assert one.gate.asked == [], "nothing is new"


def test_what_is_archived_goes_and_is_read_all_the_same(one: Archived) -> None:
    before = [(n, line) for n, line in told(one.keeper.reader)]
    one.archive()
    assert (one.here(), before) == ([], ALL)
    assert told(one.keeper.reader) == ALL
    assert one.keeper.reader.event(PipelineId("pl"), 4).payload == b'{"n":4,"who":"nobody"}'
    assert one.keeper.seq_at(NOON + timedelta(hours=2)) == 5
    assert findings(one) == []
    assert one.here() == []


def test_a_start_needs_no_archive(one: Archived) -> None:
    one.archive()
    one.close()
    again = Archived(one.root.parent, local_cache=0)
    again.gate.closed = True
    assert (again.log.last_seq, again.log.first_seq, again.gate.asked) == (10, 1, [])
    again.fill(first=5, hours=1)
    assert again.log.last_seq == 12
    with pytest.raises(TransientError, match=r"reading 0+1\.jsonl\.zst of pl, which is in the archive only"):
        again.keeper.reader.read(0, 100, 1 << 20)
    assert [frame.first_seq for frame in again.keeper.reader.read(10, 100, 1 << 20)] == [11]
    assert again.keeper.places.all() == [], "out of reach is not damaged"
    again.gate.closed = False
    assert told(again.keeper.reader)[:10] == ALL
    again.close()


def test_what_was_read_before_the_archive_was_gone_is_answered(one: Archived) -> None:
    one.gate.before = lambda doing, key: setattr(one.gate, "closed", doing == "put" and key.endswith("5.jsonl.zst"))
    assert one.archive() is not None  # the first two are archived
    one.gate.before, one.gate.closed = lambda doing, key: None, True
    assert one.here() == ["5", "7", "9"]
    with pytest.raises(TransientError):
        one.keeper.reader.read(0, 100, 1 << 20)
    assert [frame.first_seq for frame in one.keeper.reader.read(4, 100, 1 << 20)] == [5, 7, 9]


def test_the_cache_is_bounded_and_what_was_used_last_goes_last(one: Archived) -> None:
    sizes = {entry.first_seq: entry.packed_size for entry in one.log.manifest.entries()}
    one.office._cache.limit = sizes[1] + sizes[7] + sizes[9]
    one.archive()
    assert one.here() == ["5", "7", "9"] or one.here() == ["7", "9"]  # the oldest went first
    one.keeper.reader.event(PipelineId("pl"), 1)
    assert "1" in one.here()
    assert one.office.state().local_bytes <= one.office._cache.limit
    one.keeper.reader.event(PipelineId("pl"), 3)
    assert {"1", "3"} <= set(one.here()), "what was used a moment ago outlasts what was not"


def test_everything_goes_while_the_disk_is_nearly_full(tmp_path: Path) -> None:
    one = Archived(tmp_path)
    one.fill()
    one.archive()
    assert one.here() == ["1", "3", "5", "7", "9"]
    one.office.press(True)
    one.archive()
    assert one.here() == []
    one.office.press(False)
    assert told(one.keeper.reader) == ALL
    assert one.here() == ["1", "3", "5", "7", "9"]
    one.close()


def test_many_readers_fetch_once_and_nothing_goes_while_it_is_read(one: Archived) -> None:
    one.archive()
    one.gate.asked.clear()
    answers: list[bytes] = []
    entry = one.log.manifest.entries()[0]
    with one.log.shelf.lend(entry) as path:
        one.gate.asked.clear()
        one.archive()
        assert path.exists(), "it is being read"
    one.gate.asked.clear()
    together = Barrier(8)

    def read() -> None:
        together.wait()
        with one.log.shelf.lend(entry) as path:
            together.wait()  # all have it at once
            answers.append(path.read_bytes())

    threads = [Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1
    assert [doing for doing, _ in one.gate.asked] == ["read"]
    assert one.here() == []


def test_bytes_that_came_wrong_are_fetched_again_and_rot_is_named(one: Archived) -> None:
    one.archive()
    rotten = one.object("3.jsonl.zst")
    rotten.write_bytes(rotten.read_bytes()[:-1] + b"?")
    frames = one.keeper.reader.read(0, 100, 1 << 20)
    damaged = [frame for frame in frames if frame.damaged]
    assert [(frame.first_seq, frame.last_seq) for frame in damaged] == [(3, 4)]
    assert "the archive has other bytes (file://" in (damaged[0].damaged or "")
    assert [line for _, line in told(one.keeper.reader)] == [
        line if n not in (3, 4) else None for n, line in ALL
    ]  # fmt: skip
    assert any("3.jsonl.zst" in found and "the archive has other bytes" in found for found in findings(one))
    wrong = [(entry.first_seq, told) for entry, told in one.office.archiver("pl").proof() if told]
    assert [seq for seq, _ in wrong] == [3]


def test_a_copy_put_back_is_read_and_archived_again(one: Archived) -> None:
    copy = next(one.log.directory.glob("*3.jsonl.zst")).read_bytes()
    one.archive()
    rotten = one.object("3.jsonl.zst")
    rotten.write_bytes(b"rot")
    assert one.keeper.reader.read(2, 1, 1 << 20)[0].damaged
    (one.log.directory / rotten.name).write_bytes(copy)
    one.keeper.quarantined()
    assert told(one.keeper.reader) == ALL
    assert one.archive() is None
    assert rotten.read_bytes() == copy


def test_an_archive_that_is_another_one_loses_nothing(one: Archived) -> None:
    one.archive()
    shutil.move(one.objects / "here", one.objects / "elsewhere")
    with pytest.raises(TransientError, match=r"has nothing of this pipeline; see that archive\.url is the one"):
        one.keeper.reader.read(0, 100, 1 << 20)
    assert one.keeper.places.all() == []


def test_without_its_archive_nothing_is_lost_either(one: Archived) -> None:
    one.archive()
    one.close()
    log = open_log(one.log.directory, one.hand)
    reader = Keeper(log, options(one.hand), Blockstore()).reader
    with pytest.raises(TransientError, match=r"it is in an archive, and archive\.url is not set"):
        reader.read(0, 100, 1 << 20)
    assert not (one.log.directory / "quarantine.json").exists()
    log.close()


def test_a_file_that_rots_here_is_renewed_from_there(tmp_path: Path) -> None:
    one = Archived(tmp_path)
    one.fill()
    one.archive()
    rotten = next(one.log.directory.glob("*3.jsonl.zst"))
    content = bytearray(rotten.read_bytes())
    content[len(content) // 2] ^= 0xFF
    rotten.write_bytes(bytes(content))
    assert told(one.keeper.reader) == ALL
    assert rotten.read_bytes() == one.object("3.jsonl.zst").read_bytes()
    one.close()


def test_a_file_that_rotted_before_it_was_archived_is_told_of(one: Archived) -> None:
    rotten = next(one.log.directory.glob("*3.jsonl.zst"))
    sound = rotten.read_bytes()
    rotten.write_bytes(sound[:-1] + b"?")
    assert one.archive() is None
    assert one.there() == [name for name in [*SEGMENTS, "manifest.jsonl"] if name != "3.jsonl.zst"]
    assert one.here() == ["3"]
    state = one.office.state()
    assert (state.well, "3.jsonl.zst is not as it was written" in state.told) == (False, True)
    rotten.write_bytes(sound)
    one.archive()
    assert (one.office.state().well, one.here()) == (True, [])


def test_a_round_that_the_disk_ends_is_told_and_the_next_one_comes(one: Archived) -> None:
    manifest = one.log.directory / "manifest.jsonl"
    manifest.rename(manifest.with_name("away"))
    one.archive()
    state = one.office.state()
    assert (state.well, "No such file" in state.told, state.archived_segments) == (False, True, 0)
    manifest.with_name("away").rename(manifest)
    assert (one.archive(), one.office.state().well, one.here()) == (None, True, [])


def test_tells_what_a_lost_machine_would_lose(one: Archived) -> None:
    one.gate.closed = True
    one.archive()
    state = one.office.state()
    assert (state.pending_events, state.pending_since, state.archived_segments) == (10, NOON, 0)
    assert (state.well, state.told) == (False, f"archiving to file://{one.objects}: no answer")
    one.gate.closed = False
    one.archive()
    assert one.office.state() == ArchiveState(
        place=f"file://{one.objects}", name="here", archived_segments=5,
        archived_bytes=sum(entry.packed_size for entry in one.log.manifest.entries()), local_bytes=0,
        pending_events=0, pending_bytes=0, pending_since=None, well=True, told="what has closed is archived",
    )  # fmt: skip


def test_an_object_that_somebody_removed_is_stored_again_if_it_is_here(tmp_path: Path) -> None:
    one = Archived(tmp_path)
    one.fill()
    one.archive()
    one.object("5.jsonl.zst").unlink()
    one.hand.move(days=1, seconds=1)
    one.archive()
    one.archive()
    assert one.there() == [*SEGMENTS, "manifest.jsonl"]
    one.close()


def test_two_machines_never_archive_under_one_name(tmp_path: Path) -> None:
    one = Archived(tmp_path / "one", archive=tmp_path)
    one.fill()
    assert one.archive() is None
    two = Archived(tmp_path / "two", who=Identity("here", "another"), archive=tmp_path)
    two.fill(hours=1)
    assert "another installation archives under this name" in (two.archive() or "")
    two.office.take_over()
    assert two.archive() is None
    one.fill(first=5, hours=1)
    assert "another installation archives under this name" in (one.archive() or "")
    assert told(one.keeper.reader)[:10] == ALL, "receiving and reading go on"
    one.close()
    two.close()


def test_a_data_directory_keeps_its_name(tmp_path: Path) -> None:
    file = tmp_path / "archive.json"
    made = identity(file, None)
    assert made.name.startswith("dash-")
    assert identity(file, None) == identity(file, made.name) == made
    with pytest.raises(ConfigError, match="archives under the name"):
        identity(file, "other")
    file.write_text("{")
    with pytest.raises(FatalError, match="not readable"):
        identity(file, None)


def test_a_changed_manifest_line_about_archiving_is_found(one: Archived) -> None:
    one.archive()
    path = one.log.directory / "manifest.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    (place,) = [at for at, line in enumerate(lines) if line.startswith(b'{"archived":"00000000000000000003.')]
    path.write_bytes(b"".join(line for at, line in enumerate(lines) if at != place))
    assert any("the chain is broken" in found for found in findings(one))
