"""The runner of jobs: what recurs, what is enqueued once, what blocks and what waits by itself, and how each ends."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from appliance.components.jobs import Claimant, Job, NewJob
from appliance.domain.ids import NodeId
from appliance.domain.job import JobProgress, JobState
from appliance.domain.schedule import Every
from appliance.engine.attempt import Attempt, Stopped
from appliance.engine.job_watch import Pace
from appliance.engine.jobs import JobRunner, Recurring, Station
from appliance.engine.workers import Workers
from appliance.errors import TransientError
from appliance.storage.control import job_book
from appliance.storage.control.job_book import StoredJob
from appliance.storage.control.jobs import Jobs
from appliance.storage.control.plane import ControlPlane

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
QUICK = Pace(step_secs=0.02, look_secs=0.02, grace_secs=0.1)
SHORT = QUICK._replace(lease_secs=0.9, margin_secs=0.3)


class House:
    """A queue, its runner, and what became of its jobs."""

    def __init__(self, plane: ControlPlane, **station: Any) -> None:
        self.plane, self.store = plane, Jobs(plane, lambda: NOON)
        self.station = Station(pace=station.pop("pace", QUICK), **station)
        self.workers = Workers({"control": 2, "job": 4})
        self.kinds: list[Recurring] = []
        self.runner: JobRunner | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, *kinds: Recurring) -> None:
        self.runner = JobRunner(self.store, kinds, self.workers, lambda: NOON, self.station)
        self._task = asyncio.create_task(self.runner.run())

    def enqueue(self, kind: str, **more: Any) -> str:
        job_id = self.store.enqueue(NewJob(kind=kind, **more))
        assert job_id is not None
        self.station.bell.set()
        return job_id

    def job(self, job_id: str) -> StoredJob:
        return self.plane.read_now(lambda tx: job_book.find(tx, "org_1", job_id, installation=True))

    def cancel(self, job_id: str) -> None:
        self.plane.write_now(lambda tx: job_book.cancel(tx, "org_1", job_id, lambda: NOON, installation=True))

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110 - what is waited for is a row in a database
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        if self._task is not None and self.runner is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self.runner.close()
        self.workers.close()


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[ControlPlane]:
    plane = ControlPlane.open(tmp_path / "control.sqlite3")
    yield plane
    plane.close()


@pytest.fixture
async def house(plane: ControlPlane) -> AsyncIterator[House]:
    house = House(plane)
    yield house
    await house.close()


async def test_a_job_that_is_enqueued_is_done_when_the_bell_rings(house: House) -> None:
    """Both kinds of work: a function in a thread, a coroutine function on the loop."""
    done: list[tuple[str, Any, bool]] = []

    def blocking(attempt: Attempt) -> None:
        done.append(("blocking", attempt.payload["n"], threading.current_thread() is threading.main_thread()))

    async def waiting(attempt: Attempt) -> None:
        done.append(("waiting", attempt.payload["n"], threading.current_thread() is threading.main_thread()))

    house.start(Recurring("blocking", None, blocking), Recurring("waiting", None, waiting))
    await asyncio.sleep(0)
    first = house.enqueue("blocking", payload={"n": 1})
    await house.until(lambda: house.job(first).state is JobState.DONE)
    second = house.enqueue("waiting", payload={"n": 2})
    await house.until(lambda: house.job(second).state is JobState.DONE)
    assert done == [("blocking", 1, False), ("waiting", 2, True)]


async def test_several_jobs_run_at_a_time_and_no_more_than_that(plane: ControlPlane) -> None:
    house, go, under_way = House(plane, at_a_time=3), asyncio.Event(), 0

    async def work(_: Attempt) -> None:
        nonlocal under_way
        under_way += 1
        await go.wait()

    house.start(Recurring("k", None, work))
    jobs = [house.enqueue("k") for _ in range(5)]
    await house.until(lambda: under_way == 3)
    states = [house.job(job_id).state for job_id in jobs]
    assert (states.count(JobState.RUNNING), states.count(JobState.READY)) == (3, 2)
    go.set()
    await house.until(lambda: all(house.job(job_id).state is JobState.DONE for job_id in jobs))
    assert under_way == 5
    await house.close()


async def test_a_thread_that_is_told_to_stop_stops_where_it_listens(house: House) -> None:
    began, ended = threading.Event(), threading.Event()

    def work(attempt: Attempt) -> None:
        began.set()
        try:
            for step in range(100_000):
                attempt.tell(step, 100_000, "counting")
                ended.wait(0.01)
        except Stopped:
            ended.set()
            raise

    house.start(Recurring("k", None, work))
    job_id = house.enqueue("k")
    await house.until(began.is_set)
    await house.until(lambda: house.job(job_id).progress is not None)
    assert house.job(job_id).state is JobState.RUNNING
    house.cancel(job_id)
    await house.until(lambda: house.job(job_id).state is JobState.CANCELLED)
    assert ended.is_set()
    progress = house.job(job_id).progress
    assert progress is not None
    assert (progress.total, progress.text) == (100_000, "counting")


async def test_a_coroutine_that_does_not_listen_is_cancelled_after_the_grace(house: House) -> None:
    began = asyncio.Event()

    async def deaf(_: Attempt) -> None:
        began.set()
        await asyncio.Event().wait()

    house.start(Recurring("k", None, deaf))
    job_id = house.enqueue("k")
    await began.wait()
    house.cancel(job_id)
    await house.until(lambda: house.job(job_id).state is JobState.CANCELLED)


async def test_what_takes_longer_than_it_may_has_failed_once(house: House) -> None:
    async def slow(_: Attempt) -> None:
        await asyncio.Event().wait()

    house.start(Recurring("k", None, slow))
    job_id = house.enqueue("k", timeout_secs=0.05, max_attempts=2)
    await house.until(lambda: house.job(job_id).error is not None)
    job = house.job(job_id)
    assert (job.state, job.attempt, job.error) == (JobState.READY, 1, "it took longer than the 0.05 s it may take")
    assert job.run_at > NOON  # tried again, later


async def test_a_runner_that_is_closed_gives_back_what_it_was_doing(house: House) -> None:
    began = asyncio.Event()

    async def long(_: Attempt) -> None:
        began.set()
        await asyncio.Event().wait()

    house.start(Recurring("k", None, long))
    job_id = house.enqueue("k", max_attempts=1)
    await began.wait()
    await house.close()
    job = house.job(job_id)
    assert (job.state, job.attempt, job.owner) == (JobState.READY, 0, None)
    assert house.store.claim(Claimant("another", ("k",)), 60) is not None


async def test_a_long_job_keeps_its_lease(plane: ControlPlane) -> None:
    """Twice as long as the lease lasts, by a clock that goes on: nobody else gets the job."""
    house, began, go = House(plane, pace=SHORT), asyncio.Event(), asyncio.Event()
    real = Jobs(plane)
    house.store = real

    async def long(_: Attempt) -> None:
        began.set()
        await go.wait()

    house.start(Recurring("k", None, long))
    job_id = house.enqueue("k")
    await began.wait()
    until = house.plane.read_now(lambda tx: job_book.find(tx, "org_1", job_id, installation=True)).started_at
    assert until is not None
    deadline = until + timedelta(seconds=2 * SHORT.lease_secs)
    while datetime.now(UTC) < deadline:
        assert real.claim(Claimant("thief", ("k",)), 60) is None
        await asyncio.sleep(0.02)
    go.set()
    await house.until(lambda: house.job(job_id).state is JobState.DONE)
    await house.close()


async def test_work_whose_lease_cannot_be_kept_is_stopped_before_it_runs_out(plane: ControlPlane) -> None:
    house = House(plane, pace=SHORT)
    stopped: list[str] = []
    began = asyncio.Event()

    async def long(attempt: Attempt) -> None:
        began.set()
        try:
            while True:
                attempt.check()
                await asyncio.sleep(0.01)
        except Stopped as told:
            stopped.append(told.why.value)
            raise

    class Away(Jobs):
        away = False

        def report(self, *args: Any, **more: Any) -> Any:
            if self.away:
                raise TransientError("the database is away")
            return super().report(*args, **more)

    store = Away(house.plane, lambda: NOON)
    house.store = store
    house.start(Recurring("k", None, long))
    job_id = house.enqueue("k")
    await began.wait()
    store.away = True
    await house.until(lambda: stopped == ["lost"])
    assert house.job(job_id).state is JobState.RUNNING  # nothing was said: somebody else may have it by then
    await house.close()


async def test_a_draining_node_claims_nothing_more(plane: ControlPlane) -> None:
    draining, done = True, []

    async def work(_: Attempt) -> None:
        done.append("x")

    house = House(plane, closed=lambda: draining)
    house.start(Recurring("k", None, work))
    house.enqueue("k")
    await house.until(lambda: not house.station.bell.is_set())
    assert done == []
    draining = False
    house.station.bell.set()
    await house.until(lambda: done == ["x"])
    await house.close()


async def test_what_recurs_is_enqueued_once_by_all_and_per_node_by_each(plane: ControlPlane) -> None:
    async def nothing(_: Attempt) -> None:
        return

    hourly = Every(timedelta(hours=1))
    kinds = Recurring("anywhere", hourly, nothing), Recurring("own.disk", hourly, nothing, per_node=True)
    houses = [House(plane, node_id=NodeId(f"node_{name}")) for name in ("a", "b")]
    for house in houses:
        house.start(*kinds)

    def enqueued() -> list[tuple[str, tuple[str, ...]]]:
        jobs = plane.read_now(lambda tx: job_book.page(tx, "org_1", job_book.JobFilter(), 50, installation=True))
        return sorted((one.kind, one.needs) for one in jobs)

    await houses[0].until(lambda: len(enqueued()) == 3)
    assert enqueued() == [("anywhere", ()), ("own.disk", ("node:node_a",)), ("own.disk", ("node:node_b",))]
    for house in houses:
        await house.close()


def test_progress_told_without_a_runner_goes_nowhere() -> None:
    attempt = Attempt()
    attempt.tell(1, 2, "half")
    assert attempt.news() == JobProgress(1, 2, "half")
    assert attempt.news() is None


async def test_a_job_that_is_claimed_at_the_very_end_is_given_back(house: House) -> None:
    asked, answered = threading.Event(), threading.Event()
    claim = house.store.claim

    def late(claimant: Claimant, lease_secs: float) -> Job | None:
        asked.set()
        assert answered.wait(10)
        return claim(claimant, lease_secs)

    house.store.claim = late  # type: ignore[method-assign]
    house.start(Recurring("k", None, lambda _: None))
    job_id = house.enqueue("k", max_attempts=1)
    assert await asyncio.to_thread(asked.wait, 10)
    closing = asyncio.create_task(house.close())
    await asyncio.sleep(0)  # the runner is cancelled while the database is asked
    answered.set()
    await closing
    job = house.job(job_id)
    assert (job.state, job.attempt, job.owner) == (JobState.READY, 0, None)


async def test_while_the_installation_rests_only_what_is_always_done_is(plane: ControlPlane) -> None:
    resting, done = [True], list[str]()
    house = House(plane, resting=lambda: resting[0])
    waits, goes_on = house.enqueue("waits"), house.enqueue("always")
    house.start(
        Recurring("waits", None, lambda _: done.append("waits")),
        Recurring("always", None, lambda _: done.append("always"), always=True),
    )
    try:
        await house.until(lambda: house.job(goes_on).state is JobState.DONE)
        assert (done, house.job(waits).state) == (["always"], JobState.READY)
        resting[0] = False
        house.station.bell.set()
        await house.until(lambda: done == ["always", "waits"])
    finally:
        await house.close()
