"""A backup: what it says of itself, what files it has, and what of that may be written to a disk again."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from enum import Enum
from secrets import token_hex
from typing import Annotated, Final

import msgspec
from msgspec import Meta

FORMAT: Final = 1  # of a backup; one with a greater number was made by a newer version
CONTROL: Final = "control.sqlite3"
_ID: Final = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
_SHOWN: Final = 5  # of many problems of one kind

Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Meta(ge=0)]

# Everything that a backup may hold, and nothing else is written by restoring: no other place, no other name.
_PATHS: Final = (
    r"control\.sqlite3",
    r"node\.id",
    r"node\.partition",
    r"archive\.json",
    r"silver/[A-Za-z0-9_-]{1,64}\.duckdb",
    r"bronze/[A-Za-z0-9][A-Za-z0-9_-]{0,63}/manifest\.jsonl",
    r"bronze/[A-Za-z0-9][A-Za-z0-9_-]{0,63}/corrections\.jsonl",
    r"bronze/[A-Za-z0-9][A-Za-z0-9_-]{0,63}/\d{20}(-\d{1,6})?\.jsonl(\.zst|\.damaged|\.cut-\d{1,20})?",
)
_PATH: Final = re.compile("|".join(f"(?:{one})" for one in _PATHS), re.ASCII)


class Kind(Enum):
    """``FULL``: rows were copied anew. ``INCREMENTAL``: rows are those of an earlier copy, and Bronze has what came
    since. Either restores by itself: what it needs of earlier backups is kept as long as it is."""

    FULL = "full"
    INCREMENTAL = "incremental"


class Piece(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A stretch of a file: one object of the repository, named by its content."""

    sha256: Sha256
    size: Count


class FileEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One file: ``path`` below the data directory, and what it is made of, in order."""

    path: str
    pieces: tuple[Piece, ...]

    @property
    def size(self) -> int:
        return sum(piece.size for piece in self.pieces)


class PipelineFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is in the backup of one pipeline. ``refined``: up to which event rows are; None: they are not in it."""

    id: str
    organisation_id: str
    name: str
    first_seq: int
    last_seq: int
    refined: int | None = None


class RowsFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of one organisation's rows. ``as_of``: when they were copied. ``state``: a digest of what must not have changed
    for the same copy to serve a later backup."""

    organisation_id: str
    as_of: datetime
    state: str


class Backup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The manifest. ``new_bytes``: stored for it, beside what was there. ``catalog``: the list of files, packed.

    ``key``: fingerprint of the ``secret.key`` that its secrets are sealed with; the key itself is in no backup.
    ``database``: where rows and control plane are, if not in files: that is not in the backup.
    """

    format: int
    id: str
    kind: Kind
    at: datetime
    took_secs: float
    version: str
    schema: str
    node: str
    host: str
    key: str
    files: Count
    bytes: Count
    new_bytes: Count
    pipelines: tuple[PipelineFacts, ...]
    rows: tuple[RowsFacts, ...]
    catalog: tuple[Piece, ...]
    database: str | None = None

    @property
    def events(self) -> int:
        return sum(one.last_seq - one.first_seq + 1 for one in self.pipelines)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of reading a backup whole: nothing in ``problems``: it is good. ``opened``: databases too."""

    at: datetime
    took_secs: float
    opened: bool
    problems: tuple[str, ...] = ()


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed, or would be. ``bytes``: of the objects, as they are stored."""

    backups: list[str]
    kept: int
    objects: int
    bytes: int


def new_backup_id(at: datetime) -> str:
    """Return an id that sorts by time."""
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{token_hex(3)}"


def is_backup_id(text: str) -> bool:
    """Return whether ``text`` can name a backup, and so be part of a key."""
    return _ID.fullmatch(text) is not None


def problems_of(backup: Backup, files: Sequence[FileEntry]) -> list[str]:
    """Return everything that forbids to write ``files`` to a disk; nothing there: they may be.

    Looked at before the first byte is written: names, doubles, sums of sizes, and whose files they are.
    """
    return [
        *_told(_names(files), "is no name that a backup has"),
        *_told(_doubles(files), "is there twice"),
        *_told(_foreign(backup, files), "belongs to nobody that the backup names"),
        *_sizes(backup, files),
    ]


def _names(files: Iterable[FileEntry]) -> Iterator[str]:
    return (one.path for one in files if not _PATH.fullmatch(one.path))


def _doubles(files: Iterable[FileEntry]) -> Iterator[str]:
    """Yield names that come again, also those that a file system takes for the same."""
    seen: set[str] = set()
    for one in files:
        folded = one.path.casefold()
        if folded in seen:
            yield one.path
        seen.add(folded)


def _foreign(backup: Backup, files: Iterable[FileEntry]) -> Iterator[str]:
    pipelines = {one.id for one in backup.pipelines}
    organisations = {one.organisation_id for one in backup.rows}
    for one in files:
        folder, _, rest = one.path.partition("/")
        name = rest.partition("/")[0]
        if folder == "bronze" and name not in pipelines:
            yield one.path
        if folder == "silver" and name.removesuffix(".duckdb") not in organisations:
            yield one.path


def _sizes(backup: Backup, files: Sequence[FileEntry]) -> Iterator[str]:
    if len(files) != backup.files:
        yield f"it lists {len(files)} files and says that there are {backup.files}"
    if (size := sum(one.size for one in files)) != backup.bytes:
        yield f"its files have {size} bytes and it says that there are {backup.bytes}"


def _told(names: Iterable[str], what: str) -> list[str]:
    found = list(names)
    told = [f"{name[:120]!r} {what}" for name in found[:_SHOWN]]
    return told + ([f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else [])
