"""A replay: history refined again beside the rows in use, then exchanged in one step."""

from datetime import datetime
from enum import Enum

import msgspec

from appliance.domain.ids import OrganisationId, PipelineId


class ReplayState(Enum):
    """``TRANSITIONS`` says what follows what; the last four are ends, except that SWAPPED may still be UNDONE."""

    WAITING = "waiting"  # another replay of the organisation runs
    REBUILDING = "rebuilding"
    READY = "ready"  # rebuilt and kept up with the log; waits for somebody to swap it in
    SWAPPING = "swapping"
    SWAPPED = "swapped"  # the former rows are kept until ``undo_until``
    CANCELLED = "cancelled"
    FAILED = "failed"
    UNDONE = "undone"


TRANSITIONS: dict[ReplayState, frozenset[ReplayState]] = {
    ReplayState.WAITING: frozenset({ReplayState.REBUILDING, ReplayState.CANCELLED, ReplayState.FAILED}),
    ReplayState.REBUILDING: frozenset(
        {ReplayState.READY, ReplayState.SWAPPING, ReplayState.CANCELLED, ReplayState.FAILED}
    ),
    ReplayState.READY: frozenset({ReplayState.SWAPPING, ReplayState.CANCELLED, ReplayState.FAILED}),
    ReplayState.SWAPPING: frozenset({ReplayState.SWAPPED, ReplayState.REBUILDING, ReplayState.FAILED}),
    ReplayState.SWAPPED: frozenset({ReplayState.UNDONE}),
    ReplayState.CANCELLED: frozenset(),
    ReplayState.FAILED: frozenset({ReplayState.WAITING}),
    ReplayState.UNDONE: frozenset(),
}


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """``version``: refined by, and the pipeline's own once it is swapped in.

    ``first_seq``/``last_seq``: a range of events (both given, by ``splice``), or None: everything, and on with the log.
    ``resend``: downstream readers are handed the new rows as well.
    """

    id: str
    organisation_id: OrganisationId
    pipeline_id: PipelineId
    version: int
    state: ReplayState
    created_by: str
    created_at: datetime
    first_seq: int | None = None
    last_seq: int | None = None
    swap: bool = True  # by itself when rebuilt; False: READY until told
    resend: bool = False
    generation: int | None = None
    former_generation: int | None = None
    former_version: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    undo_until: datetime | None = None
    error: str | None = None


class ReplayProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a replay is. ``rate_per_sec`` over the last ten seconds; ``secs_left`` None: not known yet."""

    done_events: int
    total_events: int
    rate_per_sec: float
    secs_left: float | None
    throttled: bool  # held back at present, in favour of live traffic
