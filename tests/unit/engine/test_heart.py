"""The heartbeat: what a node hears of itself, and what it says while nobody hears it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from appliance.domain.ids import NodeId
from appliance.domain.node import Card, Load, Node, NodeState
from appliance.engine.bells import Bell
from appliance.engine.heart import Heart
from appliance.engine.workers import Workers
from appliance.errors import FatalError, TransientError

CARD = Card(
    id=NodeId("node_a"), life="1", name="anna", role="all", address="http://x", version="1", offers=(), every_secs=60.0,
)  # fmt: skip


class Registry:
    """Says what it is told to say, and remembers what it was told."""

    def __init__(self) -> None:
        self.says: NodeState | Exception = NodeState.RUNNING
        self.entered = self.left = 0
        self.loads: list[Load] = []

    def enter(self, card: Card) -> None:
        self._or_raise()
        self.entered += 1

    def beat(self, card: Card, load: Load) -> NodeState:
        self.loads.append(load)
        return self._or_raise()

    def leave(self, card: Card) -> None:
        self.left += 1

    def nodes(self) -> list[Node]:
        return []

    def _or_raise(self) -> NodeState:
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    workers = Workers({"control": 1})
    yield workers
    workers.close()


async def test_it_hears_that_it_is_to_drain_and_tells_whoever_asked(workers: Workers) -> None:
    registry, told = Registry(), list[NodeState]()
    heart = Heart(registry, CARD, lambda: Load(jobs=2), workers, Bell())
    heart.changed.append(told.append)
    await heart.beat()
    assert (heart.draining, told, registry.loads) == (False, [], [Load(jobs=2)])
    registry.says = NodeState.DRAINING
    await heart.beat()
    await heart.beat()
    assert (heart.draining, told) == (True, [NodeState.DRAINING])


async def test_a_ring_makes_it_beat_at_once(workers: Workers) -> None:
    registry, bell = Registry(), Bell()
    heart = Heart(registry, CARD, Load, workers, bell)
    task = asyncio.create_task(heart.run())
    async with asyncio.timeout(10):
        for beats in (1, 2, 3):
            while len(registry.loads) < beats:  # noqa: ASYNC110 - what is waited for happens in a thread
                await asyncio.sleep(0.005)
            bell.ring()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert registry.entered == 1


async def test_a_database_that_is_away_is_told_of_once_it_is_back(workers: Workers) -> None:
    registry = Registry()
    heart = Heart(registry, CARD, Load, workers, Bell())
    registry.says = TransientError("the database is away")
    await heart.beat()
    assert (heart.trouble, heart.state, registry.entered) == ("the database is away", NodeState.RUNNING, 0)
    registry.says = NodeState.RUNNING
    await heart.beat()
    assert (heart.trouble, registry.entered) == (None, 1)
    assert heart.silent_secs() < 5


async def test_another_process_that_runs_as_this_node_makes_it_let_go(workers: Workers) -> None:
    registry, told = Registry(), list[NodeState]()
    heart = Heart(registry, CARD, Load, workers, Bell())
    heart.changed.append(told.append)
    await heart.beat()
    registry.says = FatalError("node 'node_a' is another process now", hint="stop one of the two")
    await heart.beat()
    assert told == [NodeState.GONE]
    assert heart.trouble == "node 'node_a' is another process now: stop one of the two"
