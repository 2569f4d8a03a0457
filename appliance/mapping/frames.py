"""Frames on their way into DuckDB: one Arrow row for a frame, whatever number of events it holds."""

import re
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from appliance.domain.event import Frame
from appliance.errors import FatalError

_WRONG_BYTE = re.compile("[\udc80-\udcff]")
_SUBSTITUTE = "\x1a"  # a control character: no JSON text may hold it, inside of a string or outside


def to_arrow(frames: Sequence[Frame]) -> pa.Table:
    """Return ``frames`` as (first_seq int64, received_us int64, count int64, lines large_string).

    Bytes that are not UTF-8 are replaced so that their event, and no other, is unreadable as JSON.
    """
    raw = pa.array([frame.lines for frame in frames], pa.large_binary())
    try:
        lines = pc.cast(raw, pa.large_string())
    except pa.ArrowInvalid:
        lines = pa.array([_readable(frame.lines) for frame in frames], pa.large_string())
    return _table(frames, lines)


def check_lines(frames: Sequence[Frame]) -> None:
    """Return if each frame holds as many lines as it says. Raises FatalError: it does not."""
    for frame in frames:
        held = frame.lines.count(b"\n") + 1
        if held != frame.count:
            told = f"mapping the frame of event {frame.first_seq}: it says {frame.count} events and holds {held} lines"
            raise FatalError(told, hint="run 'dash-appliance verify'")


def _table(frames: Sequence[Frame], lines: pa.Array) -> pa.Table:
    return pa.table(
        {
            "first_seq": pa.array([frame.first_seq for frame in frames], pa.int64()),
            "received_us": pa.array([frame.received_us for frame in frames], pa.int64()),
            "count": pa.array([frame.count for frame in frames], pa.int64()),
            "lines": lines,
        }
    )


def damaged_to_arrow(frames: Sequence[Frame]) -> pa.Table:
    """Return those of ``frames`` that are damaged, as ``to_arrow`` does, with the reason instead of the lines."""
    damaged = [frame for frame in frames if frame.damaged is not None]
    return _table(damaged, pa.array([frame.damaged for frame in damaged], pa.large_string()))


def withdrawn(frames: Sequence[Frame]) -> pa.Array:
    """Return the sequence numbers of the events that are not to be refined."""
    return pa.array([seq for frame in frames for seq in frame.withdrawn], pa.int64())


def pieces(frames: Sequence[Frame], most_bytes: int) -> Iterator[list[Frame]]:
    """Yield ``frames`` in runs of at most ``most_bytes`` of lines each; a single event may be longer."""
    pending, run, size = list(reversed(frames)), list[Frame](), 0
    while pending:
        frame = pending.pop()
        if len(frame.lines) > most_bytes and frame.count > 1:
            (first,), (second,) = halves([frame])
            pending += [second, first]
            continue
        if run and size + len(frame.lines) > most_bytes:
            yield run
            run, size = [], 0
        run.append(frame)
        size += len(frame.lines)
    yield run


def halves(frames: Sequence[Frame]) -> tuple[list[Frame], list[Frame]]:
    """Return ``frames`` cut in two near the middle; a frame that stands alone is cut between its events."""
    if len(frames) > 1:
        middle = len(frames) // 2
        return list(frames[:middle]), list(frames[middle:])
    (frame,) = frames
    lines, first = frame.lines.split(b"\n"), frame.count // 2
    middle_seq = frame.first_seq + first
    head = replace(
        frame,
        count=first,
        lines=b"\n".join(lines[:first]),
        withdrawn=tuple(seq for seq in frame.withdrawn if seq < middle_seq),
    )
    tail = replace(
        frame,
        first_seq=middle_seq,
        count=frame.count - first,
        lines=b"\n".join(lines[first:]),
        withdrawn=tuple(seq for seq in frame.withdrawn if seq >= middle_seq),
    )
    return [head], [tail]


def _readable(lines: bytes) -> str:
    # Surrogate escapes mark each wrong byte (valid UTF-8 never decodes to one); then all of them become the substitute.
    return _WRONG_BYTE.sub(_SUBSTITUTE, lines.decode(errors="surrogateescape"))
