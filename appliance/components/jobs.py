"""The contract of the job queue: work that must be done once, later, and survives a crash of who does it."""

from datetime import datetime
from enum import Enum
from typing import Any, Final, Protocol

import msgspec

from appliance.domain.job import JobProgress, JobState


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed job. ``attempt`` counts from 1; with ``owner`` it fences whatever is said of the job later."""

    id: str
    kind: str
    payload: dict[str, Any]
    attempt: int
    max_attempts: int
    owner: str
    lease_until: datetime
    timeout_secs: float | None = None


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """``unique_key``: at most one job with it is ever accepted (``kind:slot`` makes a cron). ``run_at`` None: now.

    ``needs``: capabilities; only who offers all of them gets the job. ``timeout_secs``: what one attempt may take.
    ``organisation_id`` None: it concerns the whole installation. ``cancellable`` False: nobody may give it up.
    """

    kind: str
    payload: dict[str, Any] = {}
    run_at: datetime | None = None
    priority: int = 0  # higher first
    unique_key: str | None = None
    max_attempts: int = 5
    needs: tuple[str, ...] = ()
    timeout_secs: float | None = None
    organisation_id: str | None = None
    cancellable: bool = True


class Claimant(msgspec.Struct, frozen=True):
    """Who asks for a job: ``owner`` names it for good, and it does ``kinds`` that need nothing but ``offers``."""

    owner: str
    kinds: tuple[str, ...]
    offers: frozenset[str] = frozenset()


class Standing(Enum):
    """How it stands between a job and who works on it."""

    KEPT = "kept"
    UNWANTED = "unwanted"  # somebody asked to cancel it: stop, and say so
    LOST = "lost"  # the lease ran out, or the job was taken back: stop, and say nothing


class Ending(msgspec.Struct, frozen=True):
    """How an attempt ended. READY: again in ``again_in_secs``; where it was the last attempt, that is FAILED.

    ``counted`` False: the attempt does not count, it was given back in order.
    """

    state: JobState
    error: str | None = None
    again_in_secs: float = 0.0
    counted: bool = True


DONE: Final = Ending(JobState.DONE)
GIVEN_BACK: Final = Ending(JobState.READY, counted=False)
CANCELLED: Final = Ending(JobState.CANCELLED)


class JobStore(Protocol):
    """All jobs of the installation. Blocking: call from a thread. Any method may raise TransientError."""

    def enqueue(self, job: NewJob) -> str | None:
        """Add ``job`` and return its id; None: one with this unique key was accepted before."""
        ...

    def claim(self, claimant: Claimant, lease_secs: float) -> Job | None:
        """Lease the most urgent job that is due, for ``lease_secs``; None: there is none. Nobody else gets it."""
        ...

    def report(self, job: Job, progress: JobProgress | None = None, lease_secs: float | None = None) -> Standing:
        """Say how far it is, and lease on from now; return how it stands. Without either nothing is written."""
        ...

    def end(self, job: Job, ending: Ending) -> bool:
        """End the attempt; False: the lease was lost and somebody else may be doing it again."""
        ...
