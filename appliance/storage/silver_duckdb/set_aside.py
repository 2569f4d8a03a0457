"""Files of a database put out of harm's way: copied before an opening that may change them, moved when damaged."""

import fcntl
import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from appliance.components.durable import sync_directory

_FICLONE: Final = 0x40049409  # ioctl: share the blocks of another file (XFS, Btrfs); costs nothing
_LARGEST_COPY: Final = 256 << 20  # a database beyond it is not copied byte by byte: starting would take too long
_FORMAT: Final = "%Y%m%dT%H%M%S.%fZ"
_STAMP: Final = re.compile(r"\.damaged-(\d{8}T\d{6}\.\d+Z)")

log = structlog.get_logger("silver")


def log_files(path: Path) -> list[Path]:
    """Return the database's write-ahead logs that hold something. After a clean end there is none."""
    return sorted(file for file in path.parent.glob(f"{path.name}.wal*") if file.stat().st_size > 0)


def open_here(path: Path) -> bool:
    """Return whether this process has the file open: a handle that somebody forgot would go on with the old one."""
    own, descriptors = path.stat(), Path("/proc/self/fd")
    for descriptor in os.listdir(descriptors) if descriptors.exists() else ():
        try:
            if os.path.samestat(own, os.stat(descriptors / descriptor)):
                return True
        except FileNotFoundError:  # closed since it was listed
            continue
    return False


def copy_aside(path: Path, now: datetime) -> list[Path]:
    """Copy the write-ahead logs, and the database where that is cheap, beside ``path``; return the copies.

    Only the newest set is kept.
    """
    drop_copies(path)
    stem = f"{path.name}.crash-{_stamp(now)}"
    copies = [_copy(file, path.with_name(stem + file.name.removeprefix(path.name))) for file in log_files(path)]
    if path.exists():
        copies.insert(0, _copy(path, path.with_name(stem)))
    return [copy for copy in copies if copy is not None]


def drop_copies(path: Path) -> None:
    """Remove the copies that ``copy_aside`` made."""
    for copy in path.parent.glob(f"{path.name}.crash-*"):
        copy.unlink()


def rewritten(path: Path) -> Path:
    """Return where the database is written anew before it is put in place."""
    return path.with_name(f"{path.name}.compact")


def drop_rewritten(path: Path) -> None:
    """Remove a database written anew that was not put in place, and what lies beside it."""
    for leftover in path.parent.glob(f"{rewritten(path).name}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def put_in_place(path: Path) -> None:
    """Rename the database written anew to ``path``, durably: after a crash the one or the other is there, whole."""
    os.replace(rewritten(path), path)
    sync_directory(path.parent)


def move_aside(files: list[Path], path: Path, now: datetime) -> list[Path]:
    """Rename ``files`` of the database ``path`` to ``<path>.damaged-<time>…`` and return the new names."""
    moved = []
    for file in files:
        target = path.with_name(f"{path.name}.damaged-{_stamp(now)}{file.name.removeprefix(path.name)}")
        file.rename(target)
        moved.append(target)
    sync_directory(path.parent)
    return moved


def last_moved(path: Path) -> datetime | None:
    """Return when something of the database ``path`` was moved aside last, by what lies beside it; None: never."""
    stamps = [_STAMP.search(file.name) for file in path.parent.glob(f"{path.name}.damaged-*")]
    return max((_instant(stamp[1]) for stamp in stamps if stamp is not None), default=None)


def _copy(source: Path, target: Path) -> Path | None:
    """Copy where that is cheap. A copy is a precaution: that it cannot be made must not keep the store closed."""
    size = source.stat().st_size
    try:
        with source.open("rb") as reading, target.open("wb") as writing:
            if _shares_blocks(reading.fileno(), writing.fileno()):
                return target
            if size <= _LARGEST_COPY and shutil.disk_usage(target.parent).free > 4 * size:
                shutil.copyfileobj(reading, writing, 1 << 20)
                return target
    except OSError as error:
        log.warning("silver.copy_failed", file=str(source), error=str(error))
    target.unlink(missing_ok=True)
    return None


def _shares_blocks(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:  # the file system has no such thing
        return False
    return True


def _stamp(now: datetime) -> str:
    return now.strftime(_FORMAT)


def _instant(stamp: str) -> datetime:
    return datetime.strptime(stamp, _FORMAT).replace(tzinfo=UTC)
