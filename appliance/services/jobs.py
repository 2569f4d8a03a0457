"""Jobs as people see them: what waits, runs and has ended; cancelled, and sent back."""

from datetime import datetime

import msgspec
from sqlalchemy.orm import Session

from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.job import JobProgress, JobState
from appliance.engine.bells import Bell
from appliance.services.paging import bounded, cursor_of, place_of
from appliance.services.views import Page
from appliance.storage.control import job_book as book
from appliance.storage.control import nodes
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.job_book import JobFilter, StoredJob
from appliance.storage.control.plane import ControlPlane

__all__ = ["JobFilter", "JobView", "Jobs"]


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """``node``: the name of the node that works on it, or that alone could. ``cancelling``: it was told to stop.

    ``progress`` and ``started_at``: of the last attempt. ``error``: how that failed. ``installation``: it is no single
    organisation's.
    """

    id: str
    kind: str
    state: JobState
    priority: int
    run_at: datetime
    attempt: int
    max_attempts: int
    needs: list[str]
    node: str | None
    progress: JobProgress | None
    error: str | None
    timeout_secs: float | None
    cancellable: bool
    cancelling: bool
    installation: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Jobs:
    """``bell``: rung when something was sent back, so that it need not wait for the next look."""

    def __init__(self, plane: ControlPlane, bell: Bell, clock: Clock = utc_now) -> None:
        self._plane, self.bell, self._clock = plane, bell, clock

    async def list(
        self,
        who: Principal,
        wanted: JobFilter = JobFilter(),  # noqa: B008 - frozen
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[JobView]:
        """Return jobs of the organisation, newest first, and of the installation to whoever operates it. Raises
        Invalid."""
        require(who, Action.JOB_READ)
        before = place_of(cursor, tuple[str])[0] if cursor is not None else None
        wanted, more = msgspec.structs.replace(wanted, before_id=before), bounded(limit) + 1

        def read(tx: Session) -> tuple[list[StoredJob], dict[str, str]]:
            return book.page(tx, who.organisation_id, wanted, more, installation=who.operates), self._names(tx, who)

        found, names = await self._plane.read(read)
        end = cursor_of([found[limit - 1].id]) if len(found) > limit else None
        return Page([_view(one, names) for one in found[:limit]], end)

    async def get(self, who: Principal, job_id: str) -> JobView:
        """Return one job. Raises NotFound."""
        require(who, Action.JOB_READ)

        def read(tx: Session) -> JobView:
            return self._view(tx, who, book.find(tx, who.organisation_id, job_id, installation=who.operates))

        return await self._plane.read(read)

    async def cancel(self, who: Principal, job_id: str) -> JobView:
        """Cancel one that waits; have one that runs stop, which it does within seconds where it can.

        Raises:
            NotFound: there is none.
            Conflict: it has ended, or may not be given up.
        """
        require(who, Action.JOB_MANAGE)

        def work(tx: Session) -> JobView:
            job = book.cancel(tx, who.organisation_id, job_id, self._clock, installation=who.operates)
            return self._noted(tx, who, "job.cancel", job)

        return await self._plane.write(work)

    async def retry(self, who: Principal, job_id: str) -> JobView:
        """Send one that failed or was cancelled back, with all its attempts.

        Raises:
            NotFound: there is none.
            Conflict: it waits or runs, or it is done.
        """
        require(who, Action.JOB_MANAGE)

        def work(tx: Session) -> JobView:
            job = book.retry(tx, who.organisation_id, job_id, self._clock, installation=who.operates)
            return self._noted(tx, who, "job.retry", job)

        view = await self._plane.write(work)
        self.bell.ring()
        return view

    def _noted(self, tx: Session, who: Principal, action: str, job: StoredJob) -> JobView:
        deed = Deed(
            organisation_id=who.organisation_id, who=who.name, action=action, target=job.id, detail={"kind": job.kind}
        )
        record(tx, deed, self._clock())
        return self._view(tx, who, job)

    def _view(self, tx: Session, who: Principal, job: StoredJob) -> JobView:
        return _view(job, self._names(tx, who))

    def _names(self, tx: Session, who: Principal) -> dict[str, str]:
        """Return what nodes are called: others than the operators are told their ids alone."""
        if not who.operates:
            return {}
        return {one.card.id: one.card.name for one in nodes.all_nodes(tx, self._clock)}


def _view(job: StoredJob, names: dict[str, str]) -> JobView:
    alone = next((need.removeprefix("node:") for need in job.needs if need.startswith("node:")), None)
    node_id = job.owner.partition("/")[0] if job.owner else alone
    return JobView(
        id=job.id,
        kind=job.kind,
        state=job.state,
        priority=job.priority,
        run_at=job.run_at,
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        needs=list(job.needs),
        node=names.get(node_id, node_id) if node_id else None,
        progress=job.progress,
        error=job.error,
        timeout_secs=job.timeout_secs,
        cancellable=job.cancellable,
        cancelling=job.cancel_asked_at is not None and job.state is JobState.RUNNING,
        installation=job.organisation_id is None,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )
