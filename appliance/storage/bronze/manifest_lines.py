"""The lines of a manifest: segments that closed, were written again, archived, or have expired. Each names the one
before.

A link is the SHA-256 of its line up to ``,"link":…``. So the last link vouches for every line and, through the sums in
them, for every byte of every closed segment; also for what is no longer there, and for the reason why.
"""

from datetime import datetime
from hashlib import sha256
from typing import Annotated, Literal, TypeVar

import msgspec

from appliance.storage.bronze.frame import NONE
from appliance.storage.bronze.segment import Key, key_of

NO_LINK = "0" * 64  # what the first line names as its predecessor
_LINK_TAIL = len(b',"link":""}') + 64
_Name = Annotated[str, msgspec.Meta(pattern=r"^\d{20}(-\d+)?\.jsonl\.zst$")]

Run = tuple[int, int]  # first and last sequence number


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One closed segment. Sizes in bytes; ``sha256`` of the lines, ``packed_sha256`` of the compressed file."""

    name: _Name
    first_seq: int
    last_seq: int
    frames: int
    lines: int
    size: int
    packed_size: int
    newest_at: datetime  # the latest receipt within; not that of the last frame where the clock was set back
    sha256: str
    packed_sha256: str
    damaged: int = 0  # events that could not be read when it was compressed
    gone: str = ""  # the newest segment that had expired when this line was written: a start reads the last lines only
    checkpoint: msgspec.Raw = NONE  # the source's, as it stood at the end of this segment
    previous: str
    link: str = ""

    @property
    def key(self) -> Key:
        return key_in(self.name)


class Rewritten(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A segment that was replaced on purpose. ``was``: its ``sha256`` and ``packed_sha256`` until then.

    ``erased``: the events ``seqs`` are tombstones now. ``mended``: a whole copy took the place of a damaged one.
    """

    rewritten: _Name
    why: Literal["erased", "mended"]
    seqs: tuple[Run, ...] = ()
    reason: str
    by: str
    at: datetime
    was: tuple[str, str]
    size: int
    packed_size: int
    sha256: str
    packed_sha256: str
    damaged: int = 0
    previous: str
    link: str = ""


class Expiry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The segment ``expired`` and all before it were removed on purpose. ``bytes``: given back to the file system."""

    expired: _Name
    segments: int
    events: int
    bytes: int
    reason: str
    at: datetime
    previous: str
    link: str = ""


class Archived(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The file of the segment ``archived``, with this sum, was read back from the archive: the one here may go."""

    archived: _Name
    packed_sha256: str
    at: datetime
    previous: str
    link: str = ""


Line = Entry | Rewritten | Expiry | Archived
L = TypeVar("L", Entry, Rewritten, Expiry, Archived)


def key_in(name: str) -> Key:
    """Return the key of a segment whose name was checked when it was decoded."""
    key = key_of(name)
    assert key is not None, name  # noqa: S101 - decoding checks the pattern
    return key


def decode(line: bytes) -> Line:
    """Return what ``line`` says.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: it is not readable.
    """
    if line.startswith(b'{"rewritten":'):
        return msgspec.json.decode(line, type=Rewritten)
    if line.startswith(b'{"expired":'):
        return msgspec.json.decode(line, type=Expiry)
    if line.startswith(b'{"archived":'):
        return msgspec.json.decode(line, type=Archived)
    return msgspec.json.decode(line, type=Entry)


def seal(line: L, previous: str) -> tuple[bytes, L]:
    """Return ``line`` as written after the one with the link ``previous``, and the same with both links."""
    bare = msgspec.structs.replace(line, previous=previous, link="")
    if isinstance(bare, Entry) and not bare.checkpoint:  # this very object: another empty Raw would be written
        bare = msgspec.structs.replace(bare, checkpoint=NONE)
    content = msgspec.json.encode(bare)[:-1]
    link = sha256(content).hexdigest()
    return b'%b,"link":"%b"}\n' % (content, link.encode()), msgspec.structs.replace(bare, link=link)


def link_of(line: bytes) -> str:
    """Return the link that ``line`` (without line end) ought to end in."""
    return sha256(line[:-_LINK_TAIL]).hexdigest()


def renewed(entry: Entry, line: Rewritten) -> Entry:
    """Return ``entry`` as it stands since ``line``."""
    return msgspec.structs.replace(
        entry, size=line.size, packed_size=line.packed_size, sha256=line.sha256, packed_sha256=line.packed_sha256,
        damaged=line.damaged,
    )  # fmt: skip
