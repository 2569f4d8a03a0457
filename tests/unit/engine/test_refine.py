"""Refining against a log in memory, a mapper that takes whole numbers and a store that can be made to fail."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from appliance.components.mapper import Mapped
from appliance.components.silver import Batch, Progress, Table
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.engine.batches import Course
from appliance.engine.refine import Commit, Means, Refiner
from appliance.engine.workers import Workers
from appliance.errors import Conflict, FatalError, TransientError
from tests.fakes.bronze import MemoryBronzeLog
from tests.fakes.refining import BOILERS, COLUMNS, Compiled, Numbers, append, until


class Store:
    """Keeps what is committed. ``troubles`` are raised first, one a commit."""

    def __init__(self, troubles: list[Exception] | None = None) -> None:
        self.numbers: list[int] = []
        self.days: list[tuple[str, int, int]] = []  # day, first and last event of each batch
        self.at = Progress()
        self.troubles = troubles or []

    def progress(self, pipeline_id: PipelineId) -> Progress:
        return self.at

    def commit(self, batch: Batch) -> Progress:
        if self.troubles:
            raise self.troubles.pop(0)
        if batch.first_seq != self.at.seq + 1:
            raise Conflict("somebody else wrote")
        self.numbers += batch.rows["number"].to_pylist()
        self.days.append((batch.day.isoformat(), batch.first_seq, batch.last_seq))
        self.at = Progress(batch.last_seq, self.at.outcome + batch.outcome)
        return self.at


@asynccontextmanager
async def refining(
    bronze: MemoryBronzeLog, store: Any, mapper: Numbers | None = None, told: Callable[[Commit], None] = lambda _: None
) -> AsyncIterator[Refiner]:
    workers = Workers({"refine": 1})
    course = Course(BOILERS, 1, Compiled(), Table(BOILERS, COLUMNS), persist=True)
    refiner = Refiner(course, Means(bronze, store, mapper or Numbers(), workers), told)
    task = asyncio.create_task(refiner.run())
    try:
        yield refiner
    finally:
        refiner.stop()
        await task
        workers.close()


async def test_it_takes_up_where_the_store_stands_and_follows_what_arrives() -> None:
    bronze, store = MemoryBronzeLog(), Store()
    await append(bronze, b"1", b"2")
    commits: list[Commit] = []
    async with refining(bronze, store, told=commits.append) as refiner:
        await until(lambda: refiner.progress.seq == 2)
        await append(bronze, b"3", b"x")
        refiner.poke()
        await until(lambda: refiner.progress.seq == 4)
    assert store.numbers == [1, 2, 3]
    assert refiner.progress.outcome == Outcome(stored=3, dead=1)
    assert [commit.progress.seq for commit in commits] == [2, 4]


async def test_what_waited_is_taken_in_one_batch() -> None:
    bronze, store, mapper = MemoryBronzeLog(), Store(), Numbers()
    for number in range(50):
        await append(bronze, str(number).encode())
    async with refining(bronze, store, mapper) as refiner:
        await until(lambda: refiner.progress.seq == 50)
    assert mapper.batches == [50]


async def test_a_store_that_is_busy_gets_the_same_batch_again() -> None:
    bronze, store = MemoryBronzeLog(), Store([TransientError("busy", 0.01), TransientError("busy", 0.01)])
    await append(bronze, b"1")
    async with refining(bronze, store) as refiner:
        await until(lambda: refiner.error == "busy")
        await until(lambda: refiner.progress.seq == 1)
        assert refiner.error is None
    assert store.numbers == [1]


async def test_an_unforeseen_error_is_told_and_tried_again_with_less() -> None:
    bronze, store = MemoryBronzeLog(), Store([ZeroDivisionError("a bug")])
    await append(bronze, b"1")
    async with refining(bronze, store) as refiner:
        await until(lambda: refiner.error == "ZeroDivisionError: a bug")
        await until(lambda: refiner.progress.seq == 1)
    assert store.numbers == [1]


async def test_a_store_that_cannot_be_trusted_stops_refining_and_says_what_to_do() -> None:
    bronze, store = MemoryBronzeLog(), Store([FatalError("the file is damaged", hint="restore it")])
    await append(bronze, b"1")
    async with refining(bronze, store) as refiner:
        await until(lambda: refiner.error is not None)
        assert refiner.error == "the file is damaged (restore it)"
        assert refiner.frozen_at is None
        assert refiner.lag_events == 1


async def test_refining_stops_before_an_event_that_differs_from_a_frozen_mapping() -> None:
    class Frozen(Numbers):
        def run(self, compiled: Any, frames: Any, version: int = 0) -> Mapped:
            lines = frames[0].lines.split(b"\n")
            kept = lines.index(b"x") if b"x" in lines else len(lines)
            rows, last = pa.table({"number": [int(line) for line in lines[:kept]]}), frames[0].first_seq + kept - 1
            stopped = "event 3 differs" if kept < len(lines) else None
            return Mapped(rows, pa.table({}), Outcome(stored=kept), frames[0].first_seq, last, stopped)

    bronze, store = MemoryBronzeLog(), Store()
    await append(bronze, b"1", b"2", b"x", b"4")
    async with refining(bronze, store, Frozen()) as refiner:
        await until(lambda: refiner.fatal)
        assert refiner.error == "event 3 differs (change the mapping or its contract, or erase the event, then resume)"
        assert (refiner.progress.seq, refiner.lag_events, refiner.frozen_at) == (2, 2, 3)
    assert store.numbers == [1, 2]


async def test_whoever_fails_when_told_does_not_stop_refining() -> None:
    bronze, store = MemoryBronzeLog(), Store()
    await append(bronze, b"1")

    def fail(commit: Commit) -> None:
        raise ZeroDivisionError("a bug of a follower")

    async with refining(bronze, store, told=fail) as refiner:
        await until(lambda: refiner.progress.seq == 1)
        await append(bronze, b"2")
        refiner.poke()
        await until(lambda: refiner.progress.seq == 2)
    assert store.numbers == [1, 2]


async def test_a_store_that_was_begun_anew_is_filled_again_from_bronze() -> None:
    bronze, store = MemoryBronzeLog(), Store()
    await append(bronze, b"1", b"2")
    async with refining(bronze, store) as refiner:
        await until(lambda: refiner.progress.seq == 2)
        store.at, store.numbers = Progress(), []
        await append(bronze, b"3")
        refiner.poke()
        await until(lambda: refiner.progress.seq == 3)
    assert store.numbers == [1, 2, 3]
    assert refiner.progress.outcome == Outcome(stored=3)


async def test_no_batch_spans_two_days_of_receipt() -> None:
    bronze, store = MemoryBronzeLog(), Store()
    await append(bronze, b"1", b"2", at=datetime(2026, 3, 1, 23, 59, 59, 999_999, tzinfo=UTC))
    await append(bronze, b"3", at=datetime(2026, 3, 2, tzinfo=UTC))
    await append(bronze, b"4", at=datetime(2026, 3, 1, 23, 30, tzinfo=UTC))  # a clock set back by half an hour
    async with refining(bronze, store) as refiner:
        await until(lambda: refiner.progress.seq == 4)
        assert refiner.waiting_since is None
    assert store.days == [("2026-03-01", 1, 2), ("2026-03-02", 3, 3), ("2026-03-01", 4, 4)]
    assert store.numbers == [1, 2, 3, 4]


async def test_what_expired_before_it_was_refined_counts_as_filtered_on_no_day() -> None:
    bronze, store = MemoryBronzeLog(), Store()
    for number in (b"1", b"2", b"3"):
        await append(bronze, number)
    bronze.upkeep.expire(BOILERS, before=datetime(2026, 2, 1, tzinfo=UTC), keep_bytes=None, up_to=2)
    async with refining(bronze, store) as refiner:
        await until(lambda: refiner.progress.seq == 3)
    assert store.days == [("1970-01-01", 1, 2), ("2026-01-01", 3, 3)]
    assert store.numbers == [3]
    assert refiner.progress.outcome == Outcome(stored=1, filtered=2)


@pytest.mark.parametrize("persist", [True, False])
async def test_rows_that_are_not_to_be_stored_are_shown_and_counted_as_filtered(persist: bool) -> None:
    bronze, store = MemoryBronzeLog(), Store()
    await append(bronze, b"1", b"x")
    commits: list[Commit] = []
    async with refining(bronze, store, told=commits.append) as refiner:
        refiner.course = Course(BOILERS, 1, Compiled(), Table(BOILERS, COLUMNS), persist)
        await until(lambda: refiner.progress.seq == 2)
    assert commits[0].rows["number"].to_pylist() == [1]
    assert store.numbers == ([1] if persist else [])
    assert refiner.progress.outcome == (Outcome(stored=1, dead=1) if persist else Outcome(filtered=1, dead=1))
