"""Bringing a backup back into a data directory. Everything is judged before the first byte is written.

It grows in a folder of its own inside the data directory, and what was restored gets its names at the end: events
first, the control plane last, without which nothing starts on them. Interrupted, the same command begins anew.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from appliance.backups.organisation import reduced
from appliance.components.durable import sync_directory
from appliance.domain.backup import CONTROL, Backup, FileEntry, problems_of
from appliance.errors import ConfigError, Conflict, FatalError, NotFound, Problem
from appliance.storage.backup.locks import reading
from appliance.storage.backup.repository import Repository
from appliance.storage.backup.unpacking import unpack
from appliance.storage.control import schema
from appliance.storage.control.vault import KEY_FILE, Vault

WORK: Final = ".restoring"  # the folder in which it grows
ASIDE: Final = ".before-restore-"  # begins the name of the folder of what was there
_ALLOWED: Final = frozenset(
    {"lock", "lost+found", KEY_FILE, WORK}
)  # what may be in a data directory that is empty otherwise
_ROOM: Final = 64 << 20  # that must remain, beside what is restored
_SHOWN: Final = 3
Told = Callable[[int, int, str], None]  # bytes done, in all, of which file


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What restoring would do. ``key``: what is to be known of ``secret.key``; None: the right one is there."""

    backup: Backup
    data_dir: str
    files: int
    bytes: int
    organisation: str | None
    aside: str | None
    key: str | None
    notes: list[str]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """``aside``: what is in the data directory already is set aside; False: there must be nothing."""

    backup_id: str | None = None
    organisation: str | None = None
    aside: bool = False


class Restoration:
    """Of one backup into one data directory, which the caller owns."""

    def __init__(self, repository: Repository, data_dir: Path, wanted: Wanted, now: datetime) -> None:
        """Judge everything; nothing is written.

        Raises:
            NotFound: there is no such backup, or no such organisation in it.
            ConfigError: a newer version made it, or the key in the data directory is another one.
            Conflict: the data directory is not empty, or has not enough room.
            FatalError: the backup is damaged, or holds what no backup of Dash holds.
        """
        self._repository, self._data_dir, self._wanted, self._now = repository, data_dir, wanted, now
        self.backup = repository.backup(wanted.backup_id)
        _refuse_newer(self.backup)
        files = repository.catalog(self.backup)
        _refuse_strange(self.backup, files)
        self.organisation = _organisation(self.backup, wanted.organisation)
        self._files = [one for one in files if self._is_wanted(one)]
        _refuse_incomplete(repository, self._files)
        self._there = self._present()
        self.plan = self._planned()

    def run(self, told: Told = lambda *_: None) -> Plan:
        """Do it, and return what was done; blocking.

        Raises:
            FatalError, ConfigError: an object turns out to be damaged, or the control plane another one than the backup
                says; the data directory is as it was.
            OSError: the disk refuses; the same call begins anew.
        """
        work, done, total = self._data_dir / WORK, 0, self.plan.bytes
        self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700)

        def step(size: int, path: str) -> None:
            nonlocal done
            done += size
            told(done, total, path)

        with reading(self._repository.store, "restoring a backup"), _swept(work):
            unpack(self._repository, self._files, work, step)
            if (work / CONTROL).exists():
                _refuse_lying(work / CONTROL, self.backup)
            if self.organisation is not None and (work / CONTROL).exists():
                reduced(work / CONTROL, self.organisation)
            self._set_aside()
            self._put_in_place(work)
        return self.plan

    def _is_wanted(self, entry: FileEntry) -> bool:
        """Return whether a file is restored: all are, but for those of other organisations where one is named."""
        if self.organisation is None:
            return True
        folder, _, rest = entry.path.partition("/")
        if folder == "silver":
            return rest == f"{self.organisation}.duckdb"
        if folder == "bronze":
            own = {one.id for one in self.backup.pipelines if one.organisation_id == self.organisation}
            return rest.partition("/")[0] in own
        return True

    def _present(self) -> list[str]:
        """Return what is in the way. Raises Conflict: something is, and is not to be set aside; or a link is."""
        if not self._data_dir.exists():
            return []
        names = sorted(os.listdir(self._data_dir))
        there = [name for name in names if name not in _ALLOWED and not name.startswith(ASIDE)]
        if there and not self._wanted.aside:
            shown = ", ".join(there[:_SHOWN]) + (f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else "")
            raise Conflict(
                f"restoring into {self._data_dir}: there is something already ({shown}); name an empty directory, or "
                "say --set-aside to keep what is there beside it"
            )
        return there

    def _planned(self) -> Plan:
        size = sum(one.size for one in self._files)
        place = next(one for one in (self._data_dir, *self._data_dir.parents) if one.exists())
        if (left := shutil.disk_usage(place).free) < size + _ROOM:
            told = f"{size + _ROOM} bytes are needed and {left} are left"
            raise Conflict(f"restoring into {self._data_dir}: {told}; make room, or choose another disk")
        aside = f"{ASIDE}{self._now:%Y%m%dT%H%M%SZ}" if self._there else None
        return Plan(
            backup=self.backup, data_dir=str(self._data_dir), files=len(self._files), bytes=size,
            organisation=self.organisation, aside=aside, key=self._key_told(), notes=list(self._notes()),
        )  # fmt: skip

    def _key_told(self) -> str | None:
        """Return what is to be done about the key. Raises ConfigError: the one that is there is another."""
        if not (self._data_dir / KEY_FILE).exists():
            return (
                f"{KEY_FILE} is in no backup: put the copy that you keep into {self._data_dir} (mode 0600) before the "
                f"start; its fingerprint is {self.backup.key}"
            )
        if Vault.open(self._data_dir, create=False).fingerprint != self.backup.key:
            told = f"the one in {self._data_dir} is not the one that the backup's secrets are sealed with"
            hint = f"put the right one there; its fingerprint is {self.backup.key}"
            raise ConfigError([Problem(KEY_FILE, told, hint=hint)])
        return None

    def _notes(self) -> Iterator[str]:
        if self._wanted.backup_id is None:
            newer = [one for one in self._repository.broken() if one[: len(self.backup.id)] > self.backup.id]
            yield from (f"this is not the newest: {one}" for one in newer)
        if self.backup.database is not None:
            yield (
                f"rows and control plane were in {self.backup.database}: restore that database to a moment not after "
                f"{self.backup.at.isoformat(timespec='seconds')}, and set database.url, before the start"
            )
        elif any(one.path.startswith("silver/") for one in self._files):
            again = [one for one in self.backup.pipelines if one.refined is not None and one.refined < one.last_seq]
            events = sum(one.last_seq - (one.refined or 0) for one in again)
            yield f"the first start refines {events} events again" if events else "rows are as far as events are"

    def _set_aside(self) -> None:
        if self.plan.aside is None:
            return
        target = self._data_dir / self.plan.aside
        target.mkdir(mode=0o700)
        for name in sorted(self._there, key=lambda one: one != CONTROL):  # the control plane first: see the module
            (self._data_dir / name).rename(target / name)
        sync_directory(self._data_dir)

    def _put_in_place(self, work: Path) -> None:
        names = sorted(os.listdir(work), key=lambda one: one == CONTROL)
        for name in names:
            (work / name).rename(self._data_dir / name)
            sync_directory(self._data_dir)


