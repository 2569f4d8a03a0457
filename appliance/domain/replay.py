"""A replay: history refined again beside the rows in use, then exchanged in one step (decision 0013)."""

from datetime import datetime
from enum import Enum

import msgspec

from appliance.domain.ids import OrganisationId, PipelineId
from appliance.errors import Conflict


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
    ReplayState.READY: frozenset(
        {ReplayState.REBUILDING, ReplayState.SWAPPING, ReplayState.CANCELLED, ReplayState.FAILED}
    ),
    ReplayState.SWAPPING: frozenset({ReplayState.SWAPPED, ReplayState.REBUILDING, ReplayState.FAILED}),
    ReplayState.SWAPPED: frozenset({ReplayState.UNDONE}),
    ReplayState.CANCELLED: frozenset(),
    ReplayState.FAILED: frozenset({ReplayState.WAITING}),
    ReplayState.UNDONE: frozenset(),
}

UNFINISHED = frozenset({ReplayState.WAITING, ReplayState.REBUILDING, ReplayState.READY, ReplayState.SWAPPING})


class Part(msgspec.Struct, frozen=True):
    """The events of one partition that are refined again; ``last_seq`` None: from the first on with the log."""

    first_seq: int
    last_seq: int | None = None


class Wish(Enum):
    """What somebody asks of a replay that another node carries out."""

    SWAP = "swap"
    CANCEL = "cancel"
    UNDO = "undo"


class ReplayProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a replay is. ``rate_per_sec`` over the last ten seconds; ``secs_left`` None: not known yet."""

    done_events: int
    total_events: int
    rate_per_sec: float
    secs_left: float | None
    throttled: bool  # held back at present, in favour of live traffic


class Told(msgspec.Struct, frozen=True):
    """What the node that carries a replay out said of it last, for the others to show."""

    progress: ReplayProgress | None = None
    error: str | None = None


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """``version``: refined by, and the pipeline's own once it is swapped in.

    ``first_seq``/``last_seq``: a range of events (both given, by ``splice``), or None: everything, and on with the log.
    ``parts``: of each partition, ascending; of a whole replay known when it has begun.
    ``era``: the pipeline's by what it did last, ``next_era``: by what it is about to do (``Generation.era``).
    ``wish``, ``told``: see there; kept by the book beside what whoever carries it out saves.
    ``resend``: downstream readers are handed the new rows as well.
    ``former_version``: the pipeline's when the replay was asked for, and what undoing goes back to.
    ``identical``: of a whole replay by the version in use, whether it gave the rows there were; None: not compared.
    ``fingerprint``: of the shadow before an exchange of a range, so that a crash leaves no doubt whether it was done.
    ``undoing``: undoing was begun; after a crash it is finished.
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
    identical: bool | None = None
    fingerprint: str | None = None
    undoing: bool = False
    parts: tuple[Part, ...] = ()
    era: int = 0
    next_era: int = 0
    wish: Wish | None = None
    told: Told | None = None

    @property
    def whole(self) -> bool:
        return self.first_seq is None

    @property
    def range(self) -> tuple[Part, ...]:
        """Return the events it exchanges, by partition; of a whole replay nothing."""
        if self.first_seq is None:
            return ()
        return self.parts or (Part(self.first_seq, self.last_seq),)

    @property
    def unfinished(self) -> bool:
        return self.state in UNFINISHED

    def to(self, state: ReplayState) -> "Replay":
        """Return the replay in ``state``.

        Raises:
            Conflict: that does not follow its state.
        """
        if state not in TRANSITIONS[self.state]:
            raise Conflict(f"a replay that is {self.state.value!r} cannot become {state.value!r}: look at it again")
        return msgspec.structs.replace(self, state=state)
