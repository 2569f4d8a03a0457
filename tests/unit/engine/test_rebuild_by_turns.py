"""What several nodes have received, rebuilt into one shadow: this node's first, or by turns in the order of receipt."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from appliance.components.bronze import BronzeLog
from appliance.components.generations import Generation
from appliance.components.silver import Batch, Progress, Table
from appliance.domain.ids import PipelineId
from appliance.engine import by_receipt
from appliance.engine.batches import Course
from appliance.engine.by_receipt import ByReceipt
from appliance.engine.read_ahead import Lost
from appliance.engine.rebuild import Rebuilder
from appliance.engine.rebuilding import Rebuilding
from appliance.engine.refine import Means
from appliance.engine.throttle import Pressure
from appliance.engine.workers import Workers
from appliance.errors import TransientError
from appliance.storage.bronze_cluster import ClusterBronze, Own, PartitionLog
from tests.fakes.bronze import MemoryBronzeLog
from tests.fakes.holders import FakeHolders, holder
from tests.fakes.refining import BOILERS, COLUMNS, Compiled, Numbers, append

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TWO = 2 << 44
SHADOW = Table(BOILERS, COLUMNS, generation=2)


class Shadow:
    """One generation, number 2, of any partitions."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.reached: dict[int, Progress] = {}
        self.generations = SimpleNamespace(all=self.all)

    def all(self, pipeline_id: PipelineId) -> list[Generation]:
        own = self.reached.get(0, Progress())
        return [Generation(2, False, 1, own, NOW, dict(self.reached))]

    def commit(self, batch: Batch) -> Progress:
        self.numbers += batch.rows["number"].to_pylist()
        self.reached[batch.first_seq >> 44] = Progress(batch.last_seq)
        return Progress(batch.last_seq)


class Silent(PartitionLog):
    def read(self, *_: object) -> Sequence[object]:  # type: ignore[override]
        raise TransientError("node 'node-2' does not answer")


async def events(log: MemoryBronzeLog, *received: tuple[int, int]) -> None:
    """Have ``log`` receive each (second, number)."""
    for second, number in received:
        await append(log, str(number).encode(), at=NOW + timedelta(seconds=second))


class Two:
    """Two nodes' logs as the first sees them, and what rebuilds both."""

    def __init__(self, *, silent: bool = False) -> None:
        self.here, self.there, self.shadow = MemoryBronzeLog(), MemoryBronzeLog(), Shadow()
        holders = FakeHolders(holder(2))
        holders.received[BOILERS] = [2]
        log: BronzeLog = (Silent if silent else PartitionLog)(self.there, 2)
        self.bronze = ClusterBronze(Own(0, self.here), holders, lambda _: log)
        self.workers = Workers({"replay": 2, "rebuild": 1})
        self.ends = {0: 0, 2: TWO}

    def rebuilding(self, *, ordered: bool) -> Rebuilding:
        self.ends = {0: self.here.last_seq(BOILERS), 2: TWO + self.there.last_seq(BOILERS)}
        means = Means(self.bronze, self.shadow, Numbers(), self.workers)  # type: ignore[arg-type]

        def make() -> Rebuilder:
            return Rebuilder(Course(BOILERS, 7, Compiled(), SHADOW, True), means, Pressure, lambda _: None)

        order = ByReceipt(self.bronze, self.workers, BOILERS) if ordered else None
        return Rebuilding(make, self.shadow.all(BOILERS)[0], 0, order)


async def test_this_nodes_own_come_first_and_all_are_there() -> None:
    two = Two()
    await events(two.here, (1, 11), (4, 14))
    await events(two.there, (2, 22), (3, 23))
    rebuilding = two.rebuilding(ordered=False)
    assert rebuilding.left(two.ends) == 4
    await rebuilding.run(two.ends)
    assert two.shadow.numbers == [11, 14, 22, 23]
    assert (rebuilding.at(0), rebuilding.at(2), rebuilding.left(two.ends)) == (2, TWO + 2, 0)
    await events(two.here, (9, 99))
    await rebuilding.run({0: 3, 2: TWO + 2})
    assert two.shadow.numbers == [11, 14, 22, 23, 99]


async def test_where_the_order_matters_they_come_as_they_were_received() -> None:
    two = Two()
    await events(two.here, (1, 11), (4, 14), (5, 15), (9, 19))
    await events(two.there, (2, 22), (3, 23), (6, 26))
    await two.rebuilding(ordered=True).run(two.ends)
    assert two.shadow.numbers == [11, 22, 23, 14, 15, 26, 19]


async def test_a_long_history_takes_so_many_turns_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_receipt, "MOST_TURNS", 4)
    two = Two()
    await events(two.here, *((2 * n, n) for n in range(20)))
    await events(two.there, *((2 * n + 1, 100 + n) for n in range(20)))
    await two.rebuilding(ordered=True).run(two.ends)
    assert sorted(two.shadow.numbers) == [*range(20), *range(100, 120)]
    assert two.shadow.numbers[:10] == list(range(10))  # a quarter of what there is, though others were received between


async def test_in_a_hurry_a_silent_node_is_told_at_once() -> None:
    two = Two(silent=True)
    await events(two.here, (1, 11))
    await events(two.there, (2, 22))
    rebuilding = two.rebuilding(ordered=False)
    rebuilding.hurry = True
    with pytest.raises(TransientError, match="node 'node-2' does not answer"):
        await rebuilding.run(two.ends)
    assert two.shadow.numbers == [11]


async def test_what_has_expired_is_lost_also_by_turns() -> None:
    two = Two()
    await events(two.here, (1, 11))
    with pytest.raises(Lost, match=f"event {TWO + 1} of pl_boilers has expired"):
        await two.rebuilding(ordered=True).run({0: 1, 2: TWO + 1})
