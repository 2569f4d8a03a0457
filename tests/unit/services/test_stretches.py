"""Which stored events a stretch means, also where the oldest have gone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from appliance.domain.event import Delivery, Envelope
from appliance.domain.ids import PipelineId
from appliance.errors import Invalid
from appliance.services.stretches import Stretch, find, problems_of, stored
from appliance.storage.bronze_cluster import ClusterBronze, Own, PartitionLog
from tests.fakes.bronze import MemoryBronzeLog
from tests.fakes.holders import FakeHolders, holder

BOILERS = PipelineId("pl_boilers")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
async def bronze() -> MemoryBronzeLog:
    """Ten events, two each hour from noon; the first two have expired."""
    log = MemoryBronzeLog()
    for hour in range(5):
        at = NOON + timedelta(hours=hour)
        await log.append(BOILERS, Delivery(Envelope(received_at=at, source="t"), [b"1", b"2"]))
    log.upkeep.expire(BOILERS, before=NOON + timedelta(minutes=1), keep_bytes=None, up_to=10)
    return log


@pytest.mark.parametrize(
    ("stretch", "most", "expected", "matching"),
    [
        ({"last": 3}, 100, [8, 9, 10], 3),
        ({"last": 100}, 100, [3, 4, 5, 6, 7, 8, 9, 10], 8),
        ({"first_seq": 1, "last_seq": 4}, 100, [3, 4], 2),
        ({"last_seq": 5}, 100, [3, 4, 5], 3),
        ({"first_seq": 9, "last_seq": 99}, 100, [9, 10], 2),
        ({"first_seq": 50}, 100, [], 0),
        ({"from": "2026-01-31T13:00:00Z", "to": "2026-01-31T15:00:00Z"}, 100, [3, 4, 5, 6], 4),
        ({"from": "now-1h"}, 100, [9, 10], 2),
        ({"to": "2026-01-31T12:30:00Z"}, 100, [], 0),
        ({"last": 8}, 3, [8, 9, 10], 8),  # the newest of it
    ],
)
async def test_a_stretch_is_found(
    bronze: MemoryBronzeLog, stretch: dict[str, Any], most: int, expected: list[int], matching: int
) -> None:
    found = find(bronze, BOILERS, msgspec.convert(stretch, Stretch), most, NOON + timedelta(hours=5))
    seqs = [seq for frame in found.frames for seq in range(frame.first_seq, frame.last_seq + 1)]
    assert (seqs, found.matching, found.events) == (expected, matching, len(expected))


def test_a_moment_that_is_none_is_told_with_its_place() -> None:
    with pytest.raises(Invalid) as told:
        find(MemoryBronzeLog(), BOILERS, Stretch(from_="soon", to="later"), 10, NOON)
    assert [one.pointer for one in told.value.problems] == ["/range/from", "/range/to"]


@pytest.mark.parametrize("stretch", [{}, {"last": 1, "first_seq": 1}, {"from": "now", "last": 1}])
def test_a_stretch_is_named_in_one_way(stretch: dict[str, Any]) -> None:
    (problem,) = problems_of(msgspec.convert(stretch, Stretch), "/range")
    assert problem.message == "expected one of 'from' and 'to', or 'first_seq' and 'last_seq', or 'last'"


MINUTE = timedelta(minutes=1)
THERE = 52_776_558_133_248  # 3 · 2^44


@pytest.fixture
async def cluster(bronze: MemoryBronzeLog) -> ClusterBronze:
    """The same events here; at another node, with partition 3, two a minute after each of them and one much earlier."""
    there = PartitionLog(MemoryBronzeLog(), 3)
    await there.append(BOILERS, Delivery(Envelope(received_at=NOON - timedelta(hours=9), source="t"), [b"0"]))
    for hour in range(5):
        at = NOON + timedelta(hours=hour) + MINUTE
        await there.append(BOILERS, Delivery(Envelope(received_at=at, source="t"), [b"1", b"2"]))
    holders = FakeHolders(holder(3))
    holders.received[BOILERS] = [3]
    return ClusterBronze(Own(0, bronze), holders, lambda _: there)


@pytest.mark.parametrize(
    ("stretch", "most", "here", "there", "matching"),
    [
        ({"last": 3}, 100, [10], [10, 11], 3),  # the newest are there, since they came a minute later
        ({"last": 4}, 3, [10], [10, 11], 4),
        ({"last": 5}, 100, [9, 10], [9, 10, 11], 5),
        ({"last": 100}, 100, range(3, 11), range(1, 12), 19),  # 8 are held here, 11 there
        ({"from": "2026-01-31T13:00:30Z", "to": "2026-01-31T15:00:30Z"}, 100, [5, 6, 7, 8], [4, 5, 6, 7], 8),
        ({"to": "2026-01-31T12:00:00Z"}, 100, [], [1], 1),
        ({"from": "now-1h"}, 100, [9, 10], [10, 11], 4),
        ({"first_seq": 9, "last_seq": 99}, 100, [9, 10], [], 2),
        ({"first_seq": 9, "last_seq": THERE + 1}, 100, [9, 10], [1], 3),
        ({"first_seq": THERE + 10}, 100, [], [10, 11], 2),
    ],
)
async def test_a_stretch_reaches_over_all_partitions(
    cluster: ClusterBronze, stretch: dict[str, Any], most: int, here: list[int], there: list[int], matching: int
) -> None:
    found = find(cluster, BOILERS, msgspec.convert(stretch, Stretch), most, NOON + timedelta(hours=5))
    seqs = [seq for frame in found.frames for seq in range(frame.first_seq, frame.last_seq + 1)]
    assert seqs == [*here, *(THERE + seq for seq in there)]
    assert found.matching == matching


def test_what_is_stored_is_counted_over_all_partitions(cluster: ClusterBronze) -> None:
    assert stored(cluster, BOILERS) == 19  # 8 and 11
    assert stored(cluster.of(0), BOILERS) == 8
