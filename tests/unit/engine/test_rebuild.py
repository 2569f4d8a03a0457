"""Rebuilding a stretch of Bronze: pieces mapped beside each other, committed in order, gone on with after trouble."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from appliance.components.generations import Generation
from appliance.components.mapper import CompiledMapping, Mapped
from appliance.components.silver import Batch, Progress, Table
from appliance.domain.event import Frame
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.engine.batches import Course, after
from appliance.engine.read_ahead import Lost
from appliance.engine.rebuild import Rebuilder
from appliance.engine.refine import Means
from appliance.engine.throttle import Pressure
from appliance.engine.workers import Workers
from appliance.errors import Conflict, FatalError, TransientError
from tests.fakes.bronze import MemoryBronzeLog
from tests.fakes.refining import BOILERS, COLUMNS, Compiled, Numbers, append, until

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SHADOW = Table(BOILERS, COLUMNS, generation=2)


class Shadow:
    """One generation, number 2. ``troubles`` are raised first, one a commit."""

    def __init__(self, *troubles: Exception) -> None:
        self.troubles = list(troubles)
        self.numbers: list[int] = []
        self.batches: list[tuple[int, int, str]] = []
        self.at = Progress()
        self.there = True

    @property
    def generations(self) -> "Shadow":
        return self

    def all(self, pipeline_id: PipelineId) -> list[Generation]:
        return [Generation(2, False, 1, self.at, NOW)] if self.there else []

    def commit(self, batch: Batch) -> Progress:
        assert batch.table == SHADOW
        if self.troubles:
            raise self.troubles.pop(0)
        if batch.first_seq != self.at.seq + 1:
            raise Conflict("somebody else wrote")
        self.numbers += batch.rows["number"].to_pylist()
        self.batches.append((batch.first_seq, batch.last_seq, batch.day.isoformat()))
        self.at = Progress(batch.last_seq, self.at.outcome + batch.outcome)
        return self.at


@asynccontextmanager
async def rebuilding(
    bronze: MemoryBronzeLog, shadow: Any, mapper: Any = None, pressure: Pressure | None = None
) -> AsyncIterator[Rebuilder]:
    workers = Workers({"replay": 2, "rebuild": 1})
    means = Means(bronze, shadow, mapper or Numbers(), workers)
    now = pressure or Pressure()
    try:
        yield Rebuilder(Course(BOILERS, 7, Compiled(), SHADOW, True), means, lambda: now, lambda _: None)
    finally:
        workers.close()


async def history(days: int, a_day: int) -> MemoryBronzeLog:
    bronze = MemoryBronzeLog()
    for day in range(days):
        lines = [str(day * a_day + number + 1).encode() for number in range(a_day)]
        await append(bronze, *lines, at=datetime(2026, 1, 1 + day, 12, tzinfo=UTC))
    return bronze


async def test_pieces_are_committed_in_order_and_no_batch_spans_two_days() -> None:
    bronze, shadow = await history(days=3, a_day=200), Shadow()
    async with rebuilding(bronze, shadow) as rebuilder:
        await rebuilder.run(last_seq=600)
    assert shadow.numbers == list(range(1, 601))
    assert shadow.batches == [
        (1, 200, "2026-01-01"), (201, 400, "2026-01-02"), (401, 600, "2026-01-03"),
    ]  # fmt: skip
    assert rebuilder.at == Progress(600, Outcome(stored=600))


async def test_it_ends_where_it_is_told_and_goes_on_from_where_the_shadow_stands() -> None:
    bronze, shadow = await history(days=1, a_day=50), Shadow()
    async with rebuilding(bronze, shadow) as rebuilder:
        await rebuilder.run(last_seq=20)
        assert shadow.numbers == list(range(1, 21))
    async with rebuilding(bronze, shadow) as another:
        await another.run(last_seq=50)
    assert shadow.numbers == list(range(1, 51))


async def test_what_may_work_later_is_tried_again_and_told_meanwhile() -> None:
    bronze, shadow = await history(days=2, a_day=10), Shadow(TransientError("busy", 0.01), ZeroDivisionError("a bug"))
    async with rebuilding(bronze, shadow) as rebuilder:
        running = asyncio.create_task(rebuilder.run(last_seq=20))
        await until(lambda: rebuilder.error == "busy")
        await until(lambda: rebuilder.error == "ZeroDivisionError: a bug")
        await running
        assert rebuilder.error is None
    assert shadow.numbers == list(range(1, 21))


async def test_a_shadow_that_is_gone_or_a_log_that_has_expired_is_lost() -> None:
    bronze, shadow = await history(days=3, a_day=10), Shadow()
    async with rebuilding(bronze, shadow) as rebuilder:
        bronze.upkeep.expire(BOILERS, before=datetime(2026, 1, 2, tzinfo=UTC), keep_bytes=None, up_to=30)
        with pytest.raises(Lost, match="event 1 of pl_boilers has expired"):
            await rebuilder.run(last_seq=30)
        shadow.there = False
        with pytest.raises(Lost, match="generation 2 of pl_boilers is gone"):
            await rebuilder.run(last_seq=30)
    assert shadow.numbers == []


async def test_what_cannot_be_trusted_ends_it() -> None:
    bronze, shadow = await history(days=1, a_day=10), Shadow(FatalError("damaged", hint="restore it"))
    async with rebuilding(bronze, shadow) as rebuilder:
        with pytest.raises(FatalError, match="damaged"):
            await rebuilder.run(last_seq=10)


async def test_it_can_be_stopped_while_it_rests_beside_live_traffic() -> None:
    bronze, shadow = await history(days=1, a_day=10), Shadow(TransientError("busy", 60))
    async with rebuilding(bronze, shadow, pressure=Pressure(5.0, 100_000, 1)) as rebuilder:
        running = asyncio.create_task(rebuilder.run(last_seq=10))
        await until(lambda: rebuilder.error == "busy")
        rebuilder.stop()
        await asyncio.wait_for(running, 5)
    assert shadow.numbers == []


class Few(Numbers):
    """Stops after three events, as the mapper does where events give very many rows."""

    def run(self, compiled: CompiledMapping, frames: Sequence[Frame], version: int = 0) -> Mapped:
        rest = after(frames, frames[0].first_seq + 2)
        kept = frames[0].lines.split(b"\n")[:3]
        first = frames[0].first_seq
        if not rest:
            return super().run(compiled, frames, version)
        return super().run(compiled, [Frame(first, 3, frames[0].received_us, b"\n".join(kept))], version)


async def test_nothing_is_left_out_where_the_mapper_stops_early() -> None:
    bronze, shadow = await history(days=2, a_day=10), Shadow()
    async with rebuilding(bronze, shadow, Few()) as rebuilder:
        await rebuilder.run(last_seq=20)
    assert shadow.numbers == list(range(1, 21))
    assert rebuilder.at == Progress(20, Outcome(stored=20))
