"""A job: what it may be, and what of it people see while it runs."""

from enum import Enum

import msgspec

from appliance.domain.ids import NodeId
from appliance.errors import Conflict


class JobState(Enum):
    """``TRANSITIONS`` says what follows what; the last three are ends, from which a person may send it back."""

    READY = "ready"  # waits until it is due, and for somebody who offers what it needs
    RUNNING = "running"  # leased by an owner; claimable again when the lease has run out
    DONE = "done"
    FAILED = "failed"  # tried ``max_attempts`` times
    CANCELLED = "cancelled"  # by a person, or because the node that alone could do it is gone for good


TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.READY: frozenset({JobState.RUNNING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.RUNNING, JobState.READY, JobState.DONE, JobState.FAILED, JobState.CANCELLED}),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset({JobState.READY}),
    JobState.CANCELLED: frozenset({JobState.READY}),
}

ENDED = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})


# What comes by the clock, all day: of interest when it fails.
ROUTINE = frozenset({"drift.save", "storage.sample", "control.tidy", "retention.round", "replay.forget"})


class JobProgress(msgspec.Struct, frozen=True):
    """How far a job is. ``total`` None: nobody knows; ``text``: what it does at present, or did last."""

    done: int = 0
    total: int | None = None
    text: str = ""


def check_move(job_id: str, state: JobState, to: JobState) -> None:
    """Return if a job that is ``state`` may become ``to``.

    Raises:
        Conflict: it may not.
    """
    if to not in TRANSITIONS[state]:
        raise Conflict(f"job {job_id!r} is {state.value!r} and cannot become {to.value!r}: look at it again")


def on_node(node_id: NodeId) -> str:
    """Return the capability that this node alone offers: what a job names that works on the node's own disk."""
    return f"node:{node_id}"
