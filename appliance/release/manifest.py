"""What a release says of itself: ``release.json``, the first file in its bundle."""

from pathlib import PurePosixPath
from typing import Annotated, Final

import msgspec
from msgspec import Meta

FILE: Final = "release.json"
FOLDER: Final = "dash-appliance"  # everything in a bundle lies in it
FORMAT: Final = 1


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One file of the program, or a link to another one. ``path``: below the folder. ``link``: as the link has it."""

    path: str
    size: Annotated[int, Meta(ge=0)] = 0
    sha256: str = ""
    runs: bool = False
    link: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A release. Fields that a later format adds are not looked at; a later ``format`` is refused.

    ``commit_time``: of the sources [Unix seconds]. ``glibc``: the oldest C library it starts with. ``control_schema``:
    the newest migration of the control plane that it knows.
    """

    format: int
    version: Annotated[str, Meta(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+([.+-][A-Za-z0-9.+-]+)?\Z", max_length=64)]
    machine: str
    glibc: str
    python: str
    commit_time: int
    control_schema: str
    files: tuple[Entry, ...]

    @property
    def bytes(self) -> int:
        """Return the room it needs unpacked."""
        return sum(entry.size for entry in self.files)


def decoded(content: bytes) -> Manifest:
    """Return the manifest in ``content``.

    Raises:
        ValueError: it is none of this format, or names a place outside of the folder.
    """
    found = msgspec.json.decode(content, type=Manifest)
    if found.format != FORMAT:
        raise ValueError(f"its format is {found.format}, and this version reads {FORMAT}")
    seen: set[str] = set()
    for entry in found.files:
        if not _inside(entry.path) or entry.path in seen or (entry.link and not _leads_inside(entry)):
            raise ValueError(f"it names {entry.path!r}, which is no place for a file of a release")
        seen.add(entry.path)
    return found


def _inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return bool(path) and "\0" not in path and str(pure) == path and not pure.is_absolute() and ".." not in pure.parts


def _leads_inside(entry: Entry) -> bool:
    """A link may climb within the folder, not out of it; and only at first, for what it enters may be a link, too."""
    link = PurePosixPath(entry.link)
    if "\0" in entry.link or link.is_absolute():
        return False
    climbs = next((number for number, part in enumerate(link.parts) if part != ".."), len(link.parts))
    return climbs < len(PurePosixPath(entry.path).parts) and ".." not in link.parts[climbs:]
