"""One repository: objects named by their content, and manifests. Every byte that is read is proved."""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Final, TypeVar

import msgspec
import zstandard

from appliance.components.archive import ArchiveStore
from appliance.domain.backup import FORMAT, Backup, FileEntry, Piece, Verdict, is_backup_id
from appliance.errors import ConfigError, Conflict, FatalError, NotFound, Problem
from appliance.storage.backup.sealing import Encryption, Sealer, sealed_size

INFO: Final = "dash-backup.json"
BACKUPS: Final = "backups"
VERIFIED: Final = "verified"
OBJECTS: Final = "objects"
PIECE: Final = 8 << 20  # of a file that has no sums of its own; DuckDB changes its file in blocks of a quarter MiB
_IN_MEMORY: Final = 16 << 20
_LARGEST_DOCUMENT: Final = 16 << 20  # a manifest
_LARGEST_CATALOG: Final = 512 << 20  # a list of files, unpacked: two million of them
_MOST_LISTS: Final = 6_000_000  # in it: one for a file, one for its pieces, one for each piece; short ones take memory
_SHOWN: Final = 3
_OLDER: Final = "restore from another backup; 'dash-appliance backup verify' says which are whole"

T = TypeVar("T")


class Info(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a repository says of itself, to anybody. ``encryption`` None: whoever reads it reads everything."""

    format: int
    id: str
    made_at: datetime
    encryption: Encryption | None = None


class Repository:
    """Safe to use from several threads. All blocking; any method may raise TransientError, as ``ArchiveStore``."""

    def __init__(self, store: ArchiveStore, info: Info, sealer: Sealer | None) -> None:
        self._store, self.info, self._sealer = store, info, sealer
        self._read: dict[str, Backup] = {}  # manifests never change

    @classmethod
    def open(cls, store: ArchiveStore, passphrase: bytes | None) -> "Repository":
        """Return the repository that is there.

        Raises:
            NotFound: there is none.
            ConfigError: it is encrypted and there is no passphrase, or another; or the other way round; or it was made
                by a newer version.
        """
        try:
            content = b"".join(_bounded(store.read(INFO), _LARGEST_DOCUMENT, INFO))
        except NotFound as error:
            raise NotFound(
                f"there are no backups in {store.place}: 'dash-appliance backup create' makes one"
            ) from error
        info = _decoded(content, Info, f"{store.place}/{INFO}")
        if info.format > FORMAT:
            raise _too_new(store.place, info.format)
        if (info.encryption is None) != (passphrase is None):
            raise ConfigError([Problem("backup.passphrase_file", *_unlike(store.place, encrypted=passphrase is None))])
        if info.encryption is None or passphrase is None:
            return cls(store, info, None)
        return cls(store, info, Sealer.open(passphrase, info.encryption, info.id))

    @classmethod
    def make(cls, store: ArchiveStore, passphrase: bytes | None, now: datetime) -> "Repository":
        """Return the repository that is there, made if there is none. Raises as ``open``, but for NotFound."""
        try:
            return cls.open(store, passphrase)
        except NotFound:
            name = f"rep_{token_hex(12)}"
        sealer, encryption = (None, None) if passphrase is None else Sealer.make(passphrase, name)
        info = Info(format=FORMAT, id=name, made_at=now, encryption=encryption)
        try:
            store.put(INFO, msgspec.json.encode(info), only_new=True)
        except Conflict:  # somebody else was faster
            return cls.open(store, passphrase)
        return cls(store, info, sealer)

    @property
    def place(self) -> str:
        return self._store.place

    @property
    def store(self) -> ArchiveStore:
        return self._store

    @property
    def encrypted(self) -> bool:
        return self._sealer is not None

    def objects(self) -> dict[str, int]:
        """Return every object that is there with its stored size."""
        return {one.key.rpartition("/")[2]: one.size for one in self._store.list(OBJECTS)}

    def name(self, piece: Piece) -> str:
        """Return under which name a piece is kept."""
        return piece.sha256 if self._sealer is None else self._sealer.name(piece.sha256)

    def stored_size(self, piece: Piece) -> int:
        return piece.size if self._sealer is None else sealed_size(piece.size)

    def has(self, piece: Piece, objects: dict[str, int]) -> bool:
        """Return whether ``objects`` has the piece, whole as far as its size tells."""
        return objects.get(self.name(piece)) == self.stored_size(piece)

    def put(self, piece: Piece, content: bytes | Path) -> None:
        """Store a piece; ``content`` is what its sum says. Raises OSError: a file does not read."""
        key = self._key(self.name(piece))
        if self._sealer is None:
            self._store.put(key, content)
        elif isinstance(content, bytes):
            self._store.put(key, b"".join(self._sealer.seal(key, [content])))
        elif piece.size <= _IN_MEMORY:
            self._store.put(key, b"".join(self._sealer.seal(key, [content.read_bytes()])))
        else:
            with tempfile.NamedTemporaryFile(dir=content.parent, prefix=".sealed-") as file:
                with content.open("rb") as plain:
                    file.writelines(self._sealer.seal(key, iter(lambda: plain.read(1 << 20), b"")))
                file.flush()
                self._store.put(key, Path(file.name))

    def read(self, piece: Piece) -> Iterator[bytes]:
        """Yield a piece, never more than its size.

        Raises:
            FatalError: it is not there, or not as it was written; told before the last bytes are given.
        """
        key = self._key(self.name(piece))
        found, size = hashlib.sha256(), 0
        try:
            for part in _bounded(self._clear(key), piece.size, key):
                found.update(part)
                size += len(part)
                if size == piece.size and found.hexdigest() != piece.sha256:
                    raise FatalError(f"reading {key} of the backup: it has other bytes than were written", _OLDER)
                yield part
        except NotFound as error:
            raise FatalError(f"reading {key} of the backup: it is not there any more", _OLDER) from error
        if size != piece.size:
            raise FatalError(f"reading {key} of the backup: expected {piece.size} bytes, found {size}", _OLDER)

    def backups(self) -> list[Backup]:
        """Return all backups, oldest first. One whose manifest does not read is left out; ``broken`` names it."""
        return sorted((one for one in self._all() if isinstance(one, Backup)), key=lambda one: (one.at, one.id))

    def broken(self) -> list[str]:
        """Return the backups whose manifests do not read, each with why."""
        return [one for one in self._all() if isinstance(one, str)]

    def backup(self, backup_id: str | None = None) -> Backup:
        """Return one backup, the newest where none is named.

        Raises:
            NotFound: there is none.
            FatalError: it does not read; where none is named, none of them does.
        """
        if backup_id is None:
            found = self.backups()
            if found:
                return found[-1]
            if broken := self.broken():
                hint = "use the version of Dash that made them, or look at the disk or bucket"
                raise FatalError(f"no backup in {self.place} can be read: {'; '.join(broken[-_SHOWN:])}", hint)
            raise NotFound(f"there are no backups in {self.place} yet")
        if not is_backup_id(backup_id):
            raise NotFound(f"{backup_id[:80]!r} is not the id of a backup: 'dash-appliance backup list' shows them")
        try:
            return self._manifest(backup_id)
        except NotFound as error:
            raise NotFound(f"there is no backup {backup_id} in {self.place}") from error

    def catalog(self, backup: Backup) -> list[FileEntry]:
        """Return the files of a backup. Raises FatalError: the list is not as it was written."""
        packed = b"".join(part for piece in backup.catalog for part in self.read(piece))
        try:
            with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
                content = reader.read(_LARGEST_CATALOG + 1)
        except zstandard.ZstdError as error:
            raise FatalError(f"reading the list of files of backup {backup.id}: {error}", _OLDER) from error
        if len(content) > _LARGEST_CATALOG or content.count(b"[") > _MOST_LISTS:
            raise FatalError(f"reading the list of files of backup {backup.id}: it is larger than any", _OLDER)
        return _decoded(content, list[FileEntry], f"the list of files of backup {backup.id}")

    def packed(self, files: Iterable[FileEntry]) -> bytes:
        """Return a list of files as it is stored."""
        return zstandard.ZstdCompressor(level=3).compress(msgspec.json.encode(list(files)))

    def add(self, backup: Backup) -> None:
        """Make a backup one that is listed: the last step, when all its objects are there."""
        self._put_document(f"{BACKUPS}/{backup.id}.json", backup, only_new=True)

    def remove(self, backup_id: str) -> None:
        self._read.pop(backup_id, None)
        self._store.delete([f"{BACKUPS}/{backup_id}.json", f"{VERIFIED}/{backup_id}.json"])

    def remove_objects(self, names: Iterable[str]) -> None:
        self._store.delete(self._key(name) for name in names)

    def note(self, backup_id: str, verdict: Verdict) -> None:
        """Keep when a backup was verified, and what came of it."""
        self._put_document(f"{VERIFIED}/{backup_id}.json", verdict, only_new=False)

    def verdicts(self) -> dict[str, Verdict]:
        """Return what came of the last verification of each backup that was verified."""
        found = {}
        for one in list(self._store.list(VERIFIED)):
            name = one.key.rpartition("/")[2].removesuffix(".json")
            try:
                found[name] = self._document(one.key, Verdict)
            except (NotFound, FatalError):  # removed meanwhile, or not readable: as if it never was
                continue
        return found

    def _all(self) -> Iterator[Backup | str]:
        for one in list(self._store.list(BACKUPS)):
            name = one.key.rpartition("/")[2].removesuffix(".json")
            try:
                yield self._manifest(name)
            except NotFound:
                continue
            except (FatalError, ConfigError) as error:
                yield f"{name}: {error}"

    def _manifest(self, backup_id: str) -> Backup:
        if (known := self._read.get(backup_id)) is not None:
            return known
        found = self._document(f"{BACKUPS}/{backup_id}.json", Backup)
        if found.format > FORMAT:
            raise _too_new(f"backup {backup_id}", found.format)
        if found.id != backup_id:
            raise FatalError(f"reading backup {backup_id}: it says that it is {found.id!r}", _OLDER)
        self._read[backup_id] = found
        return found

    def _put_document(self, key: str, document: msgspec.Struct, *, only_new: bool) -> None:
        content = msgspec.json.encode(document)
        sealed = content if self._sealer is None else b"".join(self._sealer.seal(key, [content]))
        self._store.put(key, sealed, only_new=only_new)

    def _document(self, key: str, kind: type[T]) -> T:
        return _decoded(b"".join(_bounded(self._clear(key), _LARGEST_DOCUMENT, key)), kind, key)

    def _clear(self, key: str) -> Iterator[bytes]:
        sealed = self._store.read(key)
        return sealed if self._sealer is None else self._sealer.unseal(key, sealed)

    def _key(self, name: str) -> str:
        return f"{OBJECTS}/{name[:2]}/{name}"


def _bounded(pieces: Iterable[bytes], most: int, key: str) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            raise FatalError(f"reading {key} of the backup: it is larger than the {most} bytes it may have", _OLDER)
        yield piece


def _decoded(content: bytes, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        told = str(error).split("\n", 1)[0]
        raise FatalError(f"reading {what}: it is not as Dash writes it ({told})", _OLDER) from error


def _too_new(what: str, found: int) -> ConfigError:
    told = f"{what} has format {found} and this version of Dash knows up to {FORMAT}"
    return ConfigError([Problem("backup", told, hint="use the version of Dash that made it, or a newer one")])


def _unlike(place: str, *, encrypted: bool) -> tuple[str, str]:
    if encrypted:
        return f"{place} is encrypted and no passphrase is set", "name the file that has it: --passphrase-file"
    return (
        f"{place} is not encrypted and a passphrase is set: nothing is stored there in clear by mistake",
        "choose an empty place for encrypted backups, or unset the passphrase",
    )
