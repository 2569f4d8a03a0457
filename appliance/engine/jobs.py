"""The job runner: enqueues what recurs, claims what is due, and does it in a thread, under a lease."""

import asyncio
import inspect
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from appliance.components.jobs import Job, JobStore, NewJob
from appliance.components.source import Schedule
from appliance.domain.clock import Clock
from appliance.domain.retry import RetryPolicy, wait_secs
from appliance.engine.workers import Workers
from appliance.errors import DashError

LEASE_SECS: Final = 60.0
LOOK_EVERY_SECS: Final = 10.0
_POLICY: Final = RetryPolicy(first_secs=10, most_secs=3600)

log = structlog.get_logger("jobs")


@dataclass(frozen=True, slots=True)
class Recurring:
    """A kind of job, when it recurs (None: when somebody enqueues it), and what it does with its payload.

    ``work`` may be run again. A function blocks and gets a thread; a coroutine function looks for its own.
    """

    kind: str
    schedule: Schedule | None
    work: Callable[[Mapping[str, Any]], None] | Callable[[Mapping[str, Any]], Awaitable[None]]


class JobRunner:
    """Runs one job at a time until cancelled. Several runners on one store share the work."""

    def __init__(
        self,
        store: JobStore,
        recurring: list[Recurring],
        workers: Workers,
        clock: Clock,
        bell: asyncio.Event | None = None,
    ) -> None:
        """``bell``: set by whoever has enqueued something that should not wait for the next look."""
        self._bell = bell or asyncio.Event()
        self._store = store
        self._recurring = {one.kind: one for one in recurring}
        self._workers = workers
        self._clock = clock
        self._owner = f"runner-{secrets.token_hex(4)}"

    async def run(self) -> None:
        """Look for work every ten seconds; returns only by cancellation."""
        while True:
            try:
                await self._workers.run("control", self._enqueue_due)
                while await self._run_one():
                    pass
            except DashError as error:
                log.warning("jobs.delayed", error=str(error))
            await self._rest()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(LOOK_EVERY_SECS):
                await self._bell.wait()
        except TimeoutError:
            return
        self._bell.clear()

    def _enqueue_due(self) -> None:
        """Enqueue the next instant of each kind; the unique key makes a second attempt harmless, on any node."""
        now = self._clock()
        for one in self._recurring.values():
            if one.schedule is None:
                continue
            slot = one.schedule.due(now)
            self._store.enqueue(NewJob(kind=one.kind, run_at=slot, unique_key=f"{one.kind}:{slot.isoformat()}"))

    async def _run_one(self) -> bool:
        """Run the most urgent job; return whether there was one."""
        job = await self._workers.run("control", self._store.claim, self._owner, tuple(self._recurring), LEASE_SECS)
        if job is None:
            return False
        keeping = asyncio.create_task(self._keep_lease(job))
        try:
            await self._do(job)
        except Exception as error:  # noqa: BLE001 - the boundary of one job: the others go on
            pause = wait_secs(_POLICY, job.attempt, draw=0.5)
            log.warning("job.failed", kind=job.kind, attempt=job.attempt, error=str(error), again_in_secs=pause)
            await self._workers.run("control", self._store.fail, job, str(error), pause)
        else:
            await self._workers.run("control", self._store.finish, job)
            log.debug("job.done", kind=job.kind)
        finally:
            keeping.cancel()
        return True

    async def _do(self, job: Job) -> None:
        work = self._recurring[job.kind].work
        if inspect.iscoroutinefunction(work):
            await work(job.payload)
        else:
            await self._workers.run("control", work, job.payload)

    async def _keep_lease(self, job: Job) -> None:
        while True:
            await asyncio.sleep(LEASE_SECS / 3)
            await self._workers.run("control", self._store.extend, job, LEASE_SECS)
