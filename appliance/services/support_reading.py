"""Reads a support bundle where nothing of the appliance is at hand: proves it whole, and says what stands out."""

import hashlib
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from appliance.domain.finding import Examined
from appliance.errors import Invalid, Problem

LARGEST: Final = 64 << 20  # bytes of all files together, unpacked
MOST_FILES: Final = 100
TOLD: Final = 10
MANIFEST: Final = "manifest.json"

# All of them are told as one refusal that names the reason. RuntimeError: it wants a password, or is packed in a way
# that nobody knows.
_UNREADABLE: Final = (
    OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, msgspec.DecodeError, KeyError, EOFError, ValueError,
    RuntimeError,
)  # fmt: skip

T = TypeVar("T")


def read(path: Path) -> dict[str, str]:
    """Return the files of the bundle at ``path`` by name.

    Raises:
        Invalid: it is none, larger than any bundle is, or not as it was written.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if len(infos) > MOST_FILES or sum(one.file_size for one in infos) > LARGEST:
                raise _refused(path, f"more than {MOST_FILES} files or {LARGEST >> 20} MiB: that is no bundle")
            files = {one.filename: _text(archive, one) for one in infos}
        digests = msgspec.json.decode(files.pop(MANIFEST), type=dict[str, str])
    except _UNREADABLE as error:
        raise _refused(path, f"it cannot be read: {error}") from error
    found = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    if found != digests:
        odd = sorted(name for name in found | digests if found.get(name) != digests.get(name))
        raise _refused(path, f"not as it was written: {', '.join(odd)}")
    return files


class _Condition(msgspec.Struct):
    severity: str = "?"
    title: str = ""
    message: str = ""


class _Incident(msgspec.Struct):
    condition: _Condition
    closed_at: str | None = None


class _Failure(msgspec.Struct):
    count: int = 0
    event: str = ""
    kind: str = ""
    place: str = ""


def stands_out(files: dict[str, str]) -> Iterator[Examined]:
    """Yield what somebody who reads the bundle should look at first. Raises Invalid: a file is not Dash's."""
    about = _json(files, "about.json", dict[str, Any]) or {}
    told = ", ".join(f"{key} {about[key]}" for key in ("dash", "at", "kernel", "cores", "memory_bytes") if key in about)
    yield Examined("about", "fine", told)
    for name, (well, reason) in (_json(files, "readiness.json", dict[str, tuple[bool, str]]) or {}).items():
        yield Examined(name, "fine" if well else "bad", reason)
    for one in _json(files, "incidents.json", list[_Incident]) or []:
        if one.closed_at is None:
            condition = one.condition
            yield Examined("incident", "bad", f"{condition.severity} {condition.title}: {condition.message}")
    for failure in (_json(files, "failures.json", list[_Failure]) or [])[:TOLD]:
        told = f"{failure.count} × {failure.event} {failure.kind} {failure.place}".rstrip()
        yield Examined("failure", "warning", told)
    for finding in _json(files, "doctor.json", list[Examined]) or []:
        if finding.state != "fine":
            yield finding


def _text(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    """Return a member's text; what it declares was added up before, and no more than that is taken."""
    with archive.open(info) as file:
        return file.read(info.file_size).decode()


def _json(files: dict[str, str], name: str, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(files[name], type=kind) if name in files else None
    except (msgspec.DecodeError, RecursionError) as error:
        raise _refused(Path(name), f"it is not as Dash writes it: {error}") from error


def _refused(path: Path, why: str) -> Invalid:
    return Invalid([Problem(str(path), why, hint="ask for the bundle again, as the file that was saved")])
