"""Mapping ahead: the next batch is mapped while one is committed, and is never committed out of turn."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from appliance.components.silver import Batch, Progress, Table
from appliance.domain.ids import PipelineId
from appliance.engine.batches import Course
from appliance.engine.refine import Commit, Means, Refiner
from appliance.engine.workers import Workers
from appliance.errors import Conflict, TransientError
from tests.fakes.bronze import MemoryBronzeLog
from tests.fakes.refining import BOILERS, COLUMNS, Compiled, Numbers, append, until

AHEAD, ALONE = {"refine": 1, "ahead": 1}, {"refine": 1}


class SlowStore:
    """Lets each commit begin when told to. ``troubles`` are raised first, one a commit."""

    def __init__(self, *troubles: Exception) -> None:
        self.numbers: list[int] = []
        self.batches: list[tuple[int, int]] = []
        self.at = Progress()
        self.troubles = list(troubles)
        self.gate = threading.Semaphore(0)
        self.asked = 0

    def progress(self, pipeline_id: PipelineId) -> Progress:
        return self.at

    def commit(self, batch: Batch) -> Progress:
        self.asked += 1
        assert self.gate.acquire(timeout=5)
        if self.troubles:
            raise self.troubles.pop(0)
        if batch.first_seq != self.at.seq + 1:
            raise Conflict("somebody else wrote")
        self.numbers += batch.rows["number"].to_pylist()
        self.batches.append((batch.first_seq, batch.last_seq))
        self.at = Progress(batch.last_seq, self.at.outcome + batch.outcome)
        return self.at

    def let(self, commits: int) -> None:
        self.gate.release(commits)


async def three_days() -> MemoryBronzeLog:
    """Return a log of which each day is a batch: of one, two and four events."""
    bronze = MemoryBronzeLog()
    for day, numbers in enumerate(((b"1",), (b"2", b"3"), (b"4", b"5", b"6", b"7")), 1):
        await append(bronze, *numbers, at=datetime(2026, 3, day, tzinfo=UTC))
    return bronze


@asynccontextmanager
async def refining(
    bronze: MemoryBronzeLog, store: SlowStore, mapper: Numbers, sizes: dict[str, int]
) -> AsyncIterator[tuple[Refiner, list[Commit]]]:
    workers, commits = Workers(sizes), list[Commit]()
    course = Course(BOILERS, 1, Compiled(), Table(BOILERS, COLUMNS), persist=True)
    refiner = Refiner(course, Means(bronze, store, mapper, workers), commits.append)  # type: ignore[arg-type]
    task = asyncio.create_task(refiner.run())
    try:
        yield refiner, commits
    finally:
        store.let(9)
        refiner.stop()
        await task
        workers.close()


@pytest.mark.parametrize(("sizes", "mapped"), [(AHEAD, [1, 2]), (ALONE, [1])])
async def test_the_next_batch_is_mapped_while_one_is_committed_where_there_are_threads_for_it(
    sizes: dict[str, int], mapped: list[int]
) -> None:
    bronze, store, mapper = await three_days(), SlowStore(), Numbers()
    async with refining(bronze, store, mapper, sizes) as (refiner, commits):
        await until(lambda: store.asked == 1 and len(mapper.batches) >= len(mapped))
        assert (mapper.batches, store.batches) == (mapped, [])
        store.let(3)
        await until(lambda: refiner.progress.seq == 7)
    assert store.batches == [(1, 1), (2, 3), (4, 7)]
    assert store.numbers == [1, 2, 3, 4, 5, 6, 7]
    assert mapper.batches == [1, 2, 4]
    assert [commit.whole for commit in commits] == [False, False, True]


async def test_what_would_grow_if_it_waited_is_not_mapped_ahead() -> None:
    bronze, store, mapper = MemoryBronzeLog(), SlowStore(), Numbers()
    await append(bronze, b"1", b"2", at=datetime(2026, 3, 1, tzinfo=UTC))
    await append(bronze, b"3", at=datetime(2026, 3, 2, tzinfo=UTC))
    async with refining(bronze, store, mapper, AHEAD) as (refiner, _):
        await until(lambda: store.asked == 1)
        await append(bronze, b"4", at=datetime(2026, 3, 2, tzinfo=UTC))
        store.let(2)
        await until(lambda: refiner.progress.seq == 4)
    assert store.batches == [(1, 2), (3, 4)]


@pytest.mark.parametrize("trouble", [TransientError("busy", 0.01), ZeroDivisionError("a bug")])
async def test_after_a_commit_that_failed_everything_is_read_again_and_stored_once(trouble: Exception) -> None:
    bronze, store, mapper = await three_days(), SlowStore(trouble), Numbers()
    store.let(9)
    async with refining(bronze, store, mapper, AHEAD) as (refiner, _):
        await until(lambda: refiner.progress.seq == 7)
        assert refiner.error is None
    assert store.numbers == [1, 2, 3, 4, 5, 6, 7]
    assert mapper.batches.count(1) == 2  # the first batch once more


async def test_what_was_mapped_ahead_is_forgotten_where_the_store_stands_elsewhere() -> None:
    bronze, store, mapper = await three_days(), SlowStore(), Numbers()
    async with refining(bronze, store, mapper, AHEAD) as (refiner, _):
        await until(lambda: store.asked == 1 and mapper.batches == [1, 2])
        store.at = Progress(2)  # somebody else has stored two events, while this one thinks that none is
        store.let(9)
        await until(lambda: refiner.progress.seq == 7)
    assert store.batches == [(3, 3), (4, 7)]
    assert store.numbers == [3, 4, 5, 6, 7]


async def test_what_could_not_be_mapped_ahead_is_told_and_tried_again() -> None:
    class FailsOnce(Numbers):
        def run(self, *arguments: object, **named: object) -> object:  # type: ignore[override]
            if len(self.batches) == 1 and not failed.is_set():
                failed.set()
                raise ZeroDivisionError("a bug")
            return super().run(*arguments, **named)  # type: ignore[arg-type]

    failed = threading.Event()
    bronze, store, mapper = await three_days(), SlowStore(), FailsOnce()
    async with refining(bronze, store, mapper, AHEAD) as (refiner, _):
        await until(failed.is_set)
        store.let(9)
        await until(lambda: refiner.progress.seq == 7)
    assert store.numbers == [1, 2, 3, 4, 5, 6, 7]


async def test_when_it_is_stopped_nothing_is_mapped_any_more() -> None:
    class Slow(Numbers):
        def run(self, *arguments: object, **named: object) -> object:  # type: ignore[override]
            answer = super().run(*arguments, **named)  # type: ignore[arg-type]
            if len(self.batches) == 2:
                assert go_on.wait(5)
                ended.set()
            return answer

    go_on, ended = threading.Event(), threading.Event()
    bronze, store, mapper = await three_days(), SlowStore(), Slow()
    async with refining(bronze, store, mapper, AHEAD) as (refiner, _):
        await until(lambda: mapper.batches == [1, 2])
        refiner.stop()
        store.let(1)
        await until(lambda: refiner.progress.seq == 1)
        assert not ended.is_set()
        go_on.set()
    assert ended.is_set()
    assert store.numbers == [1]
