"""Compressing closed segments: verified frame by frame on the way, and never deleted before its successor is durable.

Order: compressed file and index as ``.tmp`` → fsync → rename → directory fsync → manifest line → the plain file goes.
A crash between any two steps leaves the plain file, or the manifest line: recovery finishes what was begun.

A segment that is damaged is compressed too, so that those behind it can be: a frame that says so stands for what could
not be read, and the plain file is kept aside.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from time import perf_counter

import msgspec

from appliance.components.durable import sync_directory
from appliance.storage.bronze.frame import FULL, Damaged, Found, Header, parse
from appliance.storage.bronze.manifest_lines import Entry, Run
from appliance.storage.bronze.packer import Packer, Sums
from appliance.storage.bronze.rest import REST
from appliance.storage.bronze.segment import Segment, walk
from appliance.storage.bronze.sidecar import sidecar_path, write_sidecar
from appliance.storage.bronze.survey import Gap, survey
from appliance.storage.bronze.tombstone import lost

DAMAGED = ".damaged"  # ends the name of a plain file that was kept aside
Pace = Callable[[float], None]  # is told how long the last step took; may wait, may raise Stopped


class Stopped(Exception):
    """The log is closing: leave the segment for the next start."""


def compact(segment: Segment, checkpoint: msgspec.Raw, pace: Pace) -> Entry:
    """Write ``segment``, closed, in its compressed form with its index, durably; return its entry, not yet linked.

    ``checkpoint``: as it stood before this segment. The plain file stays. If it is known to be damaged, what can be
    read is written.

    Raises:
        Damaged: a frame is not as it was written; nothing is left behind.
        Stopped: from ``pace``.
        OSError: the disk refuses; nothing is left behind but what the next try overwrites.
    """
    target = segment.path.with_name(segment.name + ".zst")
    packer = Packer(target.with_name(target.name + ".tmp"), checkpoint)
    frames = whole_frames(segment) if segment.damage is None else what_is_left(segment)
    sums = pack_all(packer, frames, pace)
    packer.draft.rename(target)
    write_sidecar(sidecar_path(target), tuple(packer.blocks), packer.deliveries)  # syncs the directory for both
    return Entry(
        name=target.name, first_seq=segment.first_seq, last_seq=segment.last_seq, frames=sums.frames,
        lines=sums.lines, size=sums.size, packed_size=sums.packed_size, newest_at=packer.newest_at,
        sha256=sums.sha256, packed_sha256=sums.packed_sha256, damaged=sums.damaged, checkpoint=packer.checkpoint,
        previous="",
    )  # fmt: skip


def pack_all(packer: Packer, frames: Iterator[Found[Header]], pace: Pace) -> Sums:
    """Write ``frames`` and return what was written; whatever is raised, nothing is left behind."""
    began = perf_counter()
    try:
        for found in frames:
            if packer.add(found):
                pace(perf_counter() - began)
                began = perf_counter()
        return packer.finish()
    except BaseException:
        packer.discard()
        raise


def put_away(segment: Segment, entry: Entry) -> None:
    """Remove the plain file of a segment that the manifest vouches for, or keep it aside if it is damaged.

    Should it come back after a crash, recovery removes it, or mending finds it wanting.
    """
    if not entry.damaged:
        segment.path.unlink(missing_ok=True)
    elif segment.path.exists():
        segment.path.rename(segment.path.with_name(segment.name + DAMAGED))
        sync_directory(segment.directory)
    segment.path.with_name(segment.name + REST).unlink(missing_ok=True)


def whole_frames(segment: Segment) -> Iterator[Found[Header]]:
    """Yield the segment's frames, proving that they are all there."""
    expected = segment.first_seq
    for found in walk(segment.path, 0, segment.end, FULL):
        if found.header.seq != expected:
            raise Damaged(found.offset, f"expected sequence number {expected}, found {found.header.seq}")
        expected += found.header.n
        yield found
    if expected != segment.last_seq + 1:
        raise Damaged(segment.end, f"expected the last sequence number {segment.last_seq}, found {expected - 1}")


def what_is_left(segment: Segment) -> Iterator[Found[Header]]:
    """Yield the segment's frames, and one that says so in the place of those that cannot be read."""
    try:
        found = segment.path.stat()
        size, changed = found.st_size, datetime.fromtimestamp(found.st_mtime, UTC)
    except FileNotFoundError:
        size, changed = 0, datetime.now(UTC)
    received = segment.opened_at or changed
    return filled(survey(segment.path, 0, size, FULL), (segment.first_seq, segment.last_seq), received)


def filled(pieces: Iterator[Found[Header] | Gap | Damaged], span: Run, at: datetime) -> Iterator[Found[Header]]:
    """Yield the frames of ``pieces`` within ``span``, and one that says so in the place of those that are missing.

    ``at``: when the events were received, should nothing in ``pieces`` tell.
    """
    (expected, last_seq), reason = span, "it is missing"
    for piece in pieces:
        if not isinstance(piece, Found):
            reason = f"byte {piece.offset}: {piece.reason}"
            continue
        header = piece.header
        if header.seq < expected or header.last_seq > last_seq:
            continue  # written, never acknowledged, and then written again to the next segment
        if header.seq > expected:
            yield _lost(expected, header.seq - 1, header.at, reason)
        yield piece
        expected, at, reason = header.last_seq + 1, header.at, "it is missing"
    if expected <= last_seq:
        yield _lost(expected, last_seq, at, reason)


def _lost(first_seq: int, last_seq: int, at: datetime, reason: str) -> Found[Header]:
    frame = parse(lost(first_seq, last_seq, at, reason), 0, 0, FULL)
    assert frame is not None  # noqa: S101 - it was written whole a moment ago
    return frame
