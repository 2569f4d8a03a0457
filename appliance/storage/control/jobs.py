"""The job queue on the control plane's table: the same code on SQLite and on PostgreSQL."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, and_, or_, select, update
from sqlalchemy.orm import Session

from appliance.components.jobs import Job, JobState, JobStore, NewJob
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import new_id
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import JobRow


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
        unique_key=job.unique_key,
        created_at=now,
    )
    tx.add(row)
    return row.id


class Jobs:
    """Claims lock the row they take and skip locked ones; SQLite has one writer at a time instead."""

    def __init__(self, plane: ControlPlane, clock: Clock = utc_now) -> None:
        self._plane = plane
        self._clock = clock

    def enqueue(self, job: NewJob) -> str | None:
        return self._plane.write_now(lambda tx: enqueue(tx, job, self._clock()))

    def claim(self, owner: str, kinds: Collection[str], lease_secs: float) -> Job | None:
        return self._plane.write_now(lambda tx: self._claim(tx, owner, kinds, lease_secs))

    def _claim(self, tx: Session, owner: str, kinds: Collection[str], lease_secs: float) -> Job | None:
        now = self._clock()
        self._give_up(tx)
        due = or_(
            and_(JobRow.state == JobState.READY.value, JobRow.run_at <= now),
            and_(JobRow.state == JobState.RUNNING.value, JobRow.lease_until < now),
        )
        urgent = (
            select(JobRow.id)
            .where(due, JobRow.kind.in_(kinds))
            .order_by(JobRow.priority.desc(), JobRow.run_at, JobRow.id)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        taken = {
            "state": JobState.RUNNING.value,
            "owner": owner,
            "lease_until": now + timedelta(seconds=lease_secs),
            "attempt": JobRow.attempt + 1,
        }
        row = tx.scalar(update(JobRow).where(JobRow.id == urgent).values(taken).returning(JobRow))
        return _job(row) if row is not None else None

    def _give_up(self, tx: Session) -> None:
        """Fail what was lost by its owner on the last attempt: nobody is left to say so."""
        now = self._clock()
        lost = and_(JobRow.state == JobState.RUNNING.value, JobRow.lease_until < now)
        values = {"state": JobState.FAILED.value, "error": "the worker stopped without an answer", "finished_at": now}
        tx.execute(update(JobRow).where(lost, JobRow.attempt >= JobRow.max_attempts).values(values))

    def extend(self, job: Job, lease_secs: float) -> bool:
        return self._change(job, {"lease_until": self._clock() + timedelta(seconds=lease_secs)})

    def finish(self, job: Job) -> bool:
        return self._change(job, {"state": JobState.DONE.value, "finished_at": self._clock(), "error": None})

    def fail(self, job: Job, error: str, retry_in_secs: float) -> bool:
        now = self._clock()
        if job.attempt >= job.max_attempts:
            return self._change(job, {"state": JobState.FAILED.value, "finished_at": now, "error": error})
        again = {"state": JobState.READY.value, "run_at": now + timedelta(seconds=retry_in_secs), "owner": None}
        return self._change(job, {**again, "error": error})

    def _change(self, job: Job, values: dict[str, Any]) -> bool:
        def work(tx: Session) -> bool:
            done = tx.execute(update(JobRow).where(_mine(job)).values(values))
            return isinstance(done, CursorResult) and done.rowcount == 1

        return self._plane.write_now(work)


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
    )


_: type[JobStore] = Jobs
