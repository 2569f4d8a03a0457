"""Jobs as people look at them: lists, one, cancelled, sent back; in the transaction of whoever asks."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from appliance.domain.clock import Clock
from appliance.domain.job import ROUTINE, JobProgress, JobState, check_move
from appliance.errors import Conflict, NotFound
from appliance.storage.control.moment import moment
from appliance.storage.control.tables import JobNeedRow, JobRow


class StoredJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job whatever its state. ``owner``: who works on it; ``needs``: what only some nodes offer."""

    id: str
    kind: str
    state: JobState
    priority: int
    run_at: datetime
    attempt: int
    max_attempts: int
    needs: tuple[str, ...]
    owner: str | None
    error: str | None
    progress: JobProgress | None
    timeout_secs: float | None
    cancellable: bool
    cancel_asked_at: datetime | None
    organisation_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobFilter(msgspec.Struct, frozen=True):
    """``states`` empty: all. ``before_id``: ids sort by the time of making, the newest comes first. ``routine``: also
    what comes by the clock all day, even where nothing went wrong with it."""

    states: tuple[JobState, ...] = ()
    kind: str | None = None
    before_id: str | None = None
    routine: bool = True


def page(
    tx: Session, organisation_id: str, wanted: JobFilter, limit: int, *, installation: bool = False
) -> list[StoredJob]:  # fmt: skip
    """Return up to ``limit`` jobs of the organisation, newest first. ``installation``: also those of the whole one."""
    query = select(JobRow).where(_visible(organisation_id, installation=installation))
    if wanted.states:
        query = query.where(JobRow.state.in_([state.value for state in wanted.states]))
    if wanted.kind is not None:
        query = query.where(JobRow.kind == wanted.kind)
    if not wanted.routine:
        usual = JobRow.kind.in_(sorted(ROUTINE)) & JobRow.state.in_([JobState.READY.value, JobState.DONE.value])
        query = query.where(~(usual & JobRow.error.is_(None)))
    if wanted.before_id is not None:
        query = query.where(JobRow.id < wanted.before_id)
    rows = tx.scalars(query.order_by(JobRow.id.desc()).limit(limit)).all()
    return _stored(tx, rows)


def find(
    tx: Session, organisation_id: str, job_id: str, *, installation: bool = False, lock: bool = False
) -> StoredJob:  # fmt: skip
    """Return one job. Raises NotFound: none, or not theirs."""
    wanted = select(JobRow).where(JobRow.id == job_id, _visible(organisation_id, installation=installation))
    row = tx.scalar(wanted.with_for_update() if lock else wanted)
    if row is None:
        raise NotFound(f"there is no job {job_id!r}")
    return _stored(tx, [row])[0]


def cancel(
    tx: Session, organisation_id: str, job_id: str, clock: Clock, *, installation: bool = False
) -> StoredJob:  # fmt: skip
    """Cancel a job that waits at once; have one that runs stop as soon as it can.

    Raises:
        NotFound: there is none.
        Conflict: it has ended, or may not be given up.
    """
    job = find(tx, organisation_id, job_id, installation=installation, lock=True)
    if job.cancel_asked_at is not None and job.state is JobState.RUNNING:
        return job
    check_move(job_id, job.state, JobState.CANCELLED)
    if not job.cancellable:
        raise Conflict(f"job {job_id!r} ({job.kind}) was promised to somebody and is not given up")
    now = moment(tx, clock)
    values: dict[str, Any] = {"cancel_asked_at": now}
    if job.state is JobState.READY:
        values |= {"state": JobState.CANCELLED.value, "finished_at": now}
    tx.execute(update(JobRow).where(JobRow.id == job_id).values(values))
    return _again(tx, job)


def retry(
    tx: Session, organisation_id: str, job_id: str, clock: Clock, *, installation: bool = False
) -> StoredJob:  # fmt: skip
    """Send a job that failed or was cancelled back, with all its attempts.

    Raises:
        NotFound: there is none.
        Conflict: it waits or runs, or it is done.
    """
    job = find(tx, organisation_id, job_id, installation=installation, lock=True)
    if job.state is JobState.RUNNING:
        raise Conflict(f"job {job_id!r} is 'running': it can be sent back when it has ended")
    check_move(job_id, job.state, JobState.READY)
    again = {
        "state": JobState.READY.value,
        "run_at": moment(tx, clock),
        "attempt": 0,
        "finished_at": None,
        "cancel_asked_at": None,
    }
    tx.execute(update(JobRow).where(JobRow.id == job_id).values(again))
    return _again(tx, job)


def _again(tx: Session, job: StoredJob) -> StoredJob:
    tx.expire_all()
    return _stored(tx, [tx.get_one(JobRow, job.id)])[0]


def _visible(organisation_id: str, *, installation: bool) -> ColumnElement[bool]:
    own = JobRow.organisation_id == organisation_id
    return or_(own, JobRow.organisation_id.is_(None)) if installation else own


def _stored(tx: Session, rows: Sequence[JobRow]) -> list[StoredJob]:
    needs: dict[str, list[str]] = {}
    asked = select(JobNeedRow.job_id, JobNeedRow.capability).where(JobNeedRow.job_id.in_([row.id for row in rows]))
    for job_id, capability in tx.execute(asked.order_by(JobNeedRow.capability)):
        needs.setdefault(job_id, []).append(capability)
    return [_one(row, tuple(needs.get(row.id, ()))) for row in rows]


def _one(row: JobRow, needs: tuple[str, ...]) -> StoredJob:
    return StoredJob(
        id=row.id,
        kind=row.kind,
        state=JobState(row.state),
        priority=row.priority,
        run_at=row.run_at,
        attempt=row.attempt,
        max_attempts=row.max_attempts,
        needs=needs,
        owner=row.owner,
        error=row.error,
        progress=None if row.done is None else JobProgress(row.done, row.total, row.said or ""),
        timeout_secs=row.timeout_secs,
        cancellable=row.cancellable,
        cancel_asked_at=row.cancel_asked_at,
        organisation_id=row.organisation_id,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
