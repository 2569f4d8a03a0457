"""Removing whole segments from the old end of a log.

Order: manifest line → the files go → directory fsync. A crash in between leaves files that the manifest says are gone:
the next start, or the next expiry, removes them. Indexes stay for as long as their delivery ids may be asked for.
"""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from appliance.components.durable import sync_directory
from appliance.storage.bronze.manifest import Manifest
from appliance.storage.bronze.manifest_lines import Entry
from appliance.storage.bronze.segment import Key
from appliance.storage.bronze.sidecar import sidecar_path

_STEM = re.compile(r"(\d{20})(?:-(\d+))?\.")
_BLOCK = 512  # stat(2): st_blocks counts these


def key_in_front(name: str) -> Key | None:
    """Return the key of the segment that the file ``name`` belongs to: the segment, its index, what was cut off."""
    match = _STEM.match(name)
    return (int(match[1]), int(match[2] or 0)) if match else None


def occupied(paths: Iterable[Path]) -> int:
    """Return the bytes that the file system gives to the files that exist."""
    return sum(path.stat().st_blocks * _BLOCK for path in paths if path.exists())


def occupied_by(directory: Path) -> int:
    """Return the bytes that the file system gives to all files in ``directory``."""
    with os.scandir(directory) as found:
        return sum(one.stat().st_blocks for one in found) * _BLOCK


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What may go: what was received before ``before``, and what it takes to free ``excess`` bytes; see ``expire``."""

    before: datetime | None
    excess: int
    up_to: int
    now: datetime


def to_expire(entries: Sequence[Entry], rule: Rule, size_of: Callable[[Entry], int]) -> int:
    """Return how many of ``entries``, from the oldest, are to go."""
    excess = rule.excess
    for count, (entry, newest_at) in enumerate(zip(entries, _plausible(entries, rule.now), strict=True)):
        old = rule.before is not None and newest_at is not None and newest_at < rule.before
        if entry.last_seq > rule.up_to or not (old or excess > 0):
            return count
        if excess > 0:
            excess -= size_of(entry)
    return len(entries)


def _plausible(entries: Sequence[Entry], now: datetime) -> list[datetime | None]:
    """Return when each was received last.

    One that claims a time after ``now`` was received while the clock was wrong: it is taken to be as old as the next
    one that can be believed. So a clock that was ahead for a while does not keep everything behind it for ever.
    """
    times: list[datetime | None] = []
    following: datetime | None = None
    for entry in reversed(entries):
        following = entry.newest_at if entry.newest_at <= now else following
        times.append(following)
    return times[::-1]


def sweep(manifest: Manifest, names: Iterable[str], indexes_before: datetime | None = None) -> int:
    """Remove the files of expired segments that are among ``names``; return the bytes given back.

    ``indexes_before``: also indexes of segments whose newest event was received before; None: no index.
    """
    directory = manifest.path.parent
    doomed = [directory / name for name in names if (key := key_in_front(name)) and key <= manifest.gone]
    if indexes_before is None:
        doomed = [path for path in doomed if path.suffix != ".idx"]
    else:
        recent = (entry for entry in manifest.newest_first() if entry.newest_at >= indexes_before)
        held = {sidecar_path(directory / entry.name) for entry in recent}
        doomed = [path for path in doomed if path not in held]
    if not doomed:
        return 0
    freed = 0
    for path in doomed:
        size = occupied([path])
        path.unlink(missing_ok=True)
        freed += size
    sync_directory(directory)
    return freed