@contextmanager
def _swept(work: Path) -> Iterator[None]:
    try:
        yield
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _refuse_newer(backup: Backup) -> None:
    if backup.schema not in schema.KNOWN:
        told = (
            f"it has the schema {backup.schema!r} of a newer version ({backup.version}); this one knows {schema.HEAD!r}"
        )
        raise ConfigError([Problem(f"backup {backup.id}", told, hint=f"install Dash {backup.version} or newer first")])


def _refuse_lying(control: Path, backup: Backup) -> None:
    """Which schema it has is, before this, only what the backup says of itself; nothing would start on another."""
    try:
        with closing(sqlite3.connect(f"{control.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            found = connection.execute(f"SELECT version_num FROM {schema.VERSIONS}").fetchone()  # noqa: S608 - ours
    except sqlite3.Error as error:
        told = f"restoring backup {backup.id}: its {CONTROL} is no control plane of Dash ({error})"
        raise FatalError(told, hint="nothing was changed; restore from another backup") from error
    if found is None or found[0] not in schema.KNOWN:
        _refuse_newer(msgspec.structs.replace(backup, schema=str(found and found[0])))


def _refuse_strange(backup: Backup, files: list[FileEntry]) -> None:
    if problems := problems_of(backup, files):
        raise FatalError(
            f"restoring backup {backup.id}: it holds what no backup of Dash holds: {'; '.join(problems)}",
            hint="nothing was written; somebody may have changed it: take another, from a place that you trust",
        )


def _refuse_incomplete(repository: Repository, files: list[FileEntry]) -> None:
    objects = repository.objects()
    missing = [one.path for one in files if not all(repository.has(piece, objects) for piece in one.pieces)]
    if missing:
        shown = ", ".join(missing[:_SHOWN])
        raise FatalError(
            f"restoring from {repository.place}: objects of {len(missing)} files are missing or cut short ({shown})",
            hint="nothing was written; restore from another backup, and look at the disk or bucket",
        )


def _organisation(backup: Backup, wanted: str | None) -> str | None:
    if wanted is None:
        return None
    known = {one.organisation_id for one in backup.pipelines} | {one.organisation_id for one in backup.rows}
    if wanted not in known:
        raise NotFound(f"backup {backup.id} has no organisation {wanted[:80]!r}: it has {', '.join(sorted(known))}")
    return wanted
