"""The log of another node, read over a real connection: the same answers as there, the same errors, no surprises."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from appliance.components.bronze import BronzeLog, Correction, Finding
from appliance.components.log_calls import Pong, Refused
from appliance.domain.event import Frame
from appliance.errors import (
    Conflict,
    DashError,
    FatalError,
    FrozenError,
    Invalid,
    NotFound,
    Problem,
    RateLimited,
    TransientError,
)
from appliance.storage.bronze import FileBronzeLog
from appliance.storage.bronze_cluster import ClusterBronze, Own, PartitionLog, RemoteLog
from tests.contract.bronze_adapters import ALL, NOON, OTHER, PIPE, content, delivery
from tests.fakes.bronze import MemoryBronzeLog
from tests.fakes.holders import FakeHolders
from tests.fakes.internal_room import calling, room, served

BASE = 52_776_558_133_248  # 3 · 2^44
BIG = 10**30  # no integer of msgpack
HOUR = timedelta(hours=1)
NODE = r"node 'node-3' at .*"


def correction(seq: int, payload: bytes | None) -> Correction:
    return Correction(seq, payload, "a typing error", "ada@example.org", NOON)


async def filled(log: PartitionLog) -> PartitionLog:
    """Ten deliveries of two events; three events erased, corrected and dropped, and lost numbers at the end."""
    for number in range(10):
        payloads = (b'{"n" : %d, "pad": "%0200d"}' % (number, number), b'{"m":\n%d}' % number)
        more = {"headers": {"user-agent": "caf\u00e9"}, "delivery_id": f"d{number}", "remote": "10.0.0.7"}
        at = NOON - (10 - number) * HOUR
        await log.append(PIPE, delivery(*payloads, received_at=at, checkpoint={"page": number, "id": BIG}, **more))
    log.upkeep.erase(PIPE, [BASE + 7], "asked for", "ada")
    log.upkeep.correct(PIPE, [correction(BASE + 8, b'{"n":"mended"}'), correction(BASE + 9, None)])
    log.reach(PIPE, BASE + 22)
    return log


LOGS: dict[str, Callable[[Path], BronzeLog]] = {
    "memory": lambda _: MemoryBronzeLog(),
    "file": lambda root: FileBronzeLog(root, clock=lambda: NOON, segment_bytes=900),
}


@pytest.fixture(params=LOGS)
async def there(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PartitionLog]:
    log = await filled(PartitionLog(LOGS[request.param](tmp_path), 3))
    yield log
    await log.close()


@pytest.fixture
def remote(there: PartitionLog) -> Iterator[RemoteLog]:
    with served(room(there)) as holder, calling() as caller:
        yield RemoteLog(holder, caller)


def test_every_answer_is_that_of_the_log_itself(remote: RemoteLog, there: PartitionLog) -> None:
    frames = remote.read(PIPE, BASE, *ALL)
    assert frames == there.read(PIPE, BASE, *ALL)
    assert [seq for one in frames for seq in one.withdrawn] == [BASE + 7, BASE + 9]
    assert [one.first_seq for one in frames if one.damaged] == [BASE + 21]
    for after, events, most in ((0, 3, 1 << 20), (7, 2, 1), (19, 99, 300), (22, 1, 1)):
        assert remote.read(PIPE, BASE + after, events, most) == there.read(PIPE, BASE + after, events, most)
    for seq in (1, 2, 8, 20):
        assert remote.event(PIPE, BASE + seq) == there.event(PIPE, BASE + seq)
    assert remote.event(PIPE, BASE + 20).envelope.checkpoint == {"page": 9, "id": BIG}
    assert remote.segments(PIPE) == there.segments(PIPE)
    for pipeline_id in (PIPE, OTHER):
        assert remote.last_seq(pipeline_id) == there.last_seq(pipeline_id)
        assert remote.checkpoint(pipeline_id) == there.checkpoint(pipeline_id)
        assert remote.read(pipeline_id, BASE, 5, 100) == there.read(pipeline_id, BASE, 5, 100)


def test_every_answer_of_upkeep_is_that_of_the_log_itself(remote: RemoteLog, there: PartitionLog) -> None:
    far, near = remote.upkeep, there.upkeep
    far.quarantined(PIPE)
    for pipeline_id in (PIPE, OTHER):
        assert far.first_seq(pipeline_id) == near.first_seq(pipeline_id)
        assert far.seq_at(pipeline_id, NOON - 5 * HOUR) == near.seq_at(pipeline_id, NOON - 5 * HOUR)
        assert far.corrected(pipeline_id, BASE, BASE + 99) == near.corrected(pipeline_id, BASE, BASE + 99)
        assert far.quarantined(pipeline_id) == near.quarantined(pipeline_id)
        assert far.size(pipeline_id) == near.size(pipeline_id)
    assert far.corrected(PIPE, BASE, BASE + 99) == [BASE + 8, BASE + 9]
    assert far.correction(PIPE, BASE + 8) == correction(BASE + 8, b'{"n":"mended"}')
    assert far.correction(PIPE, BASE + 1) is None


def test_what_is_changed_from_afar_is_changed_there(remote: RemoteLog, there: PartitionLog) -> None:
    assert remote.upkeep.erase(PIPE, [BASE + 1, BASE + 7], "asked for", "ada") == 1
    with pytest.raises(NotFound, match="it was erased"):
        there.event(PIPE, BASE + 1)
    remote.upkeep.correct(PIPE, [correction(BASE + 2, b"2")])
    remote.upkeep.correct(PIPE, [])
    assert there.upkeep.correction(PIPE, BASE + 2) == correction(BASE + 2, b"2")
    gone = remote.upkeep.expire(PIPE, before=NOON, keep_bytes=None, up_to=BASE + 10)
    assert gone.events == there.upkeep.first_seq(PIPE) - BASE - 1
    assert gone.events in (2, 4, 6, 8, 10)  # whole segments only


def test_many_corrections_go_in_several_calls(remote: RemoteLog, there: PartitionLog) -> None:
    large = b'"%s"' % (b"x" * (7 << 20))
    remote.upkeep.correct(PIPE, [correction(BASE + seq, large) for seq in (2, 3, 4)])
    assert there.upkeep.corrected(PIPE, BASE + 1, BASE + 4) == [BASE + 2, BASE + 3, BASE + 4]
    assert remote.upkeep.correction(PIPE, BASE + 4) == correction(BASE + 4, large)


def test_one_answer_has_a_bounded_number_of_bytes_and_goes_on(tmp_path: Path) -> None:
    log = PartitionLog(MemoryBronzeLog(), 3)
    line = b'"%s"' % (b"y" * (6 << 20))
    for _ in range(4):
        asyncio.run(log.append(PIPE, delivery(line)))
    with served(room(log)) as holder, calling() as caller:
        remote = RemoteLog(holder, caller)
        first = remote.read(PIPE, BASE, 10, 1 << 30)
        assert [one.first_seq for one in first] == [BASE + 1, BASE + 2]  # 2 · 6 MiB are below 16, 3 · 6 are not
        assert first + remote.read(PIPE, BASE + 2, 10, 1 << 30) == log.read(PIPE, BASE, 10, 1 << 30)


def test_errors_come_across_as_they_were_raised(remote: RemoteLog, there: PartitionLog) -> None:
    for seq in (1, BASE + 7, BASE + 99):
        with pytest.raises(NotFound) as near:
            there.event(PIPE, seq)
        with pytest.raises(NotFound) as far:
            remote.event(PIPE, seq)
        assert str(far.value) == str(near.value)
    with pytest.raises(NotFound, match="not in partition 3"):
        remote.upkeep.erase(PIPE, [5], "asked for", "ada")


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (Conflict("more than a million"), Conflict("more than a million")),
        (RateLimited("too many", 7.0), RateLimited("too many", 7.0)),
        (Invalid([Problem("/a", "wrong")]), Invalid([Problem("/a", "wrong")])),
        (TransientError("the disk refuses", 5.0), TransientError("node-3: the disk refuses", 5.0)),
        (FatalError("damaged", "restore"), FatalError("node-3: damaged", "restore")),
        (FrozenError("drifts", "resume", 7), FatalError("node-3: drifts", "resume")),
        (DashError("a bug"), TransientError("node-3: a bug")),
    ],
)
def test_each_class_of_error(raised: DashError, expected: DashError) -> None:
    told = Refused.of(raised).error("node-3")
    assert (type(told), str(told), vars(told)) == (type(expected), str(expected), vars(expected))


def test_an_unknown_class_of_error_may_work_later() -> None:
    for kind in ("Newer", "Problem", "__name__", "msgspec"):
        told = Refused(kind, "said so").error("node-3")
        assert (type(told), str(told)) == (TransientError, "node-3: said so")


async def test_what_only_its_own_node_does_is_refused(remote: RemoteLog) -> None:
    with pytest.raises(Conflict, match="is done by node 'node-3' itself"):
        await remote.append(PIPE, delivery(b"1"))
    for ask in (
        lambda: remote.reach(PIPE, BASE + 99),
        lambda: remote.delete(PIPE),
        lambda: remote.pipelines(),
        lambda: remote.verify(PIPE),
    ):
        with pytest.raises(Conflict, match="is done by node 'node-3' itself"):
            ask()
    await remote.close()
    assert remote.last_seq(PIPE) == BASE + 22


def test_a_ping_says_who_answers() -> None:
    with served(room(None)) as holder, calling() as caller:
        assert caller.ping(holder) == Pong("nd_3", "1.2.3")
        with pytest.raises(NotFound, match="nothing at /internal/v1/bronze"):
            RemoteLog(holder, caller).last_seq(PIPE)


async def test_two_nodes_read_each_others_partitions(tmp_path: Path) -> None:
    logs = {number: PartitionLog(FileBronzeLog(tmp_path / str(number)), number) for number in (1, 2)}
    for number, log in logs.items():
        await log.append(PIPE, delivery(b'"of %d"' % number))
    rooms = {number: served(room(log, node_id=f"nd_{number}"), number) for number, log in logs.items()}
    with rooms[1] as one, rooms[2] as two, calling() as caller:
        holders = FakeHolders(one, two)
        holders.received[PIPE] = [1, 2]
        cluster = [
            ClusterBronze(Own(number, log), holders, lambda holder: RemoteLog(holder, caller))
            for number, log in logs.items()
        ]
        for bronze in cluster:
            found: list[Frame] = []
            for partition in bronze.partitions(PIPE):
                found += bronze.of(partition).read(PIPE, partition << 44, *ALL)
            assert content(found) == [(17_592_186_044_417, b'"of 1"'), (35_184_372_088_833, b'"of 2"')]
        for bronze, other in zip(cluster, (2, 1), strict=True):
            assert bronze.upkeep.erase(PIPE, [(other << 44) + 1], "asked for", "ada") == 1
    for number, log in logs.items():
        assert [one.withdrawn for one in log.read(PIPE, number << 44, *ALL)] == [((number << 44) + 1,)]
        assert list(log.verify(PIPE)) == list[Finding]()
        await log.close()
