"""Reads a support bundle where nothing of the appliance is at hand: proves it whole, and says what stands out."""

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from appliance.domain.finding import Examined
from appliance.errors import Invalid, Problem

LARGEST: Final = 64 << 20  # bytes of all files together, unpacked
MOST_FILES: Final = 100
TOLD: Final = 10
MANIFEST: Final = "manifest.json"


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
    except (OSError, zipfile.BadZipFile, KeyError, EOFError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise _refused(path, f"it cannot be read: {error}") from error
    found = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    if found != digests:
        odd = sorted(name for name in found | digests if found.get(name) != digests.get(name))
        raise _refused(path, f"not as it was written: {', '.join(odd)}")
    return files


def stands_out(files: dict[str, str]) -> Iterator[Examined]:
    """Yield what somebody who reads the bundle should look at first."""
    about = _json(files, "about.json") or {}
    told = ", ".join(f"{key} {about[key]}" for key in ("dash", "at", "kernel", "cores", "memory_bytes") if key in about)
    yield Examined("about", "fine", told)
    for name, (well, reason) in (_json(files, "readiness.json") or {}).items():
        yield Examined(name, "fine" if well else "bad", reason)
    for one in _json(files, "incidents.json") or []:
        if one.get("closed_at") is None:
            condition = one["condition"]
            yield Examined("incident", "bad", f"{condition['severity']} {condition['title']}: {condition['message']}")
    for one in (_json(files, "failures.json") or [])[:TOLD]:
        yield Examined("failure", "warning", f"{one['count']} × {one['event']} {one['kind']} {one['place']}".rstrip())
    for one in _json(files, "doctor.json") or []:
        if one["state"] != "fine":
            yield Examined(one["about"], one["state"], one["message"], one.get("remedy"))


def _text(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    """Return a member's text; what it declares was added up before, and no more than that is taken."""
    with archive.open(info) as file:
        return file.read(info.file_size).decode()


def _json(files: dict[str, str], name: str) -> Any:
    return msgspec.json.decode(files[name]) if name in files else None


def _refused(path: Path, why: str) -> Invalid:
    return Invalid([Problem(str(path), why, hint="ask for the bundle again, as the file that was saved")])
