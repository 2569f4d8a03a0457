"""Backups that somebody made to do harm: refused before the first byte is written."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.backups.proving import prove
from appliance.backups.restoring import Restoration, Wanted
from appliance.domain.backup import Backup, FileEntry, Kind, Piece, PipelineFacts, RowsFacts, problems_of
from appliance.errors import ConfigError, Conflict, DashError, FatalError, NotFound, TransientError
from appliance.storage.archive.folder import FolderArchive
from appliance.storage.backup.repository import Repository

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ID = "20260301T120000Z-abcdef"
GOOD = (
    "control.sqlite3", "node.id", "silver/org_a.duckdb", "bronze/pl_a/manifest.jsonl", "bronze/pl_a/corrections.jsonl",
    "bronze/pl_a/00000000000000000001.jsonl.zst", "bronze/pl_a/00000000000000000009-2.jsonl",
    "bronze/pl_a/00000000000000000009.jsonl.cut-4711",
)  # fmt: skip
BAD = (
    "../control.sqlite3", "/etc/passwd", "bronze/../../x", "bronze/pl_a/../manifest.jsonl", "./control.sqlite3",
    "control.sqlite3/", "bronze//manifest.jsonl", "bronze/pl_a/manifest.jsonl\n", "bronze/pl_a\0/manifest.jsonl",
    "secret.key", "lock", ".restoring/control.sqlite3", "control.sqlite3-wal", "silver/org_a.duckdb.wal",
    "silver/.duckdb", "silver/a/b.duckdb", "bronze/.still-x/manifest.jsonl", "bronze\\\\pl_a\\\\manifest.jsonl",
    "bronze/pl_a/00000000000000000001.jsonl.zst.tmp", "bronze/pl_a/١٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠١.jsonl", "CON", "",
)  # fmt: skip


def control_plane(version: str) -> bytes:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", [version])
        connection.commit()
        return connection.serialize()


CONTROL = control_plane("0001")


def made(repository: Repository, paths: list[str], control: bytes = CONTROL, **said: object) -> Backup:
    """Store a backup that lists ``paths``, each with its own name as content; a control plane is one."""
    files = []
    for path in paths:
        content = control if path == "control.sqlite3" else path.encode()
        piece = Piece(sha256(content).hexdigest(), len(content))
        repository.put(piece, content)
        files.append(FileEntry(path, (piece,)))
    packed = repository.packed(files)
    catalog = Piece(sha256(packed).hexdigest(), len(packed))
    repository.put(catalog, packed)
    facts = {
        "format": 1, "id": ID, "kind": Kind.FULL, "at": NOW, "took_secs": 1.0, "version": "1", "schema": "0001",
        "node": "node_a", "host": "here", "key": "k", "files": len(files), "bytes": sum(one.size for one in files),
        "new_bytes": 0, "catalog": (catalog,),
        "pipelines": (PipelineFacts(id="pl_a", organisation_id="org_a", name="a", first_seq=1, last_seq=9),),
        "rows": (RowsFacts(organisation_id="org_a", as_of=NOW, state=""),),
    }  # fmt: skip
    backup = Backup(**(facts | said))  # type: ignore[arg-type]
    repository.remove(ID)
    repository.add(backup)
    return backup


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    place = tmp_path / "repository"
    place.mkdir()
    return Repository.make(FolderArchive(place), None, NOW)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


def restoration(repository: Repository, target: Path, **wanted: object) -> Restoration:
    return Restoration(repository, target, Wanted(**wanted), NOW)  # type: ignore[arg-type]


def test_every_name_that_a_backup_has_is_restored_and_durable(repository: Repository, target: Path) -> None:
    made(repository, list(GOOD))
    plan = restoration(repository, target).run()
    found = {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    assert found == {path: path.encode() for path in GOOD} | {"control.sqlite3": CONTROL}
    assert (plan.files, "is in no backup" in (plan.key or "")) == (8, True)
    assert (target / "control.sqlite3").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("path", BAD)
def test_a_name_that_no_backup_has_is_refused(repository: Repository, target: Path, path: str) -> None:
    made(repository, ["node.id", path])
    with pytest.raises(FatalError, match="is no name that a backup has"):
        restoration(repository, target)
    assert not target.exists()


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (["node.id", "node.id"], "'node.id' is there twice"),
        (["bronze/pl_a/manifest.jsonl", "bronze/PL_A/manifest.jsonl"], "is there twice"),
        (["bronze/pl_b/manifest.jsonl"], "'bronze/pl_b/manifest.jsonl' belongs to nobody"),
        (["silver/org_b.duckdb"], "'silver/org_b.duckdb' belongs to nobody"),
    ],
)
def test_doubles_and_what_is_anothers_are_refused(
    repository: Repository, target: Path, paths: list[str], told: str
) -> None:
    made(repository, paths)
    with pytest.raises(FatalError, match=told):
        restoration(repository, target)
    assert not target.exists()


def test_sizes_that_are_not_what_it_says_are_refused(repository: Repository, target: Path) -> None:
    made(repository, ["node.id"], bytes=3)
    with pytest.raises(FatalError, match="its files have 7 bytes and it says that there are 3"):
        restoration(repository, target)
    made(repository, ["node.id"], files=2)
    with pytest.raises(FatalError, match="it lists 1 files and says that there are 2"):
        restoration(repository, target)


def test_an_object_larger_than_its_piece_says_never_comes_to_the_disk(repository: Repository, target: Path) -> None:
    backup = made(repository, ["node.id"])
    (entry,) = repository.catalog(backup)
    path = Path(repository.place.removeprefix("file://")) / "objects" / entry.pieces[0].sha256[:2]
    (path / entry.pieces[0].sha256).write_bytes(b"\0" * (64 << 20))
    with pytest.raises(FatalError, match="missing or cut short"):
        restoration(repository, target)
    with pytest.raises(FatalError, match="larger than the 7 bytes"):
        b"".join(repository.read(entry.pieces[0]))


def test_damage_found_on_the_way_leaves_the_data_directory_as_it_was(repository: Repository, target: Path) -> None:
    backup = made(repository, list(GOOD))
    piece = repository.catalog(backup)[3].pieces[0]
    path = Path(repository.place.removeprefix("file://")) / "objects" / piece.sha256[:2] / piece.sha256
    path.write_bytes(b"\0" * piece.size)
    with pytest.raises(FatalError, match="other bytes"):
        restoration(repository, target).run()
    assert os.listdir(target) == []


def test_newer_versions_and_unknown_backups_and_organisations_are_named(repository: Repository, target: Path) -> None:
    made(repository, ["node.id"], schema="9999", version="7.0.0")
    with pytest.raises(ConfigError, match=r"install Dash 7\.0\.0 or newer"):
        restoration(repository, target)
    made(repository, ["node.id"])
    for name in ("20200101T000000Z-abcdef", "../../dash-backup"):
        with pytest.raises(NotFound):
            restoration(repository, target, backup_id=name)
    with pytest.raises(NotFound, match="it has org_a"):
        restoration(repository, target, organisation="org_b")
    made(repository, ["node.id"], format=2)
    with pytest.raises(ConfigError, match="knows up to 1"):
        restoration(repository, target, backup_id=ID)


def test_nothing_that_is_there_is_overwritten(repository: Repository, target: Path, tmp_path: Path) -> None:
    made(repository, list(GOOD))
    target.mkdir()
    (target / "control.sqlite3").write_text("ours")
    with pytest.raises(Conflict, match="there is something already"):
        restoration(repository, target)
    plan = restoration(repository, target, aside=True).run()
    assert plan.aside == ".before-restore-20260301T120000Z"
    assert (target / plan.aside / "control.sqlite3").read_text() == "ours"
    assert (target / "control.sqlite3").read_bytes() == CONTROL
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = tmp_path / "other"
    other.mkdir()
    (other / "bronze").symlink_to(elsewhere)
    with pytest.raises(Conflict):
        restoration(repository, other)
    assert os.listdir(elsewhere) == []


@pytest.mark.parametrize(
    ("control", "error", "told"),
    [
        (control_plane("0099"), ConfigError, "schema '0099' of a newer version"),
        (b"no database at all", FatalError, "no control plane of Dash"),
        (b"", FatalError, "no such table"),
    ],
)
def test_a_manifest_that_lies_about_the_schema_changes_nothing(
    repository: Repository, target: Path, control: bytes, error: type[DashError], told: str
) -> None:
    made(repository, list(GOOD), control)
    target.mkdir()
    (target / "control.sqlite3").write_text("ours")
    with pytest.raises(error, match=told):
        restoration(repository, target, aside=True).run()
    assert [(path.name, path.read_text()) for path in target.iterdir()] == [("control.sqlite3", "ours")]


def test_a_list_of_files_that_would_take_all_memory_is_refused_unread(repository: Repository) -> None:
    packed = zstandard.ZstdCompressor().compress(b"[" + b'["a",[]],' * 3_000_000 + b'["a",[]]]')
    piece = Piece(sha256(packed).hexdigest(), len(packed))
    repository.put(piece, packed)
    backup = msgspec.structs.replace(made(repository, ["node.id"]), catalog=(piece,))
    assert len(packed) < 10_000
    with pytest.raises(FatalError, match="larger than any"):
        repository.catalog(backup)


def test_a_newest_backup_that_does_not_read_is_told_of_and_never_passed_over_in_silence(
    repository: Repository, target: Path
) -> None:
    backups = Path(repository.place.removeprefix("file://")) / "backups"
    made(repository, ["node.id"])
    (backups / "20260401T120000Z-abcdef.json").write_text('{"format": 1')
    (backups / "20260201T120000Z-abcdef.json").write_text('{"format": 1')
    again = Repository.open(repository.store, None)
    (note, *others) = restoration(again, target).plan.notes
    assert note.startswith("this is not the newest: 20260401T120000Z-abcdef: reading backups/20260401T120000Z")
    assert not any("20260201" in one for one in others)
    assert not any("newest" in one for one in restoration(again, target, backup_id=ID).plan.notes)
    (backups / f"{ID}.json").unlink()
    with pytest.raises(FatalError, match=r"no backup in .* can be read: 20260201"):
        restoration(Repository.open(repository.store, None), target)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_pipe_or_a_device_in_the_place_of_an_object_is_not_waited_for(
    repository: Repository, target: Path, make: Callable[[Path], None]
) -> None:
    backup = made(repository, ["node.id"])
    (entry,) = repository.catalog(backup)
    path = Path(repository.place.removeprefix("file://")) / "objects" / entry.pieces[0].sha256[:2]
    (path / entry.pieces[0].sha256).unlink()
    make(path / entry.pieces[0].sha256)
    (path / "gone").symlink_to("nowhere")  # what lies there besides is passed over
    with pytest.raises(FatalError, match="missing or cut short"):
        restoration(repository, target)
    with pytest.raises(FatalError, match="not there any more"):
        b"".join(repository.read(entry.pieces[0]))
    assert not target.exists()


class ReadOnly(FolderArchive):
    """A medium that nothing can be written to."""

    def put(self, key: str, content: Path | bytes, *, only_new: bool = False) -> None:
        raise TransientError(f"storing {key}: Read-only file system")


def test_a_medium_that_is_read_only_gives_back_what_it_has(repository: Repository, target: Path) -> None:
    backup = made(repository, ["node.id"])
    medium = Repository.open(ReadOnly(Path(repository.place.removeprefix("file://"))), None)
    restoration(medium, target).run()
    assert (target / "node.id").read_text() == "node.id"
    assert prove(medium, backup, None).problems == ()


_SEGMENT = st.sampled_from(["..", ".", "", "bronze", "silver", "pl_a", "control.sqlite3", "manifest.jsonl", "a", "\0"])


@given(st.lists(st.one_of(st.text(max_size=40), st.lists(_SEGMENT, max_size=5).map("/".join)), max_size=6))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_let_through_stays_below_the_data_directory(paths: list[str]) -> None:
    backup = msgspec.convert(
        {
            "format": 1, "id": ID, "kind": "full", "at": NOW.isoformat(), "took_secs": 1, "version": "1",
            "schema": "0001", "node": "n", "host": "h", "key": "k", "files": len(paths), "bytes": 0, "new_bytes": 0,
            "pipelines": [{"id": "pl_a", "organisation_id": "org_a", "name": "", "first_seq": 1, "last_seq": 0}],
            "rows": [], "catalog": [],
        },
        Backup,
    )  # fmt: skip
    if problems_of(backup, [FileEntry(path, ()) for path in paths]):
        return
    for path in paths:
        parts = path.split("/")
        assert os.path.normpath(f"/data/{path}") == f"/data/{path}"
        assert len(parts) in (1, 3)
        assert not {"", ".", "..", "secret.key"} & set(parts)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda it: st.lists(it, max_size=4))
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_a_list_of_files_is_an_error_of_ours(repository: Repository, listed: object) -> None:
    packed = zstandard.ZstdCompressor().compress(msgspec.json.encode(listed))
    piece = Piece(sha256(packed).hexdigest(), len(packed))
    repository.put(piece, packed)
    backup = msgspec.structs.replace(made(repository, ["node.id"]), catalog=(piece,))
    if listed == []:
        assert repository.catalog(backup) == []
        return
    with pytest.raises(DashError):
        repository.catalog(backup)
