"""Snapshots on this disk, for changes that may have to be undone: the control plane and the rows, as they are now.

Bronze is not copied: it only grows, and what came since a snapshot is refined again when that was put back. For an
appliance that is stopped, and whose data directory the caller owns; taking one costs a copy of the rows, and nothing
where the file system shares blocks (XFS, Btrfs).

```
<data_dir>/snapshots/<id>/snapshot.json      written last: without it there is none
                          control.sqlite3
                          node.id …
                          silver/<organisation>.duckdb (and its log)
```

``put_back`` sets what is there now aside, into ``snapshots/<id>/replaced``, so that it can be undone by hand; a second
call after a crash goes on. With a database (``database.url``) there is nothing here to snapshot: it raises ConfigError.
"""

import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from appliance import __version__
from appliance.backups.control_copy import copy_sqlite
from appliance.components.durable import sync_directory
from appliance.domain.backup import CONTROL, is_backup_id, new_backup_id
from appliance.domain.clock import utc_now
from appliance.errors import ConfigError, Conflict, NotFound, Problem
from appliance.settings import Settings
from appliance.silvers import FOLDER as SILVER
from appliance.storage.control import schema
from appliance.storage.silver_duckdb import set_aside

FOLDER: Final = "snapshots"
_PAPER: Final = "snapshot.json"
_REPLACED: Final = "replaced"
_NODE: Final = ("node.id", "node.partition")
_STEP: Final = 64 << 20


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """``why``: in words, for whoever finds it. ``version`` and ``schema``: of the program that took it."""

    id: str
    at: datetime
    why: str
    version: str
    schema: str
    bytes: int


def take_snapshot(settings: Settings, why: str) -> Snapshot:
    """Copy control plane and rows of a stopped appliance; durable when it returns. Blocking.

    Raises:
        ConfigError: they are in a database.
        Conflict: there is not enough room.
        OSError: the disk refuses; there is no snapshot then.
    """
    data_dir = _embedded(settings)
    _swept(data_dir / FOLDER)
    wanted = [*_rows(data_dir), *(data_dir / name for name in _NODE if (data_dir / name).exists())]
    control = data_dir / CONTROL
    size = sum(path.stat().st_size for path in (*wanted, control))
    if (left := shutil.disk_usage(data_dir).free) < size + settings.disk.reserve:
        raise Conflict(f"taking a snapshot of {data_dir}: {size} bytes are needed and {left} are left; make room")
    made = Snapshot(
        id=new_backup_id(utc_now()), at=utc_now(), why=why, version=__version__, schema=schema.HEAD, bytes=size
    )
    folder = data_dir / FOLDER / made.id
    folder.mkdir(mode=0o700, parents=True)
    try:
        copy_sqlite(control, folder / CONTROL)
        _synced(folder / CONTROL)
        for path in wanted:
            _copied(path, folder / path.relative_to(data_dir))
        (folder / SILVER).mkdir(exist_ok=True)
        for each in (folder / SILVER, folder):
            sync_directory(each)
        _write(folder / _PAPER, msgspec.json.encode(made))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    for each in (folder, folder.parent, data_dir):
        sync_directory(each)
    return made


def snapshots(settings: Settings) -> list[Snapshot]:
    """Return the snapshots that there are, oldest first."""
    found = (path / _PAPER for path in sorted((settings.server.data_dir / FOLDER).glob("*")))
    return [msgspec.json.decode(path.read_bytes(), type=Snapshot) for path in found if path.exists()]


