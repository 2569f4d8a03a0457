"""An erasure: which events are to be erased for good, and how far that is. It never holds what is erased."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum
from typing import Any

import msgspec

from appliance.domain.ids import NodeId, OrganisationId, PipelineId

Range = tuple[int, int]  # first and last event


class ErasureState(Enum):
    """``TRANSITIONS`` says what follows what. A job that fails is tried again: its state stays."""

    WAITING = "waiting"
    FINDING = "finding"
    FOUND = "found"  # the end of a dry run
    ERASING = "erasing"
    CONFIRMING = "confirming"  # erased; looked at once more for what was under way at that moment
    DONE = "done"


TRANSITIONS: dict[ErasureState, frozenset[ErasureState]] = {
    ErasureState.WAITING: frozenset({ErasureState.FINDING}),
    ErasureState.FINDING: frozenset({ErasureState.FOUND, ErasureState.ERASING}),
    ErasureState.FOUND: frozenset(),
    ErasureState.ERASING: frozenset({ErasureState.CONFIRMING}),
    ErasureState.CONFIRMING: frozenset({ErasureState.DONE}),
    ErasureState.DONE: frozenset(),
}


class PayloadCondition(msgspec.Struct, frozen=True):
    """The value at ``path`` (JSONPath; ``[*]`` means any) in the event as it was received is one of ``values``."""

    path: str
    values: tuple[Any, ...]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be erased of one pipeline. ``derived``: its events came from rows of another target.

    ``searched``: the last event that was looked at, of each partition that answered. ``rows``: in Silver, of all these
    events.
    """

    pipeline_id: PipelineId
    derived: bool
    ranges: tuple[Range, ...]
    searched: tuple[int, ...] = ()
    rows: int = 0
    segments: int = 0
    erased: bool = False

    @property
    def events(self) -> int:
        return count(self.ranges)


class Awaited(msgspec.Struct, frozen=True):
    """A node that keeps events and did not answer, as ``told``: what is at it is not erased yet."""

    node_id: NodeId
    name: str
    told: str


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """``wanted``: what to look for, sealed; gone when every node was searched. ``chosen_by``: rows, payload, seqs.

    It is one over all nodes, whichever of them carries it out, and not done before none is waited for.
    """

    id: str
    organisation_id: OrganisationId
    state: ErasureState
    dry_run: bool
    reason: str
    chosen_by: tuple[str, ...]
    pipelines: tuple[PipelineId, ...]
    created_by: str
    created_at: datetime
    wanted: str | None = None
    targets: tuple[Target, ...] = ()
    notes: tuple[str, ...] = ()
    searched_events: int = 0
    total_events: int = 0
    erased_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None  # why the last attempt failed; it is tried again
    waits_for: tuple[Awaited, ...] = ()


def moved(erasure: Erasure, state: ErasureState, **changes: Any) -> Erasure:
    """Return ``erasure`` in ``state``.

    Raises:
        ValueError: that does not follow.
    """
    if state is not erasure.state and state not in TRANSITIONS[erasure.state]:
        raise ValueError(f"an erasure that is {erasure.state.value} cannot become {state.value}")
    return msgspec.structs.replace(erasure, state=state, **changes)


def ranges_of(seqs: Iterable[int]) -> tuple[Range, ...]:
    """Return ``seqs``, in any order and perhaps twice, as ranges, ascending and apart."""
    ranges: list[Range] = []
    for seq in sorted(set(seqs)):
        if ranges and ranges[-1][1] == seq - 1:
            ranges[-1] = (ranges[-1][0], seq)
        else:
            ranges.append((seq, seq))
    return tuple(ranges)


def members(ranges: Sequence[Range]) -> list[int]:
    """Return every event of ``ranges``, ascending."""
    return [seq for first, last in ranges for seq in range(first, last + 1)]


def count(ranges: Sequence[Range]) -> int:
    return sum(last - first + 1 for first, last in ranges)


def joined(*parts: Sequence[Range]) -> tuple[Range, ...]:
    """Return the union."""
    return ranges_of(seq for ranges in parts for seq in members(ranges))
