"""What was known about the open segment when the log was closed in good order, so that the next start need not scan it.

Used once, then recovery removes it: after a crash there is none, and the segment is scanned. One that does not fit the
file to the byte is ignored.
"""

from datetime import datetime

import msgspec

from appliance.storage.bronze.disk import write_new
from appliance.storage.bronze.frame import NONE
from appliance.storage.bronze.segment import Index, Segment
from appliance.storage.bronze.sidecar import Delivered

REST = ".rest"


class Rest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """``index``: sequence numbers, offsets and lines. ``deliveries``: those in this segment, within the window."""

    end: int
    last_seq: int
    lines: int
    frames: int
    opened_at: datetime | None
    index: tuple[list[int], list[int], list[int]]
    deliveries: list[Delivered]
    checkpoint: msgspec.Raw = NONE


def leave_rest(segment: Segment, checkpoint: msgspec.Raw, deliveries: list[Delivered]) -> None:
    """Write what is known about ``segment``, which has just been cut to its size and closed."""
    rest = Rest(
        end=segment.end,
        last_seq=segment.last_seq,
        lines=segment.lines,
        frames=segment.frames,
        opened_at=segment.opened_at,
        index=segment.index.columns(),
        deliveries=deliveries,
        checkpoint=checkpoint or NONE,
    )
    write_new(segment.path.with_name(segment.name + REST), msgspec.json.encode(rest))


def take_rest(segment: Segment) -> Rest | None:
    """Fill ``segment`` with what was left about it and return that; None: nothing was, or it does not fit."""
    path = segment.path.with_name(segment.name + REST)
    try:
        rest = msgspec.json.decode(path.read_bytes(), type=Rest)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    if rest.end != segment.path.stat().st_size:
        return None
    segment.end, segment.last_seq, segment.lines, segment.frames = rest.end, rest.last_seq, rest.lines, rest.frames
    segment.opened_at = rest.opened_at
    segment.index = Index(*rest.index)
    return rest
