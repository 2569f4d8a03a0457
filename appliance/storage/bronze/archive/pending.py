"""What a lost machine would lose of a log, and what it would not."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.storage.bronze.frame import BRIEF, Damaged
from appliance.storage.bronze.segment import frames_in
from appliance.storage.bronze.sidecar import read_blocks, sidecar_path
from appliance.storage.bronze.unpack import unpack

if TYPE_CHECKING:
    from appliance.storage.bronze.pipeline_log import PipelineLog


@dataclass(frozen=True)
class Pending:
    """``since``: when the oldest of the events was received; None: there are none."""

    events: int = 0
    bytes: int = 0
    since: datetime | None = None

    def __add__(self, other: "Pending") -> "Pending":
        since = min((one for one in (self.since, other.since) if one is not None), default=None)
        return Pending(self.events + other.events, self.bytes + other.bytes, since)


@dataclass(frozen=True)
class Archived:
    segments: int = 0
    bytes: int = 0
    local_bytes: int = 0

    def __add__(self, other: "Archived") -> "Archived":
        return Archived(
            self.segments + other.segments, self.bytes + other.bytes, self.local_bytes + other.local_bytes
        )  # fmt: skip


def pending_of(log: "PipelineLog") -> Pending:
    """Return what of ``log`` is not archived: open, waiting to be compressed, or not yet brought there."""
    found = Pending()
    plain = log.plain_segments()  # before the manifest, so that no segment slips between the two
    entries = log.manifest.entries()
    waiting = [entry for entry in entries if not log.manifest.is_archived(entry)]
    if waiting:
        events = sum(entry.last_seq - entry.first_seq + 1 for entry in waiting)
        since = _first_received(log.directory / waiting[0].name) or waiting[0].newest_at
        found += Pending(events, sum(entry.packed_size for entry in waiting), since)
    listed = entries[-1].key if entries else (0, 0)
    for segment, end in plain:
        events = segment.last_seq - segment.first_seq + 1
        if segment.key > listed and events > 0:
            found += Pending(events, end, segment.opened_at)
    return found


def archived_of(log: "PipelineLog") -> Archived:
    """Return what of ``log`` is archived."""
    held = [one for one in log.manifest.entries() if log.manifest.is_archived(one)]
    size = sum(one.packed_size for one in held)
    return Archived(len(held), size, size - log.shelf.elsewhere(held))


def _first_received(path: Path) -> datetime | None:
    """Return when the first event of a compressed segment was received; None: it does not read."""
    blocks = read_blocks(sidecar_path(path))
    if blocks is None or not blocks.blocks:
        return None
    try:
        frame = next(frames_in(unpack(path, blocks.blocks[0]), 0, BRIEF), None)
    except (OSError, Damaged):
        return None
    return None if frame is None else frame.header.at
