"""A repository of backups: what is stored comes back or is told to be damaged, and nobody removes what others need."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.components.archive import ArchiveStore
from appliance.domain.backup import Backup, Kind, Piece, new_backup_id
from appliance.domain.backup_keeping import Keeping
from appliance.errors import ConfigError, Conflict, DashError, FatalError, NotFound
from appliance.storage.archive.folder import FolderArchive
from appliance.storage.backup.locks import LAST, Lock, locked
from appliance.storage.backup.packing import Packer
from appliance.storage.backup.pruning import prune
from appliance.storage.backup.repository import Info, Repository
from appliance.storage.backup.sealing import CHUNK, Encryption, Sealer, sealed_size

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PASSPHRASE = b"correct horse battery staple"
ONE = Keeping(last=1, daily=0, weekly=0, monthly=0)


@pytest.fixture(scope="module")
def sealed() -> tuple[Sealer, Encryption]:
    """Stretching a passphrase takes a third of a second: once is enough."""
    return Sealer.make(PASSPHRASE, "rep_a")


@pytest.fixture(params=[False, True], ids=["clear", "sealed"])
def repository(tmp_path: Path, request: pytest.FixtureRequest, sealed: tuple[Sealer, Encryption]) -> Repository:
    place = tmp_path / "repository"
    place.mkdir()
    sealer, encryption = sealed if request.param else (None, None)
    return Repository(FolderArchive(place), Info(format=1, id="rep_a", made_at=NOW, encryption=encryption), sealer)


def kept(repository: Repository, at: datetime, *names: tuple[str, bytes]) -> Backup:
    """Take a backup of what is in memory."""
    with Packer(repository) as packer:
        for name, content in names:
            packer.content(name, content)
        catalog = packer.catalog()
    backup = Backup(
        format=1, id=new_backup_id(at), kind=Kind.FULL, at=at, took_secs=1.0, version="1", schema="0005",
        node="node_a", host="here", key="k", files=len(names), bytes=sum(len(one) for _, one in names),
        new_bytes=packer.new_bytes, pipelines=(), rows=(), catalog=catalog,
    )  # fmt: skip
    repository.add(backup)
    return backup


def content(repository: Repository, backup: Backup) -> dict[str, bytes]:
    return {
        one.path: b"".join(part for piece in one.pieces for part in repository.read(piece))
        for one in repository.catalog(backup)
    }


def objects(repository: Repository) -> Iterator[Path]:
    root = Path(repository.place.removeprefix("file://"))
    return (path for path in (root / "objects").rglob("*") if path.is_file())


def test_a_second_backup_stores_only_what_is_new(repository: Repository) -> None:
    large = os.urandom(3 << 20)
    first = kept(repository, NOW, ("node.id", b"one"), ("archive.json", large))
    second = kept(repository, NOW + timedelta(hours=1), ("node.id", b"two"), ("archive.json", large))
    assert first.new_bytes > 3 << 20
    assert second.new_bytes < 1000
    assert content(repository, first) == {"node.id": b"one", "archive.json": large}
    assert content(repository, second) == {"node.id": b"two", "archive.json": large}
    assert [one.id for one in repository.backups()] == [first.id, second.id]


def test_pruning_leaves_what_others_need_and_nothing_else(repository: Repository) -> None:
    kept(repository, NOW, ("node.id", b"one"), ("archive.json", b"shared"))
    newest = kept(repository, NOW + timedelta(hours=1), ("node.id", b"two"), ("archive.json", b"shared"))
    with Packer(repository) as packer:  # killed before its manifest: never listed
        packer.content("node.id", b"of one that was killed")
    before = set(objects(repository))
    planned = prune(repository, ONE, dry_run=True)
    assert (len(planned.backups), planned.objects, set(objects(repository))) == (1, 3, before)
    assert prune(repository, ONE) == planned
    assert len(before) - len(set(objects(repository))) == 3  # "one", the list of files with it, and what was killed
    assert [one.id for one in repository.backups()] == [newest.id]
    assert content(repository, newest) == {"node.id": b"two", "archive.json": b"shared"}


def test_nothing_is_pruned_while_a_backup_is_taken_nor_while_one_does_not_read(repository: Repository) -> None:
    kept(repository, NOW, ("node.id", b"one"))
    with locked(repository.store, "taking a backup"), pytest.raises(Conflict, match="taking a backup is under way"):
        prune(repository, ONE)
    with locked(repository.store, "pruning backups", alone=True):
        with pytest.raises(Conflict, match="pruning backups is under way"):
            prune(repository, ONE)
        with pytest.raises(Conflict), locked(repository.store, "taking a backup"):
            raise AssertionError("it was let in")
    repository.store.put("backups/20260301T130000Z-abcdef.json", b"{")
    with pytest.raises(Conflict, match="do not read"):
        prune(repository, ONE)
    assert len(repository.backups()) == 1


def test_a_lock_left_behind_is_in_nobodys_way_and_one_elsewhere_is(repository: Repository) -> None:
    now = datetime.now(UTC)
    lock = Lock(alone=True, what="pruning", host="elsewhere", pid=1, boot="b", at=now - LAST - timedelta(minutes=1))
    repository.store.put("locks/prune-old.json", msgspec.json.encode(lock))
    with locked(repository.store, "taking a backup"):
        assert [one.key for one in repository.store.list("locks")] != ["locks/prune-old.json"]
    fresh = msgspec.structs.replace(lock, at=now)
    repository.store.put("locks/prune-new.json", msgspec.json.encode(fresh))
    with pytest.raises(Conflict, match="on elsewhere"), locked(repository.store, "taking a backup"):
        raise AssertionError("it was let in")


def test_a_lock_that_was_taken_away_stops_whoever_removes(repository: Repository) -> None:
    with locked(repository.store, "pruning backups", alone=True) as held:
        held.check()
        repository.store.delete([one.key for one in repository.store.list("locks")])
        with pytest.raises(Conflict, match="its lock was lost"):
            held.check()


@pytest.mark.parametrize("harm", ["cut", "longer", "flipped", "gone", "exchanged"])
def test_an_object_that_is_not_as_it_was_written_is_told(repository: Repository, harm: str) -> None:
    backup = kept(repository, NOW, ("node.id", b"a" * 5000), ("archive.json", b"b" * 5000))
    pieces = {one.path: one.pieces[0] for one in repository.catalog(backup)}
    paths = {name: next(p for p in objects(repository) if p.name == repository.name(it)) for name, it in pieces.items()}
    path = paths["node.id"]
    whole = path.read_bytes()
    match harm:
        case "cut":
            path.write_bytes(whole[:-1])
        case "longer":
            path.write_bytes(whole + b"\0" * 100_000)
        case "flipped":
            path.write_bytes(whole[:3000] + bytes([whole[3000] ^ 1]) + whole[3001:])
        case "gone":
            path.unlink()
        case "exchanged":
            path.write_bytes(paths["archive.json"].read_bytes())
    with pytest.raises(FatalError):
        b"".join(repository.read(pieces["node.id"]))
    with Packer(repository) as packer:  # what is missing or has another size is stored again
        packer.content("node.id", b"a" * 5000)
    healed = harm in ("cut", "longer", "gone")
    assert packer.new_bytes == (repository.stored_size(pieces["node.id"]) if healed else 0)


def test_the_passphrase_must_be_the_one_and_sealed_stays_sealed(tmp_path: Path) -> None:
    store = FolderArchive(tmp_path)
    with pytest.raises(NotFound, match="no backups"):
        Repository.open(store, None)
    kept(Repository.make(store, PASSPHRASE, NOW), NOW, ("node.id", b"a secret of ours"))
    with pytest.raises(ConfigError, match="another passphrase"):
        Repository.open(store, b"correct horse battery stable")
    with pytest.raises(ConfigError, match="is encrypted and no passphrase"):
        Repository.open(store, None)
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"secret of ours" not in everything
    assert b"node.id" not in everything
    assert sha256(b"a secret of ours").hexdigest() not in " ".join(path.name for path in tmp_path.rglob("*"))
    (tmp_path / "dash-backup.json").unlink()  # somebody wants the next backup in clear
    Repository.make(store, None, NOW)
    with pytest.raises(ConfigError, match="is not encrypted and a passphrase is set"):
        Repository.make(store, PASSPHRASE, NOW)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_what_is_sealed_comes_back_whatever_its_size(size: int) -> None:
    sealer = Sealer(bytes(32))
    plain = os.urandom(size)
    sealed = b"".join(sealer.seal("a", [plain[:7], plain[7:]]))
    assert len(sealed) == sealed_size(size)
    assert b"".join(sealer.unseal("a", [sealed[:50], sealed[50:]])) == plain
    with pytest.raises(FatalError):
        b"".join(sealer.unseal("b", [sealed]))


@given(st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_no_byte_of_a_sealed_object_can_be_changed_cut_or_moved(data: st.DataObject) -> None:
    sealer, plain = Sealer(b"k" * 32), b"x" * (2 * CHUNK + 5)
    sealed = b"".join(sealer.seal("a", [plain]))
    one, other = 42 + CHUNK + 16, 42 + 2 * (CHUNK + 16)
    at = data.draw(st.integers(0, len(sealed) - 1))
    forged = data.draw(
        st.sampled_from(
            [
                sealed[:at],
                sealed[:at] + bytes([sealed[at] ^ 0x80]) + sealed[at + 1 :],
                sealed[:42] + sealed[one:other] + sealed[42:one] + sealed[other:],
                sealed[:other],
                sealed + sealed[other:],
            ]
        )
    )
    with pytest.raises(FatalError):
        b"".join(sealer.unseal("a", [forged]))


def test_a_forged_key_cannot_ask_for_all_memory() -> None:
    _, encryption = Sealer.make(PASSPHRASE, "rep_a")
    forged = msgspec.json.encode({**msgspec.to_builtins(encryption), "n": 1 << 40})
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(forged, type=Encryption)


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=50)
def test_whatever_stands_in_a_manifest_is_an_error_of_ours(content: bytes) -> None:
    store = _InMemory({"dash-backup.json": b'{"format":1,"id":"r","made_at":"2026-03-01T12:00:00Z"}'})
    repository = Repository.open(store, None)
    store.objects["backups/20260301T130000Z-abcdef.json"] = content
    assert repository.backups() == []
    assert len(repository.broken()) == 1
    with pytest.raises(DashError):
        repository.backup("20260301T130000Z-abcdef")


def test_a_list_of_files_that_unpacks_to_more_than_it_may_is_refused(tmp_path: Path) -> None:
    import zstandard

    repository = Repository.make(FolderArchive(tmp_path), None, NOW)
    bomb = zstandard.ZstdCompressor().compress(b" " * (513 << 20))
    piece = Piece(sha256(bomb).hexdigest(), len(bomb))
    repository.put(piece, bomb)
    backup = msgspec.structs.replace(kept(repository, NOW, ("node.id", b"one")), catalog=(piece,))
    with pytest.raises(FatalError, match="larger than any"):
        repository.catalog(backup)


class _InMemory:
    place = "memory:"

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects

    def read(self, key: str) -> Iterator[bytes]:
        if key not in self.objects:
            raise NotFound(key)
        yield self.objects[key]

    def list(self, prefix: str) -> Iterator[object]:
        from appliance.components.archive import Stored

        return (Stored(key, len(it)) for key, it in self.objects.items() if key.startswith(f"{prefix}/"))

    def put(self, key: str, content: Path | bytes, *, only_new: bool = False) -> None: ...
    def delete(self, keys: object) -> None: ...


_: type[ArchiveStore] = _InMemory  # type: ignore[assignment]
