"""All logs as one: what names an event goes to its partition, everything else stays here."""

import pytest

from appliance.components.bronze import BronzeLog, Correction
from appliance.components.partitions import Holder, Partitioned, logs_of
from appliance.domain.event import Receipt
from appliance.errors import Conflict, NotFound
from appliance.storage.bronze_cluster import ClusterBronze, NoLog, Own, PartitionLog
from tests.contract.bronze_adapters import ALL, NOON, OTHER, PIPE, content, delivery
from tests.fakes.bronze import MemoryBronzeLog
from tests.fakes.holders import FakeHolders, holder, nobody

TWO = 35_184_372_088_832  # 2 · 2^44


class Pair:
    """This node, with partition 0, and one other, with partition 2."""

    def __init__(self) -> None:
        self.holders = FakeHolders(holder(0), holder(2))
        self.holders.received[PIPE] = [0, 2]
        self.here, self.inner_there = MemoryBronzeLog(), MemoryBronzeLog()
        self.there: BronzeLog = PartitionLog(self.inner_there, 2)
        self.dialled: list[Holder] = []
        self.bronze = ClusterBronze(Own(0, self.here), self.holders, self.dial)

    def dial(self, holder: Holder) -> BronzeLog:
        self.dialled.append(holder)
        return self.there


@pytest.fixture
async def pair() -> Pair:
    pair = Pair()
    await pair.here.append(PIPE, delivery(b'"a1"', b'"a2"'))
    await pair.there.append(PIPE, delivery(b'"c1"', b'"c2"'))
    return pair


async def test_events_are_read_where_they_are(pair: Pair) -> None:
    bronze = pair.bronze
    assert content(bronze.read(PIPE, 1, *ALL)) == [(2, b'"a2"')]  # and not on into partition 2
    assert content(bronze.read(PIPE, TWO, *ALL)) == [(TWO + 1, b'"c1"'), (TWO + 2, b'"c2"')]
    assert (bronze.event(PIPE, 2).payload, bronze.event(PIPE, TWO + 2).payload) == (b'"a2"', b'"c2"')
    assert pair.dialled == [holder(2)]  # once, for all that was asked


async def test_what_names_no_event_is_about_this_node(pair: Pair) -> None:
    bronze = pair.bronze
    assert await bronze.append(PIPE, delivery(b'"a3"')) == Receipt(3, 3)
    assert (bronze.last_seq(PIPE), bronze.upkeep.first_seq(PIPE), bronze.upkeep.seq_at(PIPE, NOON)) == (3, 1, 1)
    assert [one.last_seq for one in bronze.segments(PIPE)] == [3]
    bronze.reach(OTHER, 4)
    assert bronze.pipelines() == [PIPE, OTHER]
    bronze.delete(PIPE)
    assert (pair.here.last_seq(PIPE), pair.inner_there.last_seq(PIPE)) == (0, 2)
    assert pair.dialled == []


async def test_erasing_and_correcting_is_done_in_each_partition(pair: Pair) -> None:
    keep = pair.bronze.upkeep
    assert keep.erase(PIPE, [TWO + 1, 2], "asked for", "ada") == 2
    keep.correct(PIPE, [Correction(TWO + 2, b"9", "", "", NOON), Correction(1, None, "", "", NOON)])
    assert [one.withdrawn for one in pair.here.read(PIPE, 0, *ALL)] == [(1, 2)]
    assert content(pair.inner_there.read(PIPE, 0, *ALL)) == [(1, b"null"), (2, b"9")]
    assert keep.correction(PIPE, TWO + 2) == Correction(TWO + 2, b"9", "", "", NOON)
    assert (keep.corrected(PIPE, 1, 2), keep.corrected(PIPE, TWO + 1, TWO + 2)) == ([1], [TWO + 2])
    with pytest.raises(ValueError, match="not in one partition"):
        keep.corrected(PIPE, 1, TWO + 2)


@pytest.mark.parametrize(
    ("seq", "told"),
    [(-1, "-1"), (17_592_186_044_417, "1:1"), (2**60, "1152921504606846976")],  # nobody has partition 1
)
async def test_events_that_no_node_can_have(pair: Pair, seq: int, told: str) -> None:
    for ask in (
        lambda: pair.bronze.event(PIPE, seq),
        lambda: pair.bronze.read(PIPE, seq, *ALL),
        lambda: pair.bronze.upkeep.erase(PIPE, [1, seq], "", ""),
        lambda: pair.bronze.upkeep.correct(
            PIPE, [Correction(1, None, "", "", NOON), Correction(seq, None, "", "", NOON)]
        ),
        lambda: pair.bronze.upkeep.correction(PIPE, seq),
    ):
        with pytest.raises(NotFound, match=f"event {told} of {PIPE}: "):
            ask()
    assert content(pair.here.read(PIPE, 0, *ALL)) == [(1, b'"a1"'), (2, b'"a2"')]  # nothing was done by halves


async def test_goes_over_all_partitions(pair: Pair) -> None:
    assert isinstance(pair.bronze, Partitioned)
    assert pair.bronze.partitions(PIPE) == [0, 2]
    assert pair.bronze.partitions(OTHER) == [0]  # this node's is always among them
    assert logs_of(pair.bronze, PIPE) == [pair.here, pair.there]
    assert [log.last_seq(PIPE) for log in logs_of(pair.bronze, PIPE)] == [2, TWO + 2]
    assert logs_of(pair.here, PIPE) == [pair.here]
    with pytest.raises(NotFound, match="partition 1 of Bronze is at no node"):
        pair.bronze.of(1)


async def test_a_node_that_moved_is_asked_where_it_is_now(pair: Pair) -> None:
    pair.bronze.event(PIPE, TWO + 1)
    moved = holder(2, "http://127.0.0.1:2")
    pair.holders.holders[2] = moved
    pair.bronze.event(PIPE, TWO + 1)
    assert pair.dialled == [holder(2), moved]


async def test_a_node_without_a_log_reads_and_says_what_it_cannot_do(pair: Pair) -> None:
    web = ClusterBronze(Own(None, NoLog(lambda: "anna at http://anna:1")), FakeHolders(holder(2)), pair.dial)
    assert web.event(PIPE, TWO + 1).payload == b'"c1"'
    assert web.partitions(PIPE) == []
    with pytest.raises(Conflict, match=r"receiving events is not possible on this node.* ask anna at http://anna:1"):
        await web.append(PIPE, delivery(b"1"))
    assert (web.last_seq(PIPE), web.upkeep.size(PIPE), web.segments(PIPE)) == (0, 0, [])
    await web.close()


async def test_closing_closes_everything() -> None:
    own = MemoryBronzeLog()
    bronze = ClusterBronze(Own(0, own), FakeHolders(), nobody)
    await bronze.close()
    assert own.refusing == "the log is closed"
