"""A node that only looks: what it shows of pipelines that others run, and when it looks at their rows anew."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from appliance.components.partitions import Share
from appliance.components.silver import Column, Progress, Table
from appliance.domain.ids import NodeId, OrganisationId, PipelineId
from appliance.domain.ledger import Ledger, Outcome
from appliance.domain.mapping import FieldType
from appliance.domain.node import Card, Doing, Load, Node, NodeState
from appliance.domain.pipeline import State
from appliance.domain.stats import LiveStats
from appliance.engine.elsewhere import NOBODY, UNTAKEN, Elsewhere
from appliance.engine.hot_cache import HotCache
from appliance.engine.onlooker import Onlooker
from appliance.engine.topics import Hub
from appliance.engine.workers import Workers
from appliance.errors import TransientError

PIPE = PipelineId("pl_1")
AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
Said = list[tuple[Node, dict[PipelineId, Doing]]]


def node(name: str, state: NodeState = NodeState.RUNNING) -> Node:
    card = Card(
        id=NodeId(name), life="1", name=name, role="ingestor", address=f"http://{name}:8080", version="1", offers=(),
        every_secs=3.0,
    )  # fmt: skip
    return Node(card=card, state=state, started_at=AT, seen_at=AT, load=Load())


def doing(rate: float = 0.0, error: str | None = None, state: State = State.RUNNING, minute: int = 0) -> Doing:
    stats = LiveStats(
        rate_per_sec=rate, lag_events=7, lag_secs=rate, last_received_at=AT.replace(minute=minute), last_error=error,
        ledger=Ledger(9, 2, 0, 0, 0, 7),
    )  # fmt: skip
    return Doing(state, stats)


def test_numbers_of_several_nodes_are_one() -> None:
    elsewhere = Elsewhere()
    elsewhere.said = [
        (node("anna"), {PIPE: doing(1.5, minute=1)}),
        (node("bert"), {PIPE: doing(2.25, "its disk is full")}),
        (node("cora", NodeState.GONE), {PIPE: doing(8.0, "gone", State.FAILED, minute=2)}),
    ]
    stats = elsewhere.stats(PIPE)
    assert (stats.rate_per_sec, stats.lag_secs, stats.last_error) == (3.75, 2.25, "its disk is full")
    assert stats.last_received_at == AT.replace(minute=2)
    assert (stats.ledger.received, stats.lag_events) == (0, 0)  # Shares adds what was received
    assert not elsewhere.failed(PIPE)  # the one that failed is gone
    elsewhere.said = [(node("anna"), {PIPE: doing(state=State.FAILED)})]
    assert elsewhere.failed(PIPE)


def test_what_nobody_runs_says_so_but_not_at_once() -> None:
    elsewhere = Elsewhere()
    assert (elsewhere.told(), elsewhere.stats(PIPE, new=True).last_error) == (NOBODY, NOBODY)
    elsewhere.said = [(node("anna"), {}), (node("bert"), {})]
    assert elsewhere.told() == "anna at http://anna:8080 or bert at http://bert:8080"
    assert elsewhere.stats(PIPE, new=True).last_error is None
    assert elsewhere.stats(PIPE).last_error == UNTAKEN


class Registry:
    """Says what it is told to say."""

    def __init__(self) -> None:
        self.says: Said | Exception = [(node("anna"), {PIPE: doing()})]

    def doings(self) -> Said:
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


class Silver:
    def __init__(self) -> None:
        self.seqs, self.asked = [1], 0

    def records(self, table: Table, query: Any) -> pa.Table:
        self.asked += 1
        time = pa.array([AT] * len(self.seqs), pa.timestamp("us", "UTC"))
        return pa.table(
            {
                "_time": time,
                "_seq": pa.array(self.seqs, pa.int64()),
                "_item": pa.array([0] * len(self.seqs), pa.int32()),
                "_extra": pa.array([None] * len(self.seqs), pa.string()),
                "device": ["b"] * len(self.seqs),
            }
        )


@dataclass
class Scene:
    """The parts of an engine that an onlooker uses."""

    workers: Workers
    hub: Hub = field(default_factory=Hub)
    rows: Silver = field(default_factory=Silver)
    registry: Registry = field(default_factory=Registry)
    elsewhere: dict[PipelineId, dict[int, Share]] = field(default_factory=dict)
    changed: list[PipelineId] = field(default_factory=list)

    def __post_init__(self) -> None:
        table = Table(PIPE, (Column("device", FieldType.STRING),))
        refiner = SimpleNamespace(progress=Progress(), course=SimpleNamespace(table=table))
        pipeline = SimpleNamespace(id=PIPE, organisation_id=OrganisationId("org_1"))
        self.run = SimpleNamespace(pipeline=pipeline, refiner=refiner, cache=HotCache(table))
        self.told = Elsewhere()
        self.onlooker = Onlooker(self, self.told, self.registry, self.changed.append)  # type: ignore[arg-type]

    def runs(self) -> list[Any]:
        return [self.run]

    def silver(self, _: OrganisationId) -> Silver:
        return self.rows

    def snapshot(self, _: PipelineId) -> bytes:
        return b"snapshot of %d" % len(self.run.cache.rows())

    def stored(self, events: int) -> None:
        self.rows.seqs = list(range(1, events + 1))
        self.elsewhere = {PIPE: {0: Share(events, Progress(events, Outcome(stored=events)))}}


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    workers = Workers({"control": 1, "read": 1})
    yield Scene(workers)
    workers.close()


async def test_rows_are_read_again_when_there_are_others_and_only_then(scene: Scene) -> None:
    async with scene.hub.mailbox() as mailbox:
        mailbox.follow("pipeline:pl_1")
        scene.stored(2)
        await scene.onlooker.look()
        assert [row["_seq"] for row in scene.run.cache.rows()] == [1, 2]
        assert (await mailbox.get(), scene.changed) == (b"snapshot of 2", [PIPE])
        await scene.onlooker.look()
        assert (scene.rows.asked, scene.changed) == (1, [PIPE])
        scene.elsewhere[PIPE][0] = Share(2, Progress(2, Outcome(stored=1, filtered=1)))  # one was erased
        scene.rows.seqs = [2]
        await scene.onlooker.look()
        assert (await mailbox.get(), scene.rows.asked) == (b"snapshot of 1", 2)


async def test_after_news_rows_come_by_themselves_but_not_to_who_has_just_come(scene: Scene) -> None:
    scene.stored(3)
    scene.onlooker.committed(PIPE)
    async with scene.hub.mailbox() as mailbox:
        mailbox.follow("pipeline:pl_1")
        await scene.onlooker.look()
        assert (await mailbox.get(), scene.changed) == (b"snapshot of 3", [])
        scene.onlooker._followed["pipeline:pl_1"] -= 60  # it has followed for long: others know
        scene.stored(4)
        scene.onlooker.committed(PIPE)
        await scene.onlooker.look()
        scene.hub.publish("pipeline:pl_1", b"the next")
        assert (await mailbox.get(), scene.changed) == (b"the next", [])
        assert len(scene.run.cache.rows()) == 4


async def test_what_cannot_be_seen_stays_as_it_was_and_is_looked_at_later(scene: Scene) -> None:
    scene.stored(1)
    await scene.onlooker.look()
    scene.registry.says = TransientError("the database is away")
    scene.stored(2)
    scene.onlooker.committed(PIPE)
    await scene.onlooker.look()
    assert (len(scene.run.cache.rows()), scene.told.living[0].card.name) == (1, "anna")
    scene.registry.says = []
    await scene.onlooker.look()
    assert (len(scene.run.cache.rows()), scene.told.living) == (2, [])
