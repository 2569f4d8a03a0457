"""Putting files into a repository: what is there already is not stored again."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

from appliance.domain.backup import FileEntry, Piece
from appliance.storage.backup.repository import PIECE, Repository

TO_A_BUCKET: Final = 4  # at a time: mostly waiting for the line
TO_A_DISK: Final = 1  # beside the reading: a disk is not faster for being asked by several
_NICE: Final = 5  # of the threads that read and store: receiving comes first
_READ: Final = 1 << 20
_STRETCH: Final = 1 << 20

Told = Callable[[int, str], None]  # bytes done since the last call, and of which file; may raise to stop


class Packer:
    """Takes files in and stores what is new. As a context manager it waits for what is under way.

    ``told``: hears how many bytes of which file are done, from the thread that packs.
    """

    def __init__(self, repository: Repository, told: Told = lambda size, path: None) -> None:
        self._repository, self._told = repository, told
        self.objects = repository.objects()
        self.reused: set[str] = set()  # objects that were there, and must be there when the backup is listed
        self.new_bytes = 0
        self.files: list[FileEntry] = []
        workers = TO_A_DISK if repository.place.startswith("file://") else TO_A_BUCKET
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="backup", initializer=step_back)
        self._room = threading.BoundedSemaphore(workers + 1)  # pieces of 8 MiB that are read and not yet stored
        self._storing: list[Future[None]] = []

    def __enter__(self) -> "Packer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)

    def whole(self, name: str, path: Path, piece: Piece) -> bool:
        """Take a file that never changes, as one piece whose sum is known; read only if it is new.

        Returns False where the file has other bytes than ``piece`` says: it is taken as it is, in pieces.
        """
        if self.known(name, piece):
            return True
        if _sum(path) != (piece.sha256, piece.size):
            self.pieces(name, path)
            return False
        self._store(piece, path)
        self._listed(name, [piece])
        self._told(piece.size, name)
        return True

    def known(self, name: str, piece: Piece) -> bool:
        """Take a file that is one piece if that is there already; return whether it is."""
        if not self._known(piece):
            return False
        self._listed(name, [piece])
        self._told(piece.size, name)
        return True

    def pieces(self, name: str, path: Path, size: int | None = None, check: Callable[[], None] = lambda: None) -> None:
        """Take the first ``size`` bytes of a file, or all of it, in pieces. ``check``: called before each is read."""
        found = []
        with path.open("rb") as file:
            for content in _cut(file.fileno(), size, check):
                piece = Piece(hashlib.sha256(content).hexdigest(), len(content))
                if not self._known(piece):
                    self._store(piece, content)
                found.append(piece)
                self._told(piece.size, name)
        self._listed(name, found)

    def content(self, name: str, content: bytes) -> None:
        """Take a file from memory. One that only grows is stored again from where it grew."""
        cuts = range(0, max(len(content), 1), _STRETCH)
        self._listed(name, [self._kept(content[at : at + _STRETCH]) for at in cuts])
        self._told(len(content), name)

    def again(self, entry: FileEntry) -> bool:
        """Take a file as an earlier backup lists it, if all of it is there still."""
        if not all(self._known(piece) for piece in entry.pieces):
            return False
        self.files.append(entry)
        self._told(entry.size, entry.path)
        return True

    def catalog(self) -> tuple[Piece, ...]:
        """Store the list of files and return its pieces, when every object is there.

        Raises:
            TransientError: one could not be stored, or has vanished meanwhile.
        """
        packed = self._repository.packed(self.files)
        pieces = tuple(self._kept(packed[at : at + PIECE]) for at in range(0, len(packed), PIECE))
        self.settle()
        return pieces

    def settle(self) -> None:
        """Return when all is stored that was taken."""
        storing, self._storing = self._storing, []
        for one in storing:
            one.result()

    def _kept(self, content: bytes) -> Piece:
        piece = Piece(hashlib.sha256(content).hexdigest(), len(content))
        if not self._known(piece):
            self._store(piece, content)
        return piece

    def _listed(self, name: str, pieces: list[Piece]) -> None:
        self.files.append(FileEntry(name, tuple(pieces)))

    def _known(self, piece: Piece) -> bool:
        if not self._repository.has(piece, self.objects):
            return False
        self.reused.add(self._repository.name(piece))
        return True

    def _store(self, piece: Piece, content: bytes | Path) -> None:
        """Have a piece stored beside the reading of the next; raises what went wrong with an earlier one."""
        self._room.acquire()
        try:
            future = self._pool.submit(self._repository.put, piece, content)
        except BaseException:
            self._room.release()
            raise
        future.add_done_callback(lambda _: self._room.release())
        size = self._repository.stored_size(piece)
        self.objects[self._repository.name(piece)] = size  # the same again in this backup is not stored twice
        self.new_bytes += size
        self._storing.append(future)
        while self._storing and self._storing[0].done():
            self._storing.pop(0).result()


def step_back() -> None:
    """Let other threads of this process have the processor first."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def _cut(fd: int, size: int | None, check: Callable[[], None]) -> Iterator[bytes]:
    """Yield a file in pieces; an empty one is one piece of nothing."""
    left = os.fstat(fd).st_size if size is None else size
    at = 0
    while True:
        check()
        content = os.pread(fd, min(PIECE, left), at)
        if len(content) < min(PIECE, left):
            raise OSError(f"the file is shorter than the {at + left} bytes it had")
        yield content
        at, left = at + len(content), left - len(content)
        if not left:
            return


def _sum(path: Path) -> tuple[str, int]:
    found, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while content := file.read(_READ):
            found.update(content)
            size += len(content)
    return found.hexdigest(), size
