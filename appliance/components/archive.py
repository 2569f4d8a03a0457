"""The contract of an archive: objects by key on another machine, which a log that loses its disk is rebuilt from."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec


class Stored(msgspec.Struct, frozen=True):
    """One object as it is listed."""

    key: str
    size: int


class ArchiveStore(Protocol):
    """Objects by key; ``/`` parts a key into folders. All blocking, all safe to call from several threads.

    Each may raise TransientError: the archive cannot be reached, or does not let us; the message says which of the two
    and what to do. What was asked for may have happened all the same, and the same call may be made again.
    """

    @property
    def place(self) -> str:
        """Where it is, as people may see it: ``s3://bucket/prefix``."""
        ...

    def put(self, key: str, content: Path | bytes, *, only_new: bool = False) -> None:
        """Store an object whole or not at all, in place of one with that key; durable when it returns.

        Raises:
            Conflict: ``only_new``, and there is one.
            OSError: the file does not read.
        """
        ...

    def read(self, key: str) -> Iterator[bytes]:
        """Yield the object in pieces of a few MiB. An object replaced meanwhile may come half and half: check its sum.

        Raises:
            NotFound: there is no such object.
        """
        ...

    def list(self, prefix: str) -> Iterator[Stored]:
        """Yield every object below the folder ``prefix``, in any order."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects for good; those that are not there are passed over."""
        ...


class ArchiveState(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive has of a log, and what not yet: that is what a lost machine loses.

    ``pending_since``: when the oldest event was received that is not archived; None: all are. ``local_bytes``: of
    archived segments, what lies on this disk too. ``told``: one sentence on how it is doing; ``well``: all is right.
    """

    place: str
    name: str
    archived_segments: int
    archived_bytes: int
    local_bytes: int
    pending_events: int
    pending_bytes: int
    pending_since: datetime | None
    well: bool
    told: str
