"""What was known about a plain segment when the log was closed in good order, so that the next start need not scan it.

The note of a segment that goes on growing is used once, then recovery removes it: after a crash there is none, and the
segment is scanned. Where a note does not fit the file, the segment is scanned too, and what the note says was there is
missing: damage, not a torn tail.
"""

from datetime import datetime

import msgspec

from appliance.storage.bronze.disk import write_new
from appliance.storage.bronze.frame import NONE
from appliance.storage.bronze.segment import Index, Segment
from appliance.storage.bronze.sidecar import Delivered

REST = ".rest"


class Rest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """``index``: its columns. ``deliveries``: those in this segment, within the window."""

    end: int
    last_seq: int
    lines: int
    frames: int
    opened_at: datetime | None
    latest_us: int
    index: tuple[list[int], list[int], list[int], list[int]]
    deliveries: list[Delivered]
    checkpoint: msgspec.Raw = NONE

    def fill(self, segment: Segment) -> None:
        """Tell ``segment`` what was left about it."""
        segment.end, segment.last_seq, segment.lines, segment.frames = self.end, self.last_seq, self.lines, self.frames
        segment.opened_at, segment.latest_us = self.opened_at, self.latest_us
        segment.index = Index(*self.index)


def leave_rest(segment: Segment, checkpoint: msgspec.Raw, deliveries: list[Delivered]) -> None:
    """Write what is known about ``segment``, which has just been cut to its size and closed."""
    rest = Rest(
        end=segment.end,
        last_seq=segment.last_seq,
        lines=segment.lines,
        frames=segment.frames,
        opened_at=segment.opened_at,
        latest_us=segment.latest_us,
        index=segment.index.columns(),
        deliveries=deliveries,
        checkpoint=checkpoint or NONE,
    )
    write_new(segment.path.with_name(segment.name + REST), msgspec.json.encode(rest))


def read_rest(segment: Segment) -> Rest | None:
    """Return what was left about ``segment``; None: nothing was, or it is not readable."""
    path = segment.path.with_name(segment.name + REST)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Rest)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None
