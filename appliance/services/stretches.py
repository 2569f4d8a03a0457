"""Stretches of a pipeline's Bronze that somebody wants to look at: by time, by number, or the newest ones."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from appliance.components.bronze import BronzeLog
from appliance.components.partitions import logs_of
from appliance.domain.event import Frame
from appliance.domain.ids import PipelineId
from appliance.engine.batches import after
from appliance.errors import Invalid, Problem
from appliance.services.moments import parse_moment

MOST_BYTES: Final = 64 << 20  # of lines, in one look
_READ_BYTES: Final = 16 << 20
_KINDS: Final = "'from' and 'to', or 'first_seq' and 'last_seq', or 'last'"

Sequence = Annotated[int, Meta(ge=1, le=2**53)]


class Stretch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Events received from one moment until before another, or with these numbers, or the ``last`` so many."""

    from_: Annotated[str, Meta(examples=["now-1d"])] | None = msgspec.field(default=None, name="from")
    to: Annotated[str, Meta(examples=["now"])] | None = None
    first_seq: Sequence | None = None
    last_seq: Sequence | None = None
    last: Sequence | None = None


class Found(msgspec.Struct, frozen=True):
    """The newest events of a stretch, as many as were wanted, in order of their numbers; ``matching``: how many the
    stretch has. Of several partitions the newest are those received last."""

    frames: list[Frame]
    matching: int

    @property
    def events(self) -> int:
        return sum(frame.count for frame in self.frames)


def problems_of(stretch: Stretch, pointer: str) -> list[Problem]:
    """Return what is wrong with ``stretch``: it names its events in one of three ways."""
    kinds = [
        stretch.from_ is not None or stretch.to is not None,
        stretch.first_seq is not None or stretch.last_seq is not None,
        stretch.last is not None,
    ]
    if sum(kinds) != 1:
        return [Problem(pointer, f"expected one of {_KINDS}")]
    if stretch.first_seq is not None and stretch.last_seq is not None and stretch.first_seq > stretch.last_seq:
        told = f"'first_seq' is {stretch.first_seq:,} and 'last_seq' is {stretch.last_seq:,}"
        return [Problem(f"{pointer}/first_seq", f"{told}: no event is between them", "exchange them")]
    return []


def find(bronze: BronzeLog, pipeline_id: PipelineId, stretch: Stretch, most: int, now: datetime) -> Found:
    """Return the newest ``most`` events of ``stretch``, over all partitions; blocking.

    Raises:
        Invalid: a moment that is none.
        TransientError: a node that holds some of them does not answer.
    """
    logs = logs_of(bronze, pipeline_id)
    frames: list[Frame] = []
    matching = 0
    for log in logs:
        first, last = _bounds(log, pipeline_id, stretch, now)
        matching += max(0, last - first + 1)
        frames += _read(log, pipeline_id, (max(first, last - most + 1), last), MOST_BYTES // len(logs))
    if stretch.last is not None:
        matching, most = min(matching, stretch.last), min(most, stretch.last)
    return Found(_newest(frames, most), matching)


def stored(bronze: BronzeLog, pipeline_id: PipelineId) -> int:
    """Return how many events Bronze holds, in all partitions; blocking. Raises as ``find``."""
    logs = logs_of(bronze, pipeline_id)
    return sum(log.last_seq(pipeline_id) - log.upkeep.first_seq(pipeline_id) + 1 for log in logs)


def _bounds(bronze: BronzeLog, pipeline_id: PipelineId, stretch: Stretch, now: datetime) -> tuple[int, int]:
    oldest, newest = bronze.upkeep.first_seq(pipeline_id), bronze.last_seq(pipeline_id)
    if stretch.last is not None:
        return max(oldest, newest - stretch.last + 1), newest
    if stretch.from_ is None and stretch.to is None:
        return max(oldest, stretch.first_seq or oldest), min(newest, stretch.last_seq or newest)
    start, end = _moments(stretch, now)
    seq_at = bronze.upkeep.seq_at
    first = seq_at(pipeline_id, start) if start is not None else oldest
    return max(oldest, first), seq_at(pipeline_id, end) - 1 if end is not None else newest


def _moments(stretch: Stretch, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Return both ends of a stretch of time; None: open. Raises Invalid."""
    found: list[datetime | None] = []
    problems: list[Problem] = []
    for name, text in (("from", stretch.from_), ("to", stretch.to)):
        try:
            found.append(parse_moment(text, now) if text is not None else None)
        except ValueError as error:
            problems.append(Problem(f"/range/{name}", str(error)))
    if problems:
        raise Invalid(problems)
    return found[0], found[1]


def _read(bronze: BronzeLog, pipeline_id: PipelineId, span: tuple[int, int], most_bytes: int) -> list[Frame]:
    frames: list[Frame] = []
    first, last = span
    size, at = 0, first - 1
    while at < last and size < most_bytes:
        found = bronze.read(pipeline_id, at, last - at, _READ_BYTES)
        if not found or found[0].first_seq > last:
            break
        frames += found
        size += sum(len(frame.lines) for frame in found)
        at = found[-1].last_seq
    return frames


def _newest(frames: list[Frame], most: int) -> list[Frame]:
    """Return the ``most`` events received last, in order of their numbers."""
    if sum(frame.count for frame in frames) <= most:
        return frames
    kept: list[Frame] = []
    for frame in sorted(frames, key=lambda one: (one.received_us, one.first_seq), reverse=True):
        if most <= 0:
            break
        kept += after([frame], frame.last_seq - most)
        most -= frame.count
    return sorted(kept, key=lambda one: one.first_seq)
