"""An archive in a folder: another disk, or one that another machine serves (NFS).

Not by obstore, whose folders do not wait for the disk: what is durable here is removed where it came from.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from appliance.components.archive import ArchiveStore, Stored
from appliance.components.durable import sync_directory
from appliance.errors import Conflict, NotFound, TransientError

PIECE: Final = 8 << 20
DRAFT: Final = ".draft"  # ends the name of a file that is not whole yet
_STEP: Final = 1 << 20  # bytes that may wait for the disk: whoever syncs beside this waits behind no more
_RETRY_SECS: Final = 10.0


class FolderArchive:
    """Objects as files below ``root``, which must be there: a disk that is not mounted must not be taken for empty."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def place(self) -> str:
        return f"file://{self._root}"

    def put(self, key: str, content: Path | bytes, *, only_new: bool = False) -> None:
        target = self._path(key)
        draft = target.with_name(target.name + DRAFT)
        with self._speaking("storing", key):
            self._make(target.parent)
            try:
                _copy(content, draft)
                self._hand_over(draft)
                if only_new:
                    os.link(draft, target)
                else:
                    draft.rename(target)
            except FileExistsError as error:
                raise Conflict(f"storing {key} in {self.place}: there is one already") from error
            finally:
                draft.unlink(missing_ok=True)
            sync_directory(target.parent)

    def read(self, key: str) -> Iterator[bytes]:
        with self._speaking("reading", key):
            try:
                file = _opened(self._path(key))
            except (FileNotFoundError, NotADirectoryError):
                self._present()
                raise NotFound(f"reading {key} from {self.place}: there is no such object") from None
            with file:
                while piece := file.read(PIECE):
                    yield piece

    def list(self, prefix: str) -> Iterator[Stored]:
        with self._speaking("listing", prefix):
            self._present()
            for folder, _, names in os.walk(self._path(prefix)):
                for name in names:
                    path = Path(folder, name)
                    size = None if name.endswith(DRAFT) else _size(path)
                    if size is not None:
                        yield Stored(str(path.relative_to(self._root)), size)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            with self._speaking("deleting", key):
                self._present()
                path = self._path(key)
                path.with_name(path.name + DRAFT).unlink(missing_ok=True)  # what a crash left of the same content
                with suppress(FileNotFoundError):
                    path.unlink()
                    sync_directory(path.parent)

    def _path(self, key: str) -> Path:
        path = self._root / key
        if ".." in path.parts:
            raise NotFound(f"looking for {key} in {self.place}: this is no key of an object")
        return path

    def _present(self) -> None:
        if not self._root.is_dir():
            raise FileNotFoundError(f"there is no folder {self._root}: create it, or see whether its disk is mounted")

    def _make(self, folder: Path) -> None:
        """Make a folder and those above it, durably, but never the root."""
        if folder.is_dir():
            return
        self._present()
        self._make(folder.parent)
        with suppress(FileExistsError):  # another process was there first
            folder.mkdir(mode=0o750)
            self._hand_over(folder)
        sync_directory(folder.parent)

    def _hand_over(self, made: Path) -> None:
        """Give what root made to whom the place belongs: a command of root's must not lock the service out."""
        owner = self._root.stat()
        if os.geteuid() == 0 and owner.st_uid:
            with suppress(PermissionError):  # another machine may serve it, and know no root
                os.chown(made, owner.st_uid, owner.st_gid, follow_symlinks=False)

    def _speaking(self, doing: str, key: str) -> "_Speaking":
        return _Speaking(f"{doing} {key} in {self.place}")


class _Speaking:
    """Tells what the file system refused as a TransientError. A plain class: it is entered within generators."""

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            if isinstance(error, PermissionError):
                reason += f"; let uid {os.geteuid()} read and write what is in that folder"
            raise TransientError(f"{self._doing}: {reason}", _RETRY_SECS) from error


def _opened(path: Path) -> BinaryIO:
    """Open a file, and nothing that never ends or never begins, such as a device or a pipe that nobody writes to."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(f"{path} is no file")
    return os.fdopen(descriptor, "rb")


def _size(path: Path) -> int | None:
    """Return the size of a file; None: it is none, or was removed meanwhile."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _copy(content: Path | bytes, draft: Path) -> None:
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    try:
        if isinstance(content, bytes):
            _write(fd, content)
        else:
            with content.open("rb") as file:
                while piece := file.read(PIECE):
                    _write(fd, piece)
        os.fsync(fd)
    finally:
        os.close(fd)


def _write(fd: int, piece: bytes) -> None:
    """Write in steps that are synced: a large file that is synced at its end holds up Bronze's own syncs for it."""
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(fd, rest[:_STEP]) :]
        os.fdatasync(fd)


_: type[ArchiveStore] = FolderArchive
