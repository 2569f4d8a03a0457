"""When a file of rows is written anew, and when a round is made out of turn."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from appliance.components.feed import FeedPlace, Reading
from appliance.components.jobs import Claimant, Ending, Job, NewJob, Standing
from appliance.components.upkeep import Compacted, StoreSize
from appliance.domain.disk import DiskState
from appliance.domain.ids import NodeId, OrganisationId
from appliance.domain.job import JobProgress
from appliance.engine.jobs import Station
from appliance.errors import TransientError
from appliance.services.retention import RetentionJob, read_up_to
from appliance.services.upkeep import ROUND, Pressing
from appliance.storage.control.plane import ControlPlane

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
GIB = 1 << 30
OURS = OrganisationId("org_1")


class Hand:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at


class Engine:
    """One organisation's store with many free blocks, in threads that are none. ``rate``: events a second."""

    def __init__(self) -> None:
        self.rate = 0.0
        self.refusing = False
        self.compacted = 0
        self.upkeep, self.workers = self, self

    async def run(self, kind: str, work: Any, *args: object) -> Any:
        return work(*args)

    def silver(self, organisation_id: str) -> Any:
        return self

    def size(self) -> StoreSize:
        return StoreSize(GIB, GIB // 2, {})

    def compact(self) -> Compacted:
        if self.refusing:
            raise TransientError("there is not enough free disk")
        self.compacted += 1
        return Compacted(GIB, GIB // 2, 1.0)

    def stats(self, pipeline_id: str) -> Any:
        return self

    @property
    def rate_per_sec(self) -> float:
        return self.rate


class Disk:
    slow = False


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def job(plane: ControlPlane, engine: Engine, disk: Disk, hand: Hand) -> RetentionJob:
    return RetentionJob(plane, engine, disk, 0.3, hand)  # type: ignore[arg-type]


async def compact(job: RetentionJob, engine: Engine) -> tuple[Compacted | None, str | None]:
    return await job._compact(OURS, engine, ["pl_1"])  # type: ignore[arg-type, list-item]


async def test_a_quiet_moment_is_waited_for_a_day_at_most(job: RetentionJob, engine: Engine, hand: Hand) -> None:
    engine.rate = 500.0
    assert await compact(job, engine) == (None, "waits for a quiet moment, for a day at most")
    hand.at += timedelta(hours=23)
    assert (await compact(job, engine))[0] is None
    hand.at += timedelta(hours=1)
    assert (await compact(job, engine))[0] == Compacted(GIB, GIB // 2, 1.0)
    engine.rate = 500.0
    assert (await compact(job, engine))[0] is None  # the day begins anew
    engine.rate = 10.0
    assert (await compact(job, engine))[0] is not None


async def test_on_a_disk_that_is_nearly_full_nothing_is_waited_for(
    job: RetentionJob, engine: Engine, disk: Disk
) -> None:
    engine.rate, disk.slow = 500.0, True
    assert (await compact(job, engine))[0] is not None


async def test_what_cannot_be_compacted_says_why_and_is_tried_again(job: RetentionJob, engine: Engine) -> None:
    engine.refusing = True
    assert await compact(job, engine) == (None, "there is not enough free disk")
    engine.refusing = False
    assert (await compact(job, engine))[0] is not None


class Queue:
    def __init__(self) -> None:
        self.jobs: list[NewJob] = []

    def enqueue(self, job: NewJob) -> str | None:
        self.jobs.append(job)
        return "job_1"

    def claim(self, claimant: Claimant, lease_secs: float) -> Job | None:
        return None

    def report(self, job: Job, progress: JobProgress | None = None, lease_secs: float | None = None) -> Standing:
        return Standing.LOST

    def end(self, job: Job, ending: Ending) -> bool:
        return False


async def test_a_disk_that_reaches_a_mark_has_a_round_made_at_once(engine: Engine, hand: Hand) -> None:
    queue, station = Queue(), Station(node_id=NodeId("node_1"))
    pressing = Pressing(queue, engine, hand, station)
    pressing.changed(DiskState.WARNING)
    await asyncio.sleep(0)
    assert queue.jobs == []
    pressing.changed(DiskState.SLOW)
    async with asyncio.timeout(5):
        await station.bell.wait()
    [job] = queue.jobs
    assert (job.kind, job.needs) == (ROUND, ("node:node_1",))  # it is this node's disk
    assert job.unique_key == "retention.round:slow:2026-11-22T12:00:00+00:00:node:node_1"


def test_a_reader_speaks_only_for_the_partition_that_its_place_is_in() -> None:
    third = 52_776_558_133_248  # 3 · 2^44
    here, both = Reading(FeedPlace(7)), Reading(FeedPlace(7, beyond=(third + 5,)))
    assert [read_up_to(one, 9) for one in (here, both, None)] == [7, 7, 0]
    assert [read_up_to(one, third + 9) for one in (here, both, None)] == [third, third + 5, third]
