"""The job runner: enqueues what recurs, claims what is due and fits here, and does several at a time, under leases."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from appliance.components.jobs import CANCELLED, DONE, GIVEN_BACK, Claimant, Ending, Job, JobStore, NewJob
from appliance.components.source import Schedule
from appliance.domain.clock import Clock, elapsed_secs
from appliance.domain.ids import NOWHERE, NodeId
from appliance.domain.job import JobState, on_node
from appliance.domain.retry import RetryPolicy, wait_secs
from appliance.engine.attempt import Attempt, Stop
from appliance.engine.bells import Bell, rung
from appliance.engine.job_watch import USUAL, Claimed, Pace, Watch
from appliance.engine.workers import Workers
from appliance.errors import DashError

AT_A_TIME: Final = 2  # jobs of one node: a long one holds up nobody
LOOK_EVERY_SECS: Final = 10.0
TELL_AGAIN_SECS: Final = 1.0  # how an attempt ended, when the control plane could not be told
_POLICY: Final = RetryPolicy(first_secs=10, most_secs=3600)

log = structlog.get_logger("jobs")


@dataclass(frozen=True, slots=True)
class Recurring:
    """A kind of job, when it recurs (None: when somebody enqueues it), and what it does.

    ``work`` may be run again. A function blocks and gets a thread; a coroutine function looks for its own. Both are
    told to stop by their attempt; a coroutine that does not listen is cancelled a little later.
    ``always``: also while the installation rests: what keeps receiving possible, and backups.
    ``per_node``: it works on what each node has for itself, so that each does its own at every instant.
    """

    kind: str
    schedule: Schedule | None
    work: Callable[[Attempt], None] | Callable[[Attempt], Awaitable[None]]
    per_node: bool = False
    always: bool = False
    timeout_secs: float | None = None


@dataclass(frozen=True, slots=True)
class Station:
    """Where jobs are done. ``closed``: whether it takes none at present, because it is being drained; ``resting``:
    whether it takes only such as are ``always`` done, because of maintenance.

    ``bell``: rung by whoever has enqueued something that should not wait for the next look.
    """

    node_id: NodeId = NOWHERE
    offers: frozenset[str] = frozenset()
    at_a_time: int = AT_A_TIME
    closed: Callable[[], bool] = lambda: False
    resting: Callable[[], bool] = lambda: False
    bell: Bell = field(default_factory=Bell)
    pace: Pace = USUAL


class JobRunner:
    """Runs jobs until ``close``. Several runners on one store, in any number of processes, share the work."""

    def __init__(
        self,
        store: JobStore,
        kinds: Sequence[Recurring],
        workers: Workers,
        clock: Clock,
        station: Station | None = None,
    ) -> None:
        self._store, self._workers, self._clock = store, workers, clock
        self._kinds = {one.kind: one for one in kinds}
        self._station = station or Station()
        owner = f"{self._station.node_id or 'runner'}/{secrets.token_hex(4)}"
        self._claimant = Claimant(owner, tuple(self._kinds), self._station.offers)
        always = tuple(one.kind for one in kinds if one.always)
        self._resting = Claimant(owner, always, self._station.offers)
        self._slots: dict[str, datetime] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._claiming = asyncio.Lock()
        self._closed = False

    @property
    def running(self) -> int:
        """Return how many jobs are under way here."""
        return len(self._running)

    async def run(self) -> None:
        """Look for work every ten seconds, when the bell rings and when a job has ended; ends by cancellation."""
        while True:
            try:
                await self._enqueue_due()
                await self._fill()
            except DashError as error:
                log.warning("jobs.delayed", error=str(error))
            await rung(self._station.bell, LOOK_EVERY_SECS)

    async def close(self) -> None:
        """Stop what is under way and give it back, so that another node, or the next start, does it at once."""
        self._closed = True
        async with self._claiming:  # what is being claimed at this moment is given back, or runs and is stopped
            tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _enqueue_due(self) -> None:
        """Enqueue the next instant of each kind; the unique key makes a second attempt harmless, on any node."""
        now, resting = self._clock(), self._station.resting()
        for one in self._kinds.values():
            if resting and not one.always:
                continue  # else every instant of a long maintenance would wait for its end
            slot = one.schedule.due(now) if one.schedule is not None else None
            if slot is not None and self._slots.get(one.kind) != slot:
                await self._workers.run("control", self._store.enqueue, self._firing(one, slot))
                self._slots[one.kind] = slot

    def _firing(self, one: Recurring, slot: datetime) -> NewJob:
        key, timeout = f"{one.kind}:{slot.isoformat()}", one.timeout_secs
        if not one.per_node or not self._station.node_id:
            return NewJob(kind=one.kind, run_at=slot, unique_key=key, timeout_secs=timeout)
        mine = on_node(self._station.node_id)
        return NewJob(kind=one.kind, run_at=slot, unique_key=f"{key}:{mine}", needs=(mine,), timeout_secs=timeout)

    async def _fill(self) -> None:
        """Claim jobs while there is room for them."""
        while len(self._running) < self._station.at_a_time and not self._station.closed():
            async with self._claiming:
                asked_at = elapsed_secs()
                job = None if self._closed else await self._claim()
                if job is None:
                    return
                task = asyncio.create_task(self._see_through(Claimed(job, asked_at)), name=f"job {job.kind}")
                self._running[job.id] = task
                task.add_done_callback(lambda _, job_id=job.id: self._ended(job_id))  # type: ignore[misc]

    async def _claim(self) -> Job | None:
        """Claim one job. Cancelled, it waits for the answer all the same: a job that nobody knows of is given back."""
        claimant = self._resting if self._station.resting() else self._claimant
        claim = self._workers.run("control", self._store.claim, claimant, self._station.pace.lease_secs)
        asking = asyncio.ensure_future(claim)
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            [job] = await asyncio.gather(asking, return_exceptions=True)
            if isinstance(job, Job):
                await self._workers.run("control", self._store.end, job, GIVEN_BACK)
            raise

    def _ended(self, job_id: str) -> None:
        del self._running[job_id]
        self._station.bell.set()

    async def _see_through(self, claimed: Claimed) -> None:
        """Do one job and say how it ended."""
        job, attempt, ending = claimed.job, Attempt(claimed.job.payload), GIVEN_BACK
        watch = Watch(self._store, self._workers, claimed, attempt, self._station.pace)
        try:
            ending = self._judged(job, attempt, await watch.over(self._kinds[job.kind].work))
        finally:  # also when this runner is closed
            await self._tell(watch, ending)

    def _judged(self, job: Job, attempt: Attempt, error: BaseException | None) -> Ending:
        if error is None:
            log.debug("job.done", kind=job.kind)
            return DONE
        if attempt.stop is Stop.CANCELLED:
            log.info("job.cancelled", kind=job.kind, job=job.id)
            return CANCELLED
        told = str(error) or type(error).__name__
        if attempt.stop is Stop.TIMED_OUT:
            told = f"it took longer than the {job.timeout_secs:g} s it may take"
        pause = wait_secs(_POLICY, job.attempt, draw=0.5)
        log.warning("job.failed", kind=job.kind, attempt=job.attempt, error=told, again_in_secs=pause)
        return Ending(JobState.READY, told, pause)

    async def _tell(self, watch: Watch, ending: Ending) -> None:
        """Say how it ended, again and again while the lease lasts; after that somebody else does it anew."""
        while not watch.lost:
            try:
                await self._workers.run("control", self._store.end, watch.job, ending)
                return
            except DashError as error:
                log.warning("job.not_ended", kind=watch.job.kind, error=str(error))
            if not watch.held:
                return
            await asyncio.sleep(TELL_AGAIN_SECS)
