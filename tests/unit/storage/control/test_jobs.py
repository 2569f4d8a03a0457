"""The job queue: each job once, whoever crashes."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from appliance.components.jobs import CANCELLED, DONE, GIVEN_BACK, Claimant, Ending, Job, NewJob, Standing
from appliance.domain.job import JobProgress, JobState
from appliance.errors import Conflict, NotFound
from appliance.storage.control import job_book
from appliance.storage.control.job_book import JobFilter
from appliance.storage.control.jobs import Jobs
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import JobRow, OrganisationRow


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


def failed(error: str, again_in_secs: float) -> Ending:
    return Ending(JobState.READY, error, again_in_secs)


def claimed(jobs: Jobs, owner: str = "a") -> Job:
    job = jobs.claim(Claimant(owner, ("k",)), 60)
    assert job is not None
    return job


def test_the_most_urgent_job_that_is_due(jobs: Jobs, clock: Clock) -> None:
    jobs.enqueue(NewJob(kind="k", payload={"n": 1}))
    jobs.enqueue(NewJob(kind="k", payload={"n": 2}, priority=5))
    jobs.enqueue(NewJob(kind="k", payload={"n": 3}, priority=9, run_at=clock.now + timedelta(seconds=10)))
    jobs.enqueue(NewJob(kind="other", priority=99))
    assert [claimed(jobs).payload["n"], claimed(jobs).payload["n"]] == [2, 1]
    assert jobs.claim(Claimant("a", ("k",)), 60) is None
    clock.forward(10)
    assert claimed(jobs).payload == {"n": 3}


def test_a_unique_key_is_accepted_once_for_ever(jobs: Jobs) -> None:
    assert jobs.enqueue(NewJob(kind="k", unique_key="k:1")) is not None
    assert jobs.enqueue(NewJob(kind="k", unique_key="k:1")) is None
    jobs.end(claimed(jobs), DONE)
    assert jobs.enqueue(NewJob(kind="k", unique_key="k:1")) is None


def test_a_lease_that_ran_out_goes_to_somebody_else(jobs: Jobs, clock: Clock) -> None:
    jobs.enqueue(NewJob(kind="k"))
    first = claimed(jobs, "a")
    clock.forward(61)
    second = claimed(jobs, "b")
    assert (second.id, second.attempt) == (first.id, 2)
    assert jobs.end(first, DONE) is False
    assert jobs.report(first, lease_secs=60) is Standing.LOST
    assert jobs.end(first, failed("late", 1)) is False
    assert jobs.end(second, DONE) is True


def test_a_lease_can_be_kept(jobs: Jobs, clock: Clock) -> None:
    jobs.enqueue(NewJob(kind="k"))
    job = claimed(jobs)
    clock.forward(50)
    assert jobs.report(job, lease_secs=60) is Standing.KEPT
    clock.forward(50)
    assert jobs.claim(Claimant("b", ("k",)), 60) is None


def test_failures_are_tried_again_and_then_given_up(jobs: Jobs, clock: Clock, plane: ControlPlane) -> None:
    jobs.enqueue(NewJob(kind="k", max_attempts=2))
    assert jobs.end(claimed(jobs), failed("first", 30)) is True
    assert jobs.claim(Claimant("a", ("k",)), 60) is None
    clock.forward(30)
    job = claimed(jobs)
    assert jobs.end(job, failed("second", 30)) is True
    clock.forward(1000)
    assert jobs.claim(Claimant("a", ("k",)), 60) is None
    row = plane.read_now(lambda tx: tx.get(JobRow, job.id))
    assert row is not None
    assert (row.state, row.error, row.finished_at) == ("failed", "second", clock.now - timedelta(seconds=1000))


def test_a_worker_lost_on_the_last_attempt_is_told(jobs: Jobs, clock: Clock, plane: ControlPlane) -> None:
    jobs.enqueue(NewJob(kind="k", max_attempts=1))
    job = claimed(jobs)
    clock.forward(61)
    assert jobs.claim(Claimant("b", ("k",)), 60) is None
    row = plane.read_now(lambda tx: tx.get(JobRow, job.id))
    assert row is not None
    assert (row.state, row.error) == ("failed", "the worker stopped without an answer")


def test_several_workers_do_each_job_once(jobs: Jobs) -> None:
    for _ in range(20):
        jobs.enqueue(NewJob(kind="k"))
    done: list[str] = []

    def work(owner: str) -> None:
        while (job := jobs.claim(Claimant(owner, ("k",)), 60)) is not None:
            if jobs.end(job, DONE):
                done.append(job.id)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(done), len(set(done))) == (20, 20)


def test_a_job_goes_only_to_who_offers_all_it_needs(jobs: Jobs) -> None:
    jobs.enqueue(NewJob(kind="k", needs=("bronze", "node:n1"), priority=1))
    jobs.enqueue(NewJob(kind="k", payload={"n": 2}))
    other = jobs.claim(Claimant("b", ("k",), frozenset({"bronze", "node:n2"})), 60)
    assert other is not None
    assert other.payload == {"n": 2}  # the more urgent one is not for this node
    assert jobs.claim(Claimant("b", ("k",), frozenset({"bronze", "node:n2"})), 60) is None
    mine = jobs.claim(Claimant("a", ("k",), frozenset({"bronze", "node:n1", "poll"})), 60)
    assert mine is not None
    assert mine.payload == {}


def test_what_is_given_back_is_claimed_at_once_and_no_attempt_is_lost(jobs: Jobs) -> None:
    jobs.enqueue(NewJob(kind="k", max_attempts=1))
    assert jobs.end(claimed(jobs, "a"), GIVEN_BACK) is True
    assert claimed(jobs, "b").attempt == 1


def test_progress_is_kept_and_a_wish_to_cancel_is_seen(jobs: Jobs, plane: ControlPlane, clock: Clock) -> None:
    jobs.enqueue(NewJob(kind="k"))
    job = claimed(jobs)
    assert jobs.report(job, JobProgress(3, 9, "third of nine")) is Standing.KEPT
    plane.write_now(lambda tx: job_book.cancel(tx, "org_1", job.id, clock, installation=True))
    assert jobs.report(job) is Standing.UNWANTED
    assert jobs.end(job, CANCELLED) is True
    stored = plane.read_now(lambda tx: job_book.find(tx, "org_1", job.id, installation=True))
    assert (stored.state, stored.progress) == (JobState.CANCELLED, JobProgress(3, 9, "third of nine"))


def test_what_somebody_cancelled_and_its_owner_lost_is_not_tried_again(
    jobs: Jobs, plane: ControlPlane, clock: Clock
) -> None:
    jobs.enqueue(NewJob(kind="k"))
    job = claimed(jobs)
    plane.write_now(lambda tx: job_book.cancel(tx, "org_1", job.id, clock, installation=True))
    clock.forward(61)
    assert jobs.claim(Claimant("b", ("k",)), 60) is None
    stored = plane.read_now(lambda tx: job_book.find(tx, "org_1", job.id, installation=True))
    assert (stored.state, stored.error) == (JobState.CANCELLED, None)


def test_what_waits_is_cancelled_at_once_and_can_be_sent_back(jobs: Jobs, plane: ControlPlane, clock: Clock) -> None:
    job_id = str(jobs.enqueue(NewJob(kind="k")))
    cancelled = plane.write_now(lambda tx: job_book.cancel(tx, "org_1", job_id, clock, installation=True))
    assert (cancelled.state, cancelled.finished_at) == (JobState.CANCELLED, clock.now)
    assert jobs.claim(Claimant("a", ("k",)), 60) is None
    with pytest.raises(Conflict, match="is 'cancelled'"):
        plane.write_now(lambda tx: job_book.cancel(tx, "org_1", job_id, clock, installation=True))
    again = plane.write_now(lambda tx: job_book.retry(tx, "org_1", job_id, clock, installation=True))
    assert (again.state, again.attempt, again.cancel_asked_at) == (JobState.READY, 0, None)
    assert claimed(jobs).id == job_id


def test_what_was_promised_cannot_be_cancelled(jobs: Jobs, plane: ControlPlane, clock: Clock) -> None:
    job_id = str(jobs.enqueue(NewJob(kind="k", cancellable=False)))
    with pytest.raises(Conflict, match="promised"):
        plane.write_now(lambda tx: job_book.cancel(tx, "org_1", job_id, clock, installation=True))


def test_what_comes_by_the_clock_is_left_out_until_it_fails(jobs: Jobs, plane: ControlPlane) -> None:
    asked = str(jobs.enqueue(NewJob(kind="backup.take")))
    for kind in ("drift.save", "storage.sample"):
        jobs.enqueue(NewJob(kind=kind, max_attempts=1))
    failing = jobs.claim(Claimant("node_a/1", ("drift.save",)), 60)
    assert failing is not None

    def shown(**wanted: bool) -> set[str]:
        found = plane.read_now(lambda tx: job_book.page(tx, "org_1", JobFilter(**wanted), 10, installation=True))
        return {one.kind for one in found}

    assert shown() == {"backup.take", "drift.save", "storage.sample"}
    assert shown(routine=False) == {"backup.take", "drift.save"}  # it runs
    jobs.end(failing, Ending(JobState.FAILED, "the disk is full"))
    assert shown(routine=False) == {"backup.take", "drift.save"}
    assert asked


def test_jobs_of_another_organisation_are_not_seen(jobs: Jobs, plane: ControlPlane, clock: Clock) -> None:
    for name in ("org_1", "org_2"):
        row = OrganisationRow(id=name, name=name, created_at=clock.now)
        plane.write_now(lambda tx, row=row: tx.add(row))
    ours = jobs.enqueue(NewJob(kind="ours", organisation_id="org_1"))
    theirs = str(jobs.enqueue(NewJob(kind="theirs", organisation_id="org_2")))
    everybodys = jobs.enqueue(NewJob(kind="everybodys"))
    listed = plane.read_now(lambda tx: job_book.page(tx, "org_1", JobFilter(), 10, installation=True))
    assert {one.id for one in listed} == {ours, everybodys}
    listed = plane.read_now(lambda tx: job_book.page(tx, "org_2", JobFilter(), 10))  # it does not operate the appliance
    assert {one.id for one in listed} == {theirs}
    with pytest.raises(NotFound):
        plane.write_now(lambda tx: job_book.cancel(tx, "org_2", everybodys, clock))
    with pytest.raises(NotFound):
        plane.read_now(lambda tx: job_book.find(tx, "org_1", theirs, installation=True))
