"""The contract of the job queue: work that must be done once, later, and survives a crash of who does it."""

from collections.abc import Collection
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

import msgspec


class JobState(Enum):
    READY = "ready"
    RUNNING = "running"  # leased by an owner; claimable again when the lease has run out
    DONE = "done"
    FAILED = "failed"  # tried ``max_attempts`` times


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed job. ``attempt`` counts from 1; with ``owner`` it fences ``finish`` and ``fail``."""

    id: str
    kind: str
    payload: dict[str, Any]
    attempt: int
    max_attempts: int
    owner: str
    lease_until: datetime


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """``unique_key``: at most one job with it is ever accepted (``kind:slot`` makes a cron). ``run_at`` None: now."""

    kind: str
    payload: dict[str, Any] = {}
    run_at: datetime | None = None
    priority: int = 0  # higher first
    unique_key: str | None = None
    max_attempts: int = 5


class JobStore(Protocol):
    """All jobs of the installation. Blocking: call from a thread. Any method may raise TransientError."""

    def enqueue(self, job: NewJob) -> str | None:
        """Add ``job`` and return its id; None: one with this unique key was accepted before."""
        ...

    def claim(self, owner: str, kinds: Collection[str], lease_secs: float) -> Job | None:
        """Lease the most urgent job that is due, for ``lease_secs``; None: there is none. Nobody else gets it."""
        ...

    def extend(self, job: Job, lease_secs: float) -> bool:
        """Lease on, from now; False: the lease was lost, stop working."""
        ...

    def finish(self, job: Job) -> bool:
        """Mark as done; False: the lease was lost and somebody else may be doing it again."""
        ...

    def fail(self, job: Job, error: str, retry_in_secs: float) -> bool:
        """Try again in ``retry_in_secs``, or give up after the last attempt; False: the lease was lost."""
        ...
