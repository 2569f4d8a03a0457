"""One pipeline's log as it is at a moment, under names of its own, so that it can be copied in peace.

Links to the files are made while nobody replaces or removes one. Closed files never change, and are replaced by new
ones under the same name; of what grows, the bytes that are durable by then count. Nothing waits for the copying.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from appliance.storage.bronze.corrections import FILE as CORRECTIONS
from appliance.storage.bronze.manifest_lines import Entry
from appliance.storage.bronze.pipeline_log import PipelineLog

MANIFEST: Final = "manifest.jsonl"
STILL: Final = ".still-"  # begins the name of the folder of links, beside the logs
_ASIDE: Final = re.compile(r"\d{20}(-\d+)?\.jsonl(\.damaged|\.cut-\d+)?")  # what is kept for a person


class Held(msgspec.Struct, frozen=True):
    """A file to be copied: ``name`` as in the log, ``path`` where it can be read, ``size`` how much of it counts.

    ``sha256``: of a closed segment, as the manifest has it.
    """

    name: str
    path: Path
    size: int
    sha256: str | None = None


class Still(msgspec.Struct, frozen=True, kw_only=True):
    """``away``: segments that are in an archive only. ``revised``: changes whenever an event is erased or corrected."""

    first_seq: int
    last_seq: int
    manifest: bytes
    corrections: bytes
    files: list[Held]
    away: list[Entry]
    revised: str


def hold(log: PipelineLog, folder: Path) -> Still | None:
    """Link the files of ``log`` into ``folder``, which is made. None: the pipeline was deleted. Raises OSError."""
    with log.changing:
        if log.deleted:
            return None
        folder.mkdir(mode=0o700)
        manifest = log.manifest.content()[1] if log.manifest.path.exists() else b""
        entries = log.manifest.entries()
        plain = [(segment.name, end) for segment, end in log.plain_segments()]
        last_seq, first_seq = log.last_seq, log.first_seq
        found, away = _closed(log.directory, folder, entries)
        listed = {entry.name.removesuffix(".zst") for entry in entries if not entry.damaged}
        found += [held for name, end in plain if end and (held := _linked(log.directory / name, folder, end))]
        found += _aside(log.directory, folder, listed | {name for name, _ in plain})
        corrections = _corrections(log.directory / CORRECTIONS)
    return Still(
        first_seq=first_seq,
        last_seq=max(last_seq, first_seq - 1),
        manifest=manifest,
        corrections=corrections,
        files=found,
        away=away,
        revised=_revised(manifest, corrections),
    )


@contextmanager
def swept(root: Path, name: str) -> Iterator[Path]:
    """Give a folder for links beside the logs, and remove it at the end, and what a crash left of others."""
    sweep(root)
    folder = root / (STILL + name)
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield folder
    finally:
        _remove(folder)


def _closed(directory: Path, folder: Path, entries: list[Entry]) -> tuple[list[Held], list[Entry]]:
    found, away = [], []
    for entry in entries:
        held = _linked(directory / entry.name, folder, None, entry.packed_sha256 or None)
        if held is None:
            away.append(entry)
        else:
            found.append(held)
    return found, away


def _aside(directory: Path, folder: Path, known: set[str]) -> list[Held]:
    names = [name for name in sorted(os.listdir(directory)) if _ASIDE.fullmatch(name) and name not in known]
    return [held for name in names if (held := _linked(directory / name, folder, None))]


def _linked(path: Path, folder: Path, size: int | None, sha256: str | None = None) -> Held | None:
    target = folder / path.name
    try:
        os.link(path, target)
    except FileNotFoundError:
        return None
    except FileExistsError:
        return None  # held already
    except OSError:  # a file system without links, or one that guards those of others
        shutil.copyfile(path, target)
    return Held(path.name, target, target.stat().st_size if size is None else size, sha256)


def _corrections(path: Path) -> bytes:
    """Return the lines that are whole."""
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1]


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
    folder.rmdir()


def sweep(root: Path) -> None:
    """Remove links that a crash left behind: they would keep what is erased or expires since."""
    for left in root.glob(f"{STILL}*"):
        _remove(left)


def revised(log: PipelineLog) -> str:
    """Return what changes whenever an event of ``log`` was erased or corrected, at this moment."""
    manifest = log.manifest.path
    return _revised(manifest.read_bytes() if manifest.exists() else b"", _corrections(log.directory / CORRECTIONS))


def _revised(manifest: bytes, corrections: bytes) -> str:
    rewritten = sum(line.startswith(b'{"rewritten":') for line in manifest.splitlines())
    return f"{rewritten}:{len(corrections)}"
