"""A node with a partition of its own refines, counts and keeps numbers as one that is alone does."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.components.silver import Progress, Table
from appliance.domain.event import Receipt
from appliance.domain.ledger import Ledger, Outcome
from appliance.engine.batches import Course
from appliance.engine.numbering import keep_numbers
from appliance.engine.refine import Means, Refiner
from appliance.engine.run import Run
from appliance.engine.workers import Workers
from appliance.storage.bronze_cluster import PartitionLog
from tests.contract.bronze_adapters import delivery
from tests.fakes.bronze import MemoryBronzeLog
from tests.fakes.refining import BOILERS, COLUMNS, Compiled, Numbers, until

BASE = 52_776_558_133_248  # 3 · 2^44


class Store:
    """Keeps what is committed of partition 3."""

    def __init__(self) -> None:
        self.at = Progress(BASE)
        self.spans: list[tuple[int, int]] = []

    def progress(self, pipeline_id: Any) -> Progress:
        return self.at

    def commit(self, batch: Any) -> Progress:
        assert batch.first_seq == self.at.seq + 1
        self.spans.append((batch.first_seq, batch.last_seq))
        self.at = Progress(batch.last_seq, self.at.outcome + batch.outcome)
        return self.at


def run_of(bronze: PartitionLog, refiner: Refiner) -> Run:
    pipeline: Any = SimpleNamespace(id=BOILERS)
    cache: Any = None
    return Run(pipeline, refiner, None, cache=cache, bronze=bronze)


async def test_its_events_are_refined_and_counted() -> None:
    bronze, store, workers = PartitionLog(MemoryBronzeLog(), 3), Store(), Workers({"refine": 1})
    await bronze.append(BOILERS, delivery(b"1", b"2"))
    means: Any = Means(bronze, store, Numbers(), workers)  # type: ignore[arg-type]
    refiner = Refiner(Course(BOILERS, 1, Compiled(), Table(BOILERS, COLUMNS), persist=True), means, lambda _: None)
    run = run_of(bronze, refiner)
    assert (refiner.lag_events, run.stats().lag_events) == (2, 2)  # before the store was asked how far it is
    assert run.stats().ledger == Ledger(received=2, stored=0, filtered=0, duplicate=0, dead=0, pending=2)
    task = asyncio.create_task(refiner.run())
    await until(lambda: refiner.progress.seq == BASE + 2)
    await bronze.append(BOILERS, delivery(b"3", b"no"))
    refiner.poke()
    await until(lambda: refiner.progress.seq == BASE + 4)
    refiner.amended(Progress(2 * BASE + 9, Outcome(stored=9)))  # events of another node were mended from here
    assert refiner.progress.seq == BASE + 4
    refiner.amended(Progress(BASE + 4, Outcome(stored=4)))
    assert run.stats().ledger.dead == 0
    refiner.amended(store.at)
    refiner.stop()
    await task
    workers.close()
    assert store.spans == [(BASE + 1, BASE + 2), (BASE + 3, BASE + 4)]
    assert run.stats().ledger == Ledger(received=4, stored=3, filtered=0, duplicate=0, dead=1, pending=0)
    assert run.stats().ledger.balanced


@pytest.mark.parametrize(
    ("refined", "following"),
    [((BASE, 17), 2), ((BASE + 1,), 2), ((BASE + 5, BASE + 3), 6), ((BASE + 5, 9 * BASE), 6)],
)
async def test_numbers_are_kept_by_what_was_refined_of_its_own_partition(
    refined: tuple[int, ...], following: int
) -> None:
    bronze, workers = PartitionLog(MemoryBronzeLog(), 3), Workers({"control": 1})
    await bronze.append(BOILERS, delivery(b"1"))
    generations = [SimpleNamespace(progress=Progress(seq, Outcome())) for seq in refined]
    silver = SimpleNamespace(generations=SimpleNamespace(all=lambda _: generations))
    engine: Any = SimpleNamespace(bronze=bronze, workers=workers, silver=lambda _: silver)
    pipeline: Any = SimpleNamespace(id=BOILERS, organisation_id="org_1")
    await keep_numbers(engine, [pipeline])
    workers.close()
    assert await bronze.append(BOILERS, delivery(b"2")) == Receipt(BASE + following, BASE + following)
