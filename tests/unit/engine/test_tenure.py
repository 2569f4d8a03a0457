"""One node's side of taking turns at polling: poller, refiner, and what it withdraws. The other is a line in a book."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from appliance.components.nodes import Lease
from appliance.components.polls import Claim
from appliance.components.silver import Batch, Progress, Table
from appliance.components.source import Page
from appliance.domain.event import Delivery, Envelope
from appliance.domain.ledger import Outcome
from appliance.domain.partition import Partition
from appliance.domain.pipeline import State
from appliance.engine.batches import Course
from appliance.engine.engine import Engine, Parts
from appliance.engine.hot_cache import HotCache
from appliance.engine.poll import Poller
from appliance.engine.receive import Door, Receiver
from appliance.engine.refine import Means, Refiner
from appliance.engine.run import Run
from appliance.engine.tenure import WITHDRAWN, Tenure
from appliance.engine.turns import Turn, Turns
from appliance.engine.workers import Workers
from appliance.errors import Conflict, NotFound, TransientError
from tests.fakes.bronze import MemoryBronzeLog
from tests.fakes.polls import MemoryPolls
from tests.fakes.refining import BOILERS, COLUMNS, Compiled, Numbers, until
from tests.unit.engine.test_poll import Pages

HERE, THERE = Partition(0), Partition(1)
LEASE = Lease(f"poll:{BOILERS}", 1)
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


class Mapper(Numbers):
    """Leaves out what is withdrawn, as mappers do."""

    def run(self, compiled: object, frames: object, version: int = 0) -> object:
        mapped = super().run(compiled, frames, version)  # type: ignore[arg-type]
        gone = sum(len(frame.withdrawn) for frame in frames)  # type: ignore[attr-defined]
        return type(mapped)(
            mapped.rows, mapped.dead, Outcome(mapped.outcome.stored, filtered=gone), mapped.first_seq, mapped.last_seq
        )


class Store:
    """Rows of this node, committed only in the tenure that the book has."""

    def __init__(self, shared: MemoryPolls) -> None:
        self.polls = shared.of(HERE)
        self._shared = shared
        self.numbers: list[int] = []
        self.at = Progress()
        self.open = True

    def progress(self, pipeline_id: object) -> Progress:
        return self.at

    def commit(self, batch: Batch) -> Progress:
        if not self.open:
            raise TransientError("the database is away")
        if batch.first_seq != self.at.seq + 1:
            raise Conflict("somebody else wrote")
        if batch.polled is not None:
            self._shared.advance(HERE, batch.polled)
        self.numbers += batch.rows["number"].to_pylist()
        self.at = Progress(batch.last_seq, self.at.outcome + batch.outcome)
        return self.at


class Node:
    """This node, with everything that one pipeline has on it."""

    def __init__(self, source: Pages) -> None:
        self.bronze, self.workers = MemoryBronzeLog(), Workers({"refine": 1, "control": 1})
        self.lease: Lease | None = LEASE
        self.shared = MemoryPolls(lambda lease: True, lambda number: self.store.at.seq if number == HERE else 1 << 44)
        self.store = Store(self.shared)
        self.tenure = Tenure(BOILERS, self.bronze, self.store.polls, lambda: self.lease, lambda: NOON)
        turn = Turn(self.tenure, self.workers)
        receiver = Receiver(self.bronze, lambda: NOON)
        course = Course(BOILERS, 1, Compiled(), Table(BOILERS, COLUMNS), persist=True)
        means = Means(self.bronze, self.store, Mapper(), self.workers)  # type: ignore[arg-type]
        self.refiner = Refiner(course, means, lambda _: None, self.tenure)
        receiver.open(BOILERS, Door("http_poll", None, told=[lambda _: self.refiner.poke()]))
        self.poller = Poller(BOILERS, source, bronze=self.bronze, receiver=receiver, clock=lambda: NOON)
        self.poller.turn, turn.moved = turn, self.refiner.moved

    async def poll(self) -> None:
        await self.poller._poll_once()

    @asynccontextmanager
    async def refining(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.refiner.run())
        try:
            yield
        finally:
            self.refiner.stop()
            await task

    async def refine(self) -> None:
        """Refine all there is, and stop."""
        async with self.refining():
            assert await self.refiner.at_rest(5)
        self.refiner.resume()

    def another_takes_over(self) -> None:
        book = self.shared.of(THERE)
        book.claim(BOILERS, book.standing(BOILERS), Claim(LEASE, None))


@pytest.fixture
def source() -> Pages:
    return Pages()


@pytest.fixture
def node(source: Pages) -> Iterator[Node]:
    made = Node(source)
    yield made
    made.workers.close()


def page(number: int) -> Page:
    return Page([b"%d" % number], {"page": number}, f"page {number}")


async def test_who_keeps_polling_goes_on_from_its_own_log_and_withdraws_nothing(node: Node, source: Pages) -> None:
    source.polls = [[page(1), page(2)], [page(3)]]
    await node.poll()
    node.tenure.doubt()  # the lease was lost, and won again before anybody else had it
    await node.poll()
    assert source.asked_from == [None, {"page": 2}]
    await node.refine()
    assert (node.store.numbers, node.store.at.outcome) == ([1, 2, 3], Outcome(stored=3))
    assert node.shared.line == (HERE, 1, '{"page": 3}')


async def test_what_was_not_stored_when_another_took_over_is_withdrawn_and_counted(node: Node, source: Pages) -> None:
    source.polls = [[page(1)], [page(2), page(3)]]
    await node.poll()
    await node.refine()
    await node.poll()
    node.another_takes_over()
    await node.refine()
    assert (node.store.numbers, node.store.at) == ([1], Progress(3, Outcome(stored=1, filtered=2)))
    assert node.bronze.upkeep.corrected(BOILERS, 1, 3) == [2, 3]
    correction = node.bronze.upkeep.correction(BOILERS, 2)
    assert correction is not None
    assert (correction.payload, correction.reason, correction.by) == (None, WITHDRAWN, "takeover")


async def test_the_next_turn_begins_at_what_is_stored_and_takes_the_same_pages_again(node: Node, source: Pages) -> None:
    source.polls = [[page(1)], [page(2)], [page(2)]]
    await node.poll()
    await node.refine()
    await node.poll()
    node.another_takes_over()
    node.tenure.doubt()
    await node.poll()
    assert source.asked_from == [None, {"page": 1}, {"page": 1}]
    await node.refine()
    assert node.store.numbers == [1, 2]
    assert node.store.at.outcome == Outcome(stored=2, filtered=1)


async def test_what_came_without_a_checkpoint_is_nobody_elses_and_stays(node: Node, source: Pages) -> None:
    source.polls = [[page(1)]]
    await node.poll()
    envelope = Envelope(received_at=NOON, source="webhook")  # of when the pipeline had another source
    await node.bronze.append(BOILERS, Delivery(envelope, [b"7"]))
    node.another_takes_over()
    await node.refine()
    assert (node.store.numbers, node.store.at.outcome) == ([7], Outcome(stored=1, filtered=1))


async def test_what_is_too_much_to_be_corrected_is_erased(node: Node, source: Pages) -> None:
    source.polls = [[page(1), page(2)]]
    await node.poll()
    node.another_takes_over()

    def too_much(*_: object) -> None:
        raise Conflict("at most 1000000 events can be corrected")

    node.bronze.upkeep.correct = too_much  # type: ignore[method-assign]
    await node.refine()
    assert (node.store.numbers, node.store.at.outcome) == ([], Outcome(filtered=2))
    with pytest.raises(NotFound, match="erased"):
        node.bronze.event(BOILERS, 2)


async def test_events_count_as_withdrawn_only_when_they_are(node: Node, source: Pages) -> None:
    source.polls = [[page(1)]]
    await node.poll()
    node.another_takes_over()
    node.bronze.upkeep.correct = _refuse  # type: ignore[method-assign]
    node.tenure.doubt()
    with pytest.raises(TransientError, match="the disk refuses"):
        node.tenure.look()
    assert node.shared.accepted[HERE] == 0


def _refuse(*_: object) -> None:
    raise TransientError("the disk refuses")


async def test_without_the_lease_nothing_is_fetched(node: Node, source: Pages) -> None:
    node.lease = None
    source.polls = [[page(1)]]
    await node.poll()
    assert (node.poller.error, source.asked_from) == ("the lease to poll is another node's", [])
    node.lease = LEASE
    await node.poll()
    assert (node.poller.error, source.asked_from) == (None, [None])


async def test_what_was_fetched_in_a_turn_that_is_in_doubt_is_not_kept(node: Node, source: Pages) -> None:
    async def in_doubt(checkpoint: object) -> AsyncIterator[Page]:
        node.tenure.doubt()
        yield page(1)

    source.poll = in_doubt  # type: ignore[method-assign, assignment]
    await node.poll()
    assert node.poller.error == "another node may poll by now: what was fetched is not kept"
    assert node.bronze.last_seq(BOILERS) == 0


async def test_a_checkpoint_that_moves_without_events_is_known_to_the_next(node: Node, source: Pages) -> None:
    source.polls = [[page(1)], [Page((), {"page": 1, "etag": "x"})]]
    async with node.refining():
        await node.poll()
        await until(lambda: node.store.at.seq == 1)
        await node.poll()
        await until(lambda: node.shared.line == (HERE, 1, '{"page": 1, "etag": "x"}'))


@pytest.mark.parametrize("patience", [5.0, 0.0])
async def test_who_lets_go_waits_until_what_it_polled_is_stored(node: Node, source: Pages, patience: float) -> None:
    source.polls = [[page(1)], *([[]] * 100)]
    pipeline = type("Pipeline", (), {"id": BOILERS, "state": State.RUNNING})()
    run = Run(pipeline, node.refiner, node.poller, cache=HotCache(Table(BOILERS, COLUMNS)), bronze=node.bronze)
    node.store.open = False
    run.start()
    await until(lambda: node.bronze.last_seq(BOILERS) == 1 and node.refiner.error is not None)
    asyncio.get_running_loop().call_later(0.1, setattr, node.store, "open", True)
    await run.leave_polling(patience)
    assert node.store.numbers == ([1] if patience else [])
    await run.stop()


def test_a_store_that_only_one_node_has_knows_no_turns(node: Node) -> None:
    turns = Turns(node.bronze, node.workers, lambda _: LEASE)
    assert turns.of(BOILERS, node.store) is not None  # type: ignore[arg-type]
    assert turns.of(BOILERS, object()) is None  # type: ignore[arg-type]


async def test_a_replay_goes_no_further_than_rows_where_nodes_take_turns(node: Node, source: Pages) -> None:
    parts = Parts(node.bronze, lambda _: node.store, lambda *_: source, Mapper(), node.workers)  # type: ignore[arg-type, return-value]
    engine = Engine(parts)
    source.polls = [[page(1)], [page(2)]]
    await node.poll()
    await node.refine()
    await node.poll()
    pipeline = type("Pipeline", (), {"id": BOILERS, "state": State.RUNNING})()
    engine._runs[BOILERS] = Run(
        pipeline, node.refiner, node.poller, cache=HotCache(Table(BOILERS, COLUMNS)), bronze=node.bronze
    )
    assert engine.settled_seq(BOILERS) == 2  # a lone node withdraws nothing
    engine.turns = Turns(node.bronze, node.workers, lambda _: LEASE)
    assert engine.settled_seq(BOILERS) == 1
    engine._runs[BOILERS].poller = None  # what is pushed is nobody else's
    assert engine.settled_seq(BOILERS) == 2
