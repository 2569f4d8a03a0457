"""The objects of one pipeline: stored and read back, fetched and summed."""

import os
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from appliance.components.archive import ArchiveStore
from appliance.errors import NotFound, TransientError

_CHUNK = 1 << 20
_RETRY_SECS = 30.0


def sum_of_file(path: Path) -> str:
    """Return the SHA-256 of a file of any size; nothing where there is none."""
    try:
        with path.open("rb") as file:
            found = sha256()
            while piece := file.read(_CHUNK):
                found.update(piece)
            return found.hexdigest()
    except FileNotFoundError:
        return ""


class Objects:
    """Objects below ``folder``, by the name of their file on disk."""

    def __init__(self, store: ArchiveStore, folder: str) -> None:
        self._store = store
        self.folder = folder

    @property
    def place(self) -> str:
        return f"{self._store.place}/{self.folder}"

    def keep(self, name: str, content: Path | bytes, digest: str | None = None) -> None:
        """Store an object and read it back. ``digest``: the SHA-256 of ``content``, where that is known.

        Raises:
            TransientError: the archive cannot be reached, or gives back other bytes.
        """
        if digest is None:
            digest = sum_of_file(content) if isinstance(content, Path) else sha256(content).hexdigest()
        self._store.put(self._key(name), content)
        if (found := self.digest(name)) != digest:
            raise TransientError(
                f"archiving {name} to {self.place}: it came back with the SHA-256 {found or 'of nothing'}, expected "
                f"{digest}; it is stored again, look at the archive if this stays",
                _RETRY_SECS,
            )

    def digest(self, name: str) -> str:
        """Return the SHA-256 of an object; nothing where there is none."""
        found = sha256()
        try:
            for piece in self._store.read(self._key(name)):
                found.update(piece)
        except NotFound:
            return ""
        return found.hexdigest()

    def fetch(self, name: str, draft: Path) -> str:
        """Write an object to the file ``draft``, durably, and return its SHA-256.

        Raises:
            NotFound: there is no such object.
        """
        found = sha256()
        try:
            with draft.open("wb") as file:
                for piece in self._store.read(self._key(name)):
                    found.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):  # the next start removes it
                draft.unlink(missing_ok=True)
            raise
        return found.hexdigest()

    def content(self, name: str) -> bytes:
        """Return a small object.

        Raises:
            NotFound: there is no such object.
        """
        return b"".join(self._store.read(self._key(name)))

    def sizes(self) -> dict[str, int]:
        """Return every object with its size."""
        start = len(self.folder) + 1
        return {one.key[start:]: one.size for one in self._store.list(self.folder)}

    def remove(self, names: Iterable[str]) -> None:
        self._store.delete(self._key(name) for name in names)

    def _key(self, name: str) -> str:
        return f"{self.folder}/{name}"
