"""What nodes tell one another of what they have received, and how what one does to another's events is taken over."""

from types import SimpleNamespace
from typing import Any

import pytest

from appliance.components.partitions import Received, Share
from appliance.components.silver import Progress
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.ledger import Ledger, Outcome
from appliance.domain.partition import Partition
from appliance.engine.engine import Engine
from appliance.engine.shares import Lags, Shares
from appliance.engine.workers import Workers
from appliance.errors import TransientError
from appliance.storage.bronze_cluster import PartitionLog
from tests.contract.bronze_adapters import delivery
from tests.fakes.bronze import MemoryBronzeLog

PIPE = PipelineId("pl_boiler")
BASE = 17_592_186_044_416  # 2^44: nothing of partition 1


class Book:
    def __init__(self) -> None:
        self.said: dict[tuple[str, int], Received] = {}
        self.writes = 0
        self.away = False

    def publish(self, partition: int, changed: list[Received], gone: list[PipelineId]) -> None:
        self.writes += 1
        self.said |= {(one.pipeline_id, partition): one for one in changed}
        for pipeline_id in gone:
            del self.said[pipeline_id, partition]

    def published(self) -> list[Received]:
        if self.away:
            raise TransientError("the database does not answer")
        return list(self.said.values())


class Refiner:
    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.again: list[Progress] = []

    def amended(self, progress: Progress) -> None:
        self.progress = progress

    def exchanged(self, progress: Progress) -> None:
        self.again.append(progress)


class Node:
    """One with partition 1, its log in memory; ``refined``: what Silver says."""

    def __init__(self) -> None:
        self.log, self.book = PartitionLog(MemoryBronzeLog(), 1), Book()
        self.refined: dict[int, Progress] = {}
        self.refiner = Refiner(Progress(BASE))
        pipeline = SimpleNamespace(id=PIPE, organisation_id=OrganisationId("org_1"))
        self.workers = Workers({"control": 1})
        silver = SimpleNamespace(partitions=lambda ids: dict.fromkeys(ids, self.refined))
        parts: Any = SimpleNamespace(bronze=self.log, workers=self.workers, clock=None, disk=None, lookout=None)
        self.engine = Engine(parts)
        run: Any = SimpleNamespace(pipeline=pipeline, refiner=self.refiner)
        self.engine._runs[PIPE] = run
        self.engine.silver = lambda _: silver  # type: ignore[assignment,method-assign,return-value]
        self.shares = Shares(self.engine, self.log, Partition(1), self.book)


@pytest.fixture
def node() -> Node:
    return Node()


async def test_what_was_received_is_told_where_it_changed_and_what_is_gone_too(node: Node) -> None:
    await node.log.append(PIPE, delivery(b"1", b"2"))
    await node.shares.look()
    assert node.book.said == {(PIPE, 1): Received(PIPE, 1, BASE + 1, BASE + 2)}
    await node.shares.look()
    assert node.book.writes == 1
    node.log.delete(PIPE)
    await node.shares.look()
    assert node.book.said == {}


async def test_what_the_book_lacks_of_this_node_or_has_too_much_is_put_right(node: Node) -> None:
    await node.log.append(PIPE, delivery(b"1"))
    left = Received(PipelineId("pl_deleted"), 1, BASE + 1, BASE + 5)  # while this node was down
    node.book.publish(1, [left], [])
    for _ in range(2):
        await node.shares.look()
    assert list(node.book.said) == [(PIPE, 1)]
    node.book.said.clear()  # it was forgotten, and lives
    for _ in range(2):
        await node.shares.look()
    assert list(node.book.said) == [(PIPE, 1)]
    assert node.book.writes == 4  # the two of this test among them: what is right is not written again


async def test_the_share_of_another_node_is_balanced_whichever_is_known_first(node: Node) -> None:
    node.book.publish(0, [Received(PIPE, 0, 1, 9)], [])
    await node.shares.look()
    assert node.engine.elsewhere[PIPE][0] == Share(9, Progress(0))
    node.refined = {0: Progress(12, Outcome(stored=11, dead=1)), 5: Progress(5 * BASE + 3, Outcome(filtered=3))}
    await node.shares.look()
    ledgers = {number: share.ledger for number, share in node.engine.elsewhere[PIPE].items()}
    assert ledgers == {0: Ledger(12, 11, 0, 0, 1, 0), 5: Ledger(3, 0, 3, 0, 0, 0)}
    assert all(one.balanced for one in ledgers.values())


async def test_what_was_known_stays_while_the_database_is_away(node: Node) -> None:
    node.book.publish(0, [Received(PIPE, 0, 1, 9)], [])
    await node.shares.look()
    node.book.away = True
    await node.shares.look()
    assert node.engine.elsewhere[PIPE][0].last_seq == 9


async def test_what_another_node_made_of_events_refined_here_is_taken_over(node: Node) -> None:
    node.book.publish(0, [Received(PIPE, 0, 1, 9)], [])
    node.refiner.progress = Progress(BASE + 4, Outcome(stored=4))
    node.refined = {1: Progress(BASE + 4, Outcome(stored=3, duplicate=1))}
    await node.shares.look()
    assert node.refiner.progress == node.refined[1]
    node.refined = {}  # another generation is in use, and nothing of here is in it
    await node.shares.look()
    assert node.refiner.again == [Progress(BASE)]


async def test_what_was_refined_meanwhile_is_not_taken_back(node: Node) -> None:
    node.refiner.progress = Progress(BASE + 5, Outcome(stored=5))
    node.engine.counted(PIPE, Progress(BASE + 4), Progress(BASE))
    assert (node.refiner.again, node.refiner.progress.seq) == ([], BASE + 5)


def test_how_long_events_of_other_nodes_wait() -> None:
    def known(last: int, refined: int) -> dict[PipelineId, dict[int, Share]]:
        return {PIPE: {1: Share(BASE + last, Progress(BASE + refined))}}

    lags = Lags()
    told = [
        lags.longest(known(last, refined), now)
        for now, last, refined in (
            (10.0, 5, 5), (11.0, 9, 5), (12.5, 20, 8), (13.0, 20, 9), (14.0, 30, 9), (15.0, 30, 20), (16.0, 30, 30)
        )
    ]  # fmt: skip
    assert told == [0.0, 0.0, 1.5, 0.0, 1.0, 0.0, 0.0]
