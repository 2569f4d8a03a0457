"""The contract of an archive: objects by key on another machine, which a log that loses its disk is rebuilt from."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import msgspec


class ArchivePlace(msgspec.Struct, frozen=True):
    """Where an archive is: ``path`` is a prefix within ``bucket``, or a folder where that is empty."""

    bucket: str
    path: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}{f'/{self.path}' if self.path else ''}" if self.bucket else f"file://{self.path}"


def parse_place(url: str) -> ArchivePlace:
    """Return the place that ``url`` means.

    Raises:
        ValueError: it is neither of an S3 bucket nor of a folder.
    """
    parts = urlsplit(url)
    plain = not (parts.query or parts.fragment or "@" in parts.netloc or ":" in parts.netloc or ".." in parts.path)
    path = parts.path.strip("/")
    if plain and parts.scheme == "s3" and parts.netloc:
        return ArchivePlace(parts.netloc, path)
    if plain and parts.scheme == "file" and not parts.netloc and path:
        return ArchivePlace("", f"/{path}")
    raise ValueError("expected 's3://bucket/prefix' or 'file:///folder', without keys in it")


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


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """How far the restoring of one pipeline is, and in the end what came of it.

    ``last_seq``: the newest event that the archive knows of. ``lost``: segments that the manifest lists and the archive
    has not as they should be, with why. ``erase_again``: segments from before an erasure that was not finished.
    """

    pipeline_id: str
    done: int
    segments: int
    bytes: int
    last_seq: int
    lost: dict[str, str]
    erase_again: list[str]
    finished: bool = False