def put_back(settings: Settings, snapshot_id: str) -> Snapshot:
    """Put control plane and rows of a stopped appliance back as they were; events stay. Blocking.

    Raises:
        NotFound: there is no such snapshot.
        Conflict: the control plane is in use.
        OSError: the disk refuses; the same call goes on.
    """
    data_dir, snapshot = _embedded(settings), _found(settings, snapshot_id)
    folder = data_dir / FOLDER / snapshot.id
    aside = folder / _REPLACED
    _refuse_in_use(data_dir / CONTROL)
    draft = folder / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    for path in _contents(folder):  # copied first: the snapshot stays whole, and can be put back again
        _copied(path, draft / path.relative_to(folder))
    (draft / SILVER).mkdir(exist_ok=True)
    interrupted = not (data_dir / CONTROL).exists() and aside.exists()
    if not interrupted:
        shutil.rmtree(aside, ignore_errors=True)
    (aside / SILVER).mkdir(parents=True, exist_ok=True)
    # The control plane goes first and comes last: without it nothing starts on what is half put back.
    present = [path for path in (data_dir / f"{CONTROL}{end}" for end in ("", "-wal", "-shm")) if path.exists()]
    for path in (*present, *_rows(data_dir), *(data_dir / SILVER).glob("*.duckdb*")):
        target = aside / path.relative_to(data_dir)
        if interrupted and target.exists():
            path.unlink(missing_ok=True)  # put back already, and put back anew now
        elif path.exists():
            path.rename(target)
    (data_dir / SILVER).mkdir(mode=0o700, exist_ok=True)
    for path in sorted(_contents(draft), key=lambda one: one.name == CONTROL):
        path.rename(data_dir / path.relative_to(draft))
    for each in (data_dir / SILVER, data_dir):
        sync_directory(each)
    shutil.rmtree(draft, ignore_errors=True)
    return snapshot


def drop(settings: Settings, snapshot_id: str) -> None:
    """Remove a snapshot, and what putting it back had set aside. Raises NotFound."""
    shutil.rmtree(settings.server.data_dir / FOLDER / _found(settings, snapshot_id).id)


def _embedded(settings: Settings) -> Path:
    if settings.database.url is not None:
        told = "control plane and rows are in a database: have its administrator make a copy before, such as by pg_dump"
        raise ConfigError([Problem("database.url", told)])
    return settings.server.data_dir


def _found(settings: Settings, snapshot_id: str) -> Snapshot:
    known = snapshots(settings) if is_backup_id(snapshot_id) else []
    found = next((one for one in known if one.id == snapshot_id), None)
    if found is None:
        raise NotFound(f"there is no snapshot {snapshot_id[:80]!r} in {settings.server.data_dir}")
    return found


def _swept(folder: Path) -> None:
    """Remove what was cut short while it was taken: nobody could find it, and it takes the room of one."""
    for path in folder.glob("*"):
        if is_backup_id(path.name) and not (path / _PAPER).exists():
            shutil.rmtree(path, ignore_errors=True)


def _rows(data_dir: Path) -> list[Path]:
    """Return the files of rows, and their logs where an end was not clean."""
    files = sorted((data_dir / SILVER).glob("*.duckdb"))
    return [one for file in files for one in (file, *set_aside.log_files(file))]


def _contents(folder: Path) -> Iterator[Path]:
    """Yield the files of a snapshot, or of the draft made of one."""
    for path in (*folder.glob("*"), *(folder / SILVER).glob("*")):
        if path.is_file() and path.name != _PAPER:
            yield path


def _refuse_in_use(control: Path) -> None:
    """A handle that somebody has open would go on with the former file."""
    if control.exists() and set_aside.open_here(control):
        raise Conflict(f"putting a snapshot back: {control} is in use by this very process; stop the appliance first")


def _copied(source: Path, target: Path) -> None:
    """Copy a file durably; the kernel shares its blocks where the file system can."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with source.open("rb") as reading, target.open("wb") as copy:
        os.fchmod(copy.fileno(), source.stat().st_mode & 0o777)
        while os.copy_file_range(reading.fileno(), copy.fileno(), _STEP):
            continue
        os.fsync(copy.fileno())


def _write(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".new")
    draft.write_bytes(content)
    _synced(draft)
    draft.rename(path)


def _synced(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
