"""Beside a job that runs: keeps its lease, writes how far it is, and has it stop when it must."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import structlog

from appliance.components.jobs import Job, JobStore, Standing
from appliance.domain.clock import elapsed_secs
from appliance.engine.attempt import Attempt, Stop
from appliance.engine.workers import Workers
from appliance.errors import DashError


class Pace(NamedTuple):
    """How long a lease lasts, how long before its end work that could not keep it is told to stop; the time between two
    writes of progress, between two looks whether somebody cancelled it, and for a coroutine to stop by itself."""

    lease_secs: float = 60.0
    margin_secs: float = 10.0
    step_secs: float = 1.0
    look_secs: float = 2.0
    grace_secs: float = 10.0


USUAL: Final = Pace()
Work = Callable[[Attempt], None] | Callable[[Attempt], Awaitable[None]]

log = structlog.get_logger("jobs")


class Claimed(NamedTuple):
    """A job, and the moment before it was asked for."""

    job: Job
    asked_at: float


class Watch:
    """One attempt under watch. The lease is counted from before it was asked for, by a clock that nobody can set."""

    def __init__(
        self, store: JobStore, workers: Workers, claimed: Claimed, attempt: Attempt, pace: Pace = USUAL
    ) -> None:
        self.job = claimed.job
        self._store, self._workers, self._attempt, self._pace = store, workers, attempt, pace
        self._began = self._leased = self._looked = claimed.asked_at
        self._stopped_at: float | None = None

    @property
    def lost(self) -> bool:
        """Return whether the job is somebody else's by now."""
        return self._attempt.stop is Stop.LOST

    @property
    def held(self) -> bool:
        """Return whether the job is still this runner's, for all it knows."""
        safe_secs = self._pace.lease_secs - self._pace.margin_secs
        return not self.lost and elapsed_secs() < self._leased + safe_secs

    async def over(self, work: Work) -> BaseException | None:
        """Do ``work`` and return what it raised; None: it was done. Cancelled, it stops the work first.

        A thread cannot be cancelled: what blocks is waited for, and keeps its lease until it listens or ends.
        """
        by_itself = inspect.iscoroutinefunction(work)
        doing = asyncio.create_task(self._do(work), name=f"work {self.job.kind}")
        watching = asyncio.create_task(self._watch(doing if by_itself else None), name=f"watch {self.job.kind}")
        try:
            await asyncio.wait({doing})
        finally:
            if not doing.done():
                self._attempt.stop = self._attempt.stop or Stop.LEAVING
                if by_itself:
                    doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)
            watching.cancel()
        return asyncio.CancelledError() if doing.cancelled() else doing.exception()

    async def _do(self, work: Work) -> None:
        if inspect.iscoroutinefunction(work):
            await work(self._attempt)
        else:
            await self._workers.run("job", work, self._attempt)

    async def _watch(self, doing: asyncio.Task[None] | None) -> None:
        while True:
            await asyncio.sleep(self._pace.step_secs)
            await self._look()
            if doing is not None and self._is_deaf():
                doing.cancel()

    def _is_deaf(self) -> bool:
        """Return whether the work was told to stop long enough ago and goes on."""
        if self._attempt.stop is None:
            return False
        if self._stopped_at is None:
            self._stopped_at = elapsed_secs()
        return elapsed_secs() - self._stopped_at >= self._pace.grace_secs

    async def _look(self) -> None:
        """Write what is new, keep the lease, and see whether the work shall stop."""
        now, job, pace = elapsed_secs(), self.job, self._pace
        if job.timeout_secs is not None and now - self._began >= job.timeout_secs:
            self._attempt.stop = self._attempt.stop or Stop.TIMED_OUT
        lease = pace.lease_secs if now - self._leased >= pace.lease_secs / 3 else None
        news = self._attempt.news()
        if self._attempt.stop is Stop.LOST or (news is None and lease is None and now - self._looked < pace.look_secs):
            return
        try:
            standing = await self._workers.run("control", self._store.report, job, news, lease)
        except DashError as error:
            log.warning("job.not_told", kind=job.kind, error=str(error))
            if not self.held:
                self._attempt.stop = Stop.LOST
            return
        self._looked = now
        self._leased = now if lease is not None else self._leased
        self._heed(standing)

    def _heed(self, standing: Standing) -> None:
        match standing:
            case Standing.UNWANTED:
                self._attempt.stop = self._attempt.stop or Stop.CANCELLED
            case Standing.LOST:
                self._attempt.stop = Stop.LOST
            case Standing.KEPT:
                return
