"""Deliveries with an id, as they are named for a store that several nodes share, and as people see them."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from appliance.components.bronze import BronzeLog
from appliance.components.deliveries import CLAIM_SCHEMA
from appliance.components.mapper import CompiledMapping, Mapped
from appliance.components.silver import Batch, Progress, Table
from appliance.domain.event import Delivery, Envelope, Frame
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.engine.batches import Course
from appliance.engine.deliveries import claim_past, claims_of
from appliance.engine.read_ahead import Pace, Pile, ReadAhead
from appliance.engine.refine import Commit, Means, Refiner
from appliance.engine.workers import Workers
from appliance.errors import TransientError
from tests.fakes.bronze import MemoryBronzeLog
from tests.fakes.holders import FakeHolders, holder
from tests.fakes.refining import BOILERS, COLUMNS, Compiled, Numbers

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOON_US = 1795348800000000  # date -u -d 2026-11-22T12:00:00Z +%s → 1795348800


def name_of(delivery_id: str, pipeline_id: str = BOILERS) -> bytes:
    return hashlib.blake2b(f"{pipeline_id}/{delivery_id}".encode(), digest_size=16).digest()


def told(claims: pa.Table | None) -> list[tuple[Any, ...]]:
    assert claims is not None
    assert claims.schema == CLAIM_SCHEMA
    return [tuple(one.values())[:4] for one in claims.to_pylist()]


def test_each_delivery_with_an_id_is_named_with_its_events() -> None:
    frames = [
        Frame(7, 2, NOON_US, b"7\n8", (), None, "x", 5),  # the tail of events 5 to 8
        Frame(9, 1, NOON_US, b"9"),
        Frame(10, 3, NOON_US, b"10\n11\n12", (), None, "y", 10),
        Frame(13, 1, NOON_US, b"13", (), None, "z", 13),
    ]
    claims = claims_of(BOILERS, frames, 11)
    assert told(claims) == [(name_of("x"), 5, 7, 8), (name_of("y"), 10, 10, 11)]
    assert claims is not None
    assert claims["received_at"].to_pylist() == [NOON, NOON]
    assert claims_of(BOILERS, frames[1:2], 9) is None


def test_the_same_id_in_two_pipelines_names_two_deliveries() -> None:
    frames = [Frame(1, 1, NOON_US, b"1", (), None, "x", 1)]
    assert told(claims_of(PipelineId("pl_other"), frames, 1)) == [(name_of("x", "pl_other"), 1, 1, 1)]
    assert name_of("x", "pl_other") != name_of("x")


class Shared(MemoryBronzeLog):
    """A log among those of so many nodes."""

    def __init__(self, nodes: int) -> None:
        super().__init__()
        self.holders = FakeHolders(*map(holder, range(nodes)))


class Seen(Numbers):
    """Gives rows their number."""

    def run(self, compiled: CompiledMapping, frames: Sequence[Frame], version: int = 0) -> Mapped:
        mapped = super().run(compiled, frames, version)
        seqs = range(frames[0].first_seq, frames[-1].last_seq + 1)
        return Mapped(
            mapped.rows.append_column("_seq", pa.array(seqs, pa.int64())), mapped.dead, mapped.outcome,
            mapped.first_seq, mapped.last_seq,
        )  # fmt: skip


class Store:
    """Has event 2 as another one."""

    def __init__(self) -> None:
        self.claims: list[pa.Table | None] = []
        self.asked: list[tuple[int, int]] = []
        self.deliveries = self

    def progress(self, pipeline_id: PipelineId) -> Progress:
        return Progress()

    def commit(self, batch: Batch) -> Progress:
        self.claims.append(batch.claims)
        moved = Outcome(stored=-1, duplicate=1) if batch.claims is not None else Outcome()
        return Progress(batch.last_seq, batch.outcome + moved)

    def repeated(self, pipeline_id: PipelineId, first_seq: int, last_seq: int) -> list[tuple[int, int]]:
        self.asked.append((first_seq, last_seq))
        return [(2, 2)]


async def received(nodes: int) -> Shared:
    bronze = Shared(nodes)
    for number in (1, 2, 3):
        envelope = Envelope(received_at=NOON, source="webhook", delivery_id=f"dl_{number}")
        await bronze.append(BOILERS, Delivery(envelope, [str(number).encode()]))
    return bronze


def refined(bronze: Shared, store: Any) -> Commit:
    workers = Workers({"refine": 1})
    course = Course(BOILERS, 1, Compiled(), Table(BOILERS, COLUMNS), persist=True)
    refiner = Refiner(course, Means(bronze, store, Seen(), workers), lambda _: None)
    try:
        done = refiner._refine_once(course, 0)
    finally:
        workers.close()
    assert isinstance(done, Commit)
    return done


async def test_of_what_is_stored_as_other_events_nothing_is_shown() -> None:
    store = Store()
    done = refined(await received(nodes=2), store)
    assert told(store.claims[0]) == [(name_of(f"dl_{n}"), n, n, n) for n in (1, 2, 3)]
    assert done.rows["number"].to_pylist() == [1, 3]
    assert store.asked == [(1, 3)]


async def test_a_lone_node_claims_nothing_and_asks_nothing() -> None:
    store = Store()
    assert refined(await received(nodes=1), store).rows["number"].to_pylist() == [1, 2, 3]
    assert (store.claims, store.asked) == ([None], [])


@pytest.mark.parametrize(("nodes", "expected"), [(2, ["dl_1", "dl_2", "dl_3"]), (1, [])])
async def test_what_is_refined_again_claims_as_it_did(nodes: int, expected: list[str]) -> None:
    bronze, workers = await received(nodes), Workers({"replay": 1, "rebuild": 1})
    course = Course(BOILERS, 1, Compiled(), Table(BOILERS, COLUMNS, generation=2), persist=True)
    means: Any = Means(bronze, Store(), Seen(), workers)  # type: ignore[arg-type]
    pile = Pile(course)
    for span in ((0, 2), (2, 3)):
        ahead = ReadAhead(course, means, Pace(), span)
        while (taken := await ahead.next(beside=False)) is not None:
            pile.add(taken)
    workers.close()
    batch = pile.batch()
    assert (batch.first_seq, batch.last_seq) == (1, 3)
    assert ([] if batch.claims is None else batch.claims["id"].to_pylist()) == list(map(name_of, expected))


class Others(Shared):
    """This log is that of partition 1; ``others`` are the logs of the nodes that answer."""

    def __init__(self, others: dict[int, BronzeLog]) -> None:
        super().__init__(3)
        self.others = others

    def last_seq(self, pipeline_id: PipelineId) -> int:
        return (1 << 44) + super().last_seq(pipeline_id)

    def partitions(self, pipeline_id: PipelineId) -> list[int]:
        return [0, 1, 2]

    def of(self, partition: int) -> BronzeLog:
        if partition not in self.others:
            raise TransientError(f"the node of partition {partition} does not answer")
        return self.others[partition]


class Claiming:
    def __init__(self, refined: dict[int, int]) -> None:
        self.deliveries, self.refined = self, refined
        self.claimed: list[tuple[Any, ...]] = []

    def partitions(self, pipeline_ids: Sequence[PipelineId]) -> dict[PipelineId, dict[int, Progress]]:
        return {BOILERS: {of: Progress(seq) for of, seq in self.refined.items()}}

    def claim(self, pipeline_id: PipelineId, claims: pa.Table) -> None:
        self.claimed += told(claims)


async def test_what_the_others_refined_in_the_last_day_is_claimed_before_the_first_event() -> None:
    first = await received(nodes=1)  # three events, at noon
    late = Envelope(received_at=NOON + timedelta(hours=2), source="webhook", delivery_id="dl_4")
    await first.append(BOILERS, Delivery(late, [b"4", b"5"]))
    store: Any = Claiming({0: 4, 1: 1 << 44, 2: (2 << 44) + 9})
    claim_past(store, Others({0: first}), BOILERS, lambda: NOON + timedelta(hours=24))
    assert store.claimed == [(name_of(f"dl_{n}"), n, n, n) for n in (1, 2, 3)] + [(name_of("dl_4"), 4, 4, 4)]
    store.claimed.clear()
    claim_past(store, Others({0: first}), BOILERS, lambda: NOON + timedelta(hours=25))
    assert store.claimed == [(name_of("dl_4"), 4, 4, 4)]


async def test_a_lone_node_has_no_past_to_claim() -> None:
    store: Any = Claiming({0: 3})
    claim_past(store, await received(nodes=1), BOILERS)
    assert store.claimed == []
