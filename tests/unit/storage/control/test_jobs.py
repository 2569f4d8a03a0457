"""The job queue: each job once, whoever crashes."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from appliance.components.jobs import Job, NewJob
from appliance.storage.control.jobs import Jobs
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import JobRow


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, secs: float) -> None:
        self.now += timedelta(seconds=secs)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(plane: ControlPlane, clock: Clock) -> Jobs:
    return Jobs(plane, clock)


def claimed(jobs: Jobs, owner: str = "a") -> Job:
    job = jobs.claim(owner, ("k",), 60)
    assert job is not None
    return job


def test_the_most_urgent_job_that_is_due(jobs: Jobs, clock: Clock) -> None:
    jobs.enqueue(NewJob(kind="k", payload={"n": 1}))
    jobs.enqueue(NewJob(kind="k", payload={"n": 2}, priority=5))
    jobs.enqueue(NewJob(kind="k", payload={"n": 3}, priority=9, run_at=clock.now + timedelta(seconds=10)))
    jobs.enqueue(NewJob(kind="other", priority=99))
    assert [claimed(jobs).payload["n"], claimed(jobs).payload["n"]] == [2, 1]
    assert jobs.claim("a", ("k",), 60) is None
    clock.forward(10)
    assert claimed(jobs).payload == {"n": 3}


def test_a_unique_key_is_accepted_once_for_ever(jobs: Jobs) -> None:
    assert jobs.enqueue(NewJob(kind="k", unique_key="k:1")) is not None
    assert jobs.enqueue(NewJob(kind="k", unique_key="k:1")) is None
    jobs.finish(claimed(jobs))
    assert jobs.enqueue(NewJob(kind="k", unique_key="k:1")) is None


def test_a_lease_that_ran_out_goes_to_somebody_else(jobs: Jobs, clock: Clock) -> None:
    jobs.enqueue(NewJob(kind="k"))
    first = claimed(jobs, "a")
    clock.forward(61)
    second = claimed(jobs, "b")
    assert (second.id, second.attempt) == (first.id, 2)
    assert jobs.finish(first) is False
    assert jobs.extend(first, 60) is False
    assert jobs.fail(first, "late", 1) is False
    assert jobs.finish(second) is True


def test_a_lease_can_be_kept(jobs: Jobs, clock: Clock) -> None:
    jobs.enqueue(NewJob(kind="k"))
    job = claimed(jobs)
    clock.forward(50)
    assert jobs.extend(job, 60) is True
    clock.forward(50)
    assert jobs.claim("b", ("k",), 60) is None


def test_failures_are_tried_again_and_then_given_up(jobs: Jobs, clock: Clock, plane: ControlPlane) -> None:
    jobs.enqueue(NewJob(kind="k", max_attempts=2))
    assert jobs.fail(claimed(jobs), "first", 30) is True
    assert jobs.claim("a", ("k",), 60) is None
    clock.forward(30)
    job = claimed(jobs)
    assert jobs.fail(job, "second", 30) is True
    clock.forward(1000)
    assert jobs.claim("a", ("k",), 60) is None
    row = plane.read_now(lambda tx: tx.get(JobRow, job.id))
    assert row is not None
    assert (row.state, row.error, row.finished_at) == ("failed", "second", clock.now - timedelta(seconds=1000))


def test_a_worker_lost_on_the_last_attempt_is_told(jobs: Jobs, clock: Clock, plane: ControlPlane) -> None:
    jobs.enqueue(NewJob(kind="k", max_attempts=1))
    job = claimed(jobs)
    clock.forward(61)
    assert jobs.claim("b", ("k",), 60) is None
    row = plane.read_now(lambda tx: tx.get(JobRow, job.id))
    assert row is not None
    assert (row.state, row.error) == ("failed", "the worker stopped without an answer")


def test_several_workers_do_each_job_once(jobs: Jobs) -> None:
    for _ in range(20):
        jobs.enqueue(NewJob(kind="k"))
    done: list[str] = []

    def work(owner: str) -> None:
        while (job := jobs.claim(owner, ("k",), 60)) is not None:
            if jobs.finish(job):
                done.append(job.id)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(done), len(set(done))) == (20, 20)
