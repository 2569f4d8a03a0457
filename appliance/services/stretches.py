"""Stretches of a pipeline's Bronze that somebody wants to look at: by time, by number, or the newest ones."""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from appliance.components.bronze import BronzeLog
from appliance.domain.event import Frame
from appliance.domain.ids import PipelineId
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
    """The newest events of a stretch, as many as were wanted; ``matching``: how many the stretch has."""

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
    """Return the newest ``most`` events of ``stretch``; blocking.

    Raises:
        Invalid: a moment that is none.
    """
    first, last = _bounds(bronze, pipeline_id, stretch, now)
    matching = max(0, last - first + 1)
    return Found(_read(bronze, pipeline_id, max(first, last - most + 1), last), matching)


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


def _read(bronze: BronzeLog, pipeline_id: PipelineId, first: int, last: int) -> list[Frame]:
    frames: list[Frame] = []
    size, after = 0, first - 1
    while after < last and size < MOST_BYTES:
        found = bronze.read(pipeline_id, after, last - after, _READ_BYTES)
        if not found or found[0].first_seq > last:
            break
        frames += found
        size += sum(len(frame.lines) for frame in found)
        after = found[-1].last_seq
    return frames
