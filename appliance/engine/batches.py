"""Batches as Silver takes them: events of one day, refined by one version; and those that Bronze no longer has."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

import msgspec

from appliance.components.arrow import DEAD_SCHEMA
from appliance.components.mapper import CompiledMapping, Mapped, Mapper
from appliance.components.silver import Batch, Table
from appliance.domain.event import Frame
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.errors import FrozenError

DAY_US: Final = 86_400_000_000
NOWHEN: Final = date(1970, 1, 1)  # the day of events that are gone: when they were received is not known any more
NO_VERSION: Final = 0  # of what no version refined


@dataclass(frozen=True, slots=True)
class Course:
    """What refining needs to know of one pipeline in one version."""

    pipeline_id: PipelineId
    version: int
    compiled: CompiledMapping
    table: Table
    persist: bool


def one_day(frames: Sequence[Frame]) -> list[Frame]:
    """Return the first of ``frames`` (in order, not empty) that were received on one day, UTC."""
    day = frames[0].received_us // DAY_US
    if frames[-1].received_us // DAY_US == day and all(frame.received_us // DAY_US == day for frame in frames):
        return list(frames)
    last = next(place for place, frame in enumerate(frames) if frame.received_us // DAY_US != day)
    return list(frames[:last])


def after(frames: Sequence[Frame], seq: int) -> list[Frame]:
    """Return the events of ``frames`` above ``seq``."""
    return [_tail(frame, seq) for frame in frames if frame.last_seq > seq]


def _tail(frame: Frame, seq: int) -> Frame:
    skip = seq + 1 - frame.first_seq
    if skip <= 0:
        return frame
    lines = frame.lines.split(b"\n", skip)[skip] if frame.lines else b""
    kept = tuple(one for one in frame.withdrawn if one > seq)
    of = (frame.delivery_id, frame.delivery_seq)
    return Frame(seq + 1, frame.count - skip, frame.received_us, lines, kept, frame.damaged, *of)


def batch_of(course: Course, mapped: Mapped, received_us: int) -> Batch:
    """Return what is committed of ``mapped``, whose events were received on the day of ``received_us``.

    Raises:
        FrozenError: there is nothing to commit, for the first event differs from a frozen mapping.
    """
    if mapped.stopped is not None and mapped.last_seq < mapped.first_seq:
        hint = "change the mapping or its contract, or erase the event, then resume"
        raise FrozenError(mapped.stopped, hint, mapped.first_seq)
    rows, outcome = mapped.rows, mapped.outcome
    if not course.persist:  # shown live, kept in Bronze, left out of Silver on the user's word
        rows = rows.slice(0, 0)
        outcome = msgspec.structs.replace(outcome, stored=0, filtered=outcome.filtered + outcome.stored)
    day = datetime.fromtimestamp(received_us // 1_000_000, UTC).date()
    first, last = mapped.first_seq, mapped.last_seq
    return Batch(course.table, course.version, first, last, rows, mapped.dead, outcome, day)


def gap_batch(course: Course, mapper: Mapper, first_seq: int, last_seq: int) -> Batch:
    """Return what stands for events that have expired from Bronze and are not refined (decision 0013).

    They count as filtered, in a span of no day and no version, so that the ledger balances and says which they are.
    """
    nothing = mapper.run(course.compiled, [Frame(first_seq, 1, 0, b"null", withdrawn=(first_seq,))], NO_VERSION)
    rows, outcome = nothing.rows.slice(0, 0), Outcome(filtered=last_seq - first_seq + 1)
    return Batch(course.table, NO_VERSION, first_seq, last_seq, rows, DEAD_SCHEMA.empty_table(), outcome, NOWHEN)
