"""Writing files of a backup into a new folder: every name was judged before, and every byte is proved on its way."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from appliance.components.durable import sync_directory
from appliance.domain.backup import FileEntry
from appliance.storage.backup.repository import Repository

AT_A_TIME: Final = 3
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def unpack(
    repository: Repository,
    files: Iterable[FileEntry],
    target: Path,
    told: Callable[[int, str], None] = lambda size, path: None,
) -> None:
    """Write ``files``, which ``problems_of`` has nothing against, into ``target``, which is there and empty.

    Files are made, never opened: one that is there, or a link, is an error. Durable when it returns.

    Raises:
        FatalError: an object is missing or damaged.
        OSError: the disk refuses.
    """
    wanted = list(files)
    folders = sorted({str(Path(one.path).parent) for one in wanted} | {"."})
    for folder in folders:
        _make(target, folder)
    with ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="restore") as pool:
        try:
            for entry, size in pool.map(lambda one: (one, _write(repository, one, target)), wanted):
                told(size, entry.path)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    for folder in folders:
        sync_directory(target / folder)


def _make(target: Path, folder: str) -> None:
    place = target
    for name in Path(folder).parts:
        place = place / name
        if not place.is_dir() or place.is_symlink():
            place.mkdir(mode=0o750)


def _write(repository: Repository, entry: FileEntry, target: Path) -> int:
    folder = os.open(target / Path(entry.path).parent, _DIRECTORY)
    try:
        mode = 0o600 if "/" not in entry.path else 0o640
        file = os.open(Path(entry.path).name, _NEW, mode, dir_fd=folder)
    finally:
        os.close(folder)
    try:
        for piece in entry.pieces:
            for part in repository.read(piece):
                rest = memoryview(part)
                while rest:
                    rest = rest[os.write(file, rest) :]
        os.fsync(file)
    finally:
        os.close(file)
    return entry.size
