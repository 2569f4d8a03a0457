"""The job queue on the control plane's table: the same code on SQLite and on PostgreSQL."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, and_, case, exists, null, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from appliance.components.jobs import Claimant, Ending, Job, JobStore, NewJob, Standing
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import new_id
from appliance.domain.job import JobProgress, JobState
from appliance.storage.control.moment import moment
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import JobNeedRow, JobRow

_LEASE_FREE = {"owner": None, "lease_until": None}


def enqueue(tx: Session, job: NewJob, now: datetime) -> str | None:
    """Add ``job`` in the transaction of what it belongs to; see ``JobStore.enqueue``."""
    if job.unique_key is not None and tx.scalar(select(JobRow.id).where(JobRow.unique_key == job.unique_key)):
        return None
    row = JobRow(
        id=new_id("job"),
        state=JobState.READY.value,
        kind=job.kind,
        payload=job.payload,
        run_at=job.run_at or now,
        priority=job.priority,
        attempt=0,
        max_attempts=job.max_attempts,
        timeout_secs=job.timeout_secs,
        cancellable=job.cancellable,
        organisation_id=job.organisation_id,
        unique_key=job.unique_key,
        created_at=now,
    )
    try:
        with tx.begin_nested():
            tx.add(row)
            tx.flush()
            tx.add_all([JobNeedRow(job_id=row.id, capability=need) for need in dict.fromkeys(job.needs)])
    except IntegrityError:  # another node was quicker with the same key
        if job.unique_key is None:
            raise
        return None
    return row.id


class Jobs:
    """Claims lock the row they take and skip locked ones: nobody waits. SQLite has one writer at a time instead."""

    def __init__(self, plane: ControlPlane, clock: Clock = utc_now) -> None:
        """``clock`` counts where the database is in this process; one that is shared has its own."""
        self._plane = plane
        self._clock = clock

    def enqueue(self, job: NewJob) -> str | None:
        return self._plane.write_now(lambda tx: enqueue(tx, job, moment(tx, self._clock)), alone=False)

    def claim(self, claimant: Claimant, lease_secs: float) -> Job | None:
        return self._plane.write_now(lambda tx: self._claim(tx, claimant, lease_secs), alone=False)

    def _claim(self, tx: Session, claimant: Claimant, lease_secs: float) -> Job | None:
        now = moment(tx, self._clock)
        _settle_lost(tx, now)
        lacking = exists().where(JobNeedRow.job_id == JobRow.id, JobNeedRow.capability.not_in(claimant.offers))
        urgent = (
            select(JobRow.id)
            .where(_due(now), JobRow.kind.in_(claimant.kinds), ~lacking)
            .order_by(JobRow.priority.desc(), JobRow.run_at, JobRow.id)
            .limit(1)
            .with_for_update(of=JobRow, skip_locked=True)
            .scalar_subquery()
        )
        taken = {
            "state": JobState.RUNNING.value,
            "owner": claimant.owner,
            "lease_until": now + timedelta(seconds=lease_secs),
            "attempt": JobRow.attempt + 1,
            "started_at": now,
            "done": None,
            "total": None,
            "said": None,
        }
        row = tx.scalar(update(JobRow).where(JobRow.id == urgent).values(taken).returning(JobRow))
        return _job(row) if row is not None else None

    def report(self, job: Job, progress: JobProgress | None = None, lease_secs: float | None = None) -> Standing:
        if progress is None and lease_secs is None:
            return self._plane.read_now(lambda tx: _standing(tx, job))
        return self._plane.write_now(lambda tx: self._report(tx, job, progress, lease_secs), alone=False)

    def _report(self, tx: Session, job: Job, progress: JobProgress | None, lease_secs: float | None) -> Standing:
        values: dict[str, Any] = {}
        if progress is not None:
            values |= {"done": progress.done, "total": progress.total, "said": progress.text}
        if lease_secs is not None:
            values["lease_until"] = moment(tx, self._clock) + timedelta(seconds=lease_secs)
        tx.execute(update(JobRow).where(_mine(job)).values(values))
        return _standing(tx, job)

    def end(self, job: Job, ending: Ending) -> bool:
        return self._plane.write_now(lambda tx: self._end(tx, job, ending), alone=False)

    def _end(self, tx: Session, job: Job, ending: Ending) -> bool:
        now = moment(tx, self._clock)
        values: dict[str, Any] = {**_LEASE_FREE, "error": ending.error}
        if ending.state is JobState.READY and not ending.counted:
            values |= {"state": JobState.READY.value, "run_at": now, "attempt": JobRow.attempt - 1}
        elif ending.state is JobState.READY and job.attempt < job.max_attempts:
            values |= {"state": JobState.READY.value, "run_at": now + timedelta(seconds=ending.again_in_secs)}
        else:
            state = JobState.FAILED if ending.state is JobState.READY else ending.state
            values |= {"state": state.value, "finished_at": now}
        done = tx.execute(update(JobRow).where(_mine(job)).values(values))
        return isinstance(done, CursorResult) and done.rowcount == 1


def _due(now: datetime) -> ColumnElement[bool]:
    return or_(
        and_(JobRow.state == JobState.READY.value, JobRow.run_at <= now),
        and_(JobRow.state == JobState.RUNNING.value, JobRow.lease_until < now),
    )


def _settle_lost(tx: Session, now: datetime) -> None:
    """End what was lost by its owner and shall not be tried again: nobody is left to say so."""
    lost = and_(JobRow.state == JobState.RUNNING.value, JobRow.lease_until < now)
    unwanted = JobRow.cancel_asked_at.is_not(None)
    values = {
        **_LEASE_FREE,
        "state": case((unwanted, JobState.CANCELLED.value), else_=JobState.FAILED.value),
        "error": case((unwanted, null()), else_="the worker stopped without an answer"),
        "finished_at": now,
    }
    tx.execute(update(JobRow).where(lost, or_(unwanted, JobRow.attempt >= JobRow.max_attempts)).values(values))


def _standing(tx: Session, job: Job) -> Standing:
    asked = tx.execute(select(JobRow.cancel_asked_at).where(_mine(job))).one_or_none()
    if asked is None:
        return Standing.LOST
    return Standing.KEPT if asked[0] is None else Standing.UNWANTED


def _mine(job: Job) -> ColumnElement[bool]:
    return and_(
        JobRow.id == job.id,
        JobRow.owner == job.owner,
        JobRow.attempt == job.attempt,
        JobRow.state == JobState.RUNNING.value,
    )


def _job(row: JobRow) -> Job:
    if row.owner is None or row.lease_until is None:
        raise ValueError(f"job {row.id!r} was claimed and has no lease")
    return Job(
        id=row.id,
        kind=row.kind,
        payload=row.payload,
        attempt=row.attempt,
        max_attempts=row.max_attempts,
        owner=row.owner,
        lease_until=row.lease_until,
        timeout_secs=row.timeout_secs,
    )


_: type[JobStore] = Jobs
