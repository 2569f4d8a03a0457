"""Who waits for which commit, and what each of them is told."""

from asyncio import CancelledError, Future, gather, get_running_loop, sleep, wrap_future
from collections.abc import Iterator, Sequence
from concurrent.futures import Future as ThreadFuture
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from appliance.domain.event import Delivery, Envelope, Receipt
from appliance.errors import FatalError, RateLimited, TransientError
from appliance.storage.bronze.dedupe import DeliveryWindow
from appliance.storage.bronze.frame import Packed
from appliance.storage.bronze.group_commit import Budget, GroupCommit
from tests.fakes.segments import NOON, Hand


class Disk:
    """Commits when it is told to, so that a test decides what waits for what."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self._orders: list[ThreadFuture[Exception | None]] = []
        self._arrived: list[ThreadFuture[None]] = [ThreadFuture()]
        self._last_seq = 0

    def commit(self, batch: Sequence[Packed]) -> list[int]:
        order: ThreadFuture[Exception | None] = ThreadFuture()
        self.batches.append([packed.block for packed in batch])
        self._orders.append(order)
        self._arrived.append(ThreadFuture())
        self._arrived[-2].set_result(None)
        if error := order.result(10):
            raise error
        firsts = []
        for packed in batch:
            firsts.append(self._last_seq + 1)
            self._last_seq += packed.count
        return firsts

    async def order(self, number: int, error: Exception | None = None) -> None:
        """Let commit ``number`` (from 0) end, as soon as it has begun."""
        await wrap_future(self._arrived[number])
        self._orders[number].set_result(error)

    async def begun(self, number: int) -> None:
        await wrap_future(self._arrived[number])


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def commits(disk: Disk, pool: ThreadPoolExecutor, hand: Hand) -> GroupCommit:
    return GroupCommit(disk.commit, DeliveryWindow(), pool, Budget(1000), hand)


def delivery(payload: bytes, delivery_id: str | None = None) -> Delivery:
    return Delivery(Envelope(received_at=NOON, source="webhook", delivery_id=delivery_id), [payload])


def start(commits: GroupCommit, payload: bytes, delivery_id: str | None = None) -> Future[Any]:
    return get_running_loop().create_task(commits.append(delivery(payload, delivery_id)))


async def test_what_arrives_meanwhile_goes_together(commits: GroupCommit, disk: Disk) -> None:
    first = [start(commits, b"1"), start(commits, b"2")]
    await disk.begun(0)
    later = [start(commits, b"3"), start(commits, b"4"), start(commits, b"5")]
    await sleep(0)
    await disk.order(0)
    assert await gather(*first) == [Receipt(1, 1), Receipt(2, 2)]
    await disk.order(1)
    assert await gather(*later) == [Receipt(3, 3), Receipt(4, 4), Receipt(5, 5)]
    assert disk.batches == [[b"1\n", b"2\n"], [b"3\n", b"4\n", b"5\n"]]


async def test_a_failure_is_told_to_everybody_of_that_commit_and_to_nobody_else(
    commits: GroupCommit, disk: Disk
) -> None:
    first = [start(commits, b"1"), start(commits, b"2")]
    await disk.begun(0)
    later = start(commits, b"3")
    await sleep(0)
    await disk.order(0, TransientError("the disk is full", 5.0))
    answers = await gather(*first, return_exceptions=True)
    assert [(str(error), error.retry_after_secs) for error in answers] == [("the disk is full", 5.0)] * 2
    assert answers[0] is not answers[1]
    await disk.order(1)
    assert await later == Receipt(1, 1)


async def test_a_defect_in_the_commit_hangs_nobody(commits: GroupCommit, disk: Disk) -> None:
    waiting = start(commits, b"1")
    await disk.order(0, KeyError("x"))
    with pytest.raises(FatalError, match="KeyError"):
        await waiting


async def test_a_duplicate_of_one_on_its_way_gets_its_receipt(commits: GroupCommit, disk: Disk) -> None:
    first, second = start(commits, b"1", "a"), start(commits, b"1", "a")
    await disk.order(0)
    assert await gather(first, second) == [Receipt(1, 1), Receipt(1, 1, duplicate=True)]
    assert await commits.append(delivery(b"1", "a")) == Receipt(1, 1, duplicate=True)
    assert len(disk.batches) == 1


async def test_when_the_first_fails_one_duplicate_is_tried_as_the_first(commits: GroupCommit, disk: Disk) -> None:
    first, *others = (start(commits, b"1", "a") for _ in range(3))
    await disk.order(0, TransientError("the disk is full"))
    with pytest.raises(TransientError):
        await first
    await disk.order(1)
    assert await gather(*others) == [Receipt(1, 1), Receipt(1, 1, duplicate=True)]
    assert disk.batches == [[b"1\n"], [b"1\n"]]


async def test_a_sender_that_goes_away_takes_nobody_with_it(commits: GroupCommit, disk: Disk) -> None:
    first, second, third = start(commits, b"1", "a"), start(commits, b"1", "a"), start(commits, b"2")
    await disk.begun(0)
    first.cancel()
    with pytest.raises(CancelledError):
        await first
    await disk.order(0)
    assert await gather(second, third) == [Receipt(1, 1, duplicate=True), Receipt(2, 2)]


async def test_a_delivery_id_is_forgotten_after_24_hours(commits: GroupCommit, disk: Disk, hand: Hand) -> None:
    first = start(commits, b"1", "a")
    await disk.order(0)
    await first
    hand.move(hours=24)
    assert (await commits.append(delivery(b"1", "a"))).duplicate
    hand.move(seconds=1)
    again = start(commits, b"1", "a")
    await disk.order(1)
    assert await again == Receipt(2, 2)


async def test_too_many_bytes_waiting_are_refused_until_the_disk_has_them(commits: GroupCommit, disk: Disk) -> None:
    huge = start(commits, b"x" * 5000)  # more than the budget, but alone
    await disk.begun(0)
    with pytest.raises(RateLimited, match="more of this pipeline waits for the disk than its share") as caught:
        await commits.append(delivery(b"1"))
    assert caught.value.retry_after_secs == 1
    await disk.order(0)
    await huge
    next_one = start(commits, b"1")
    await disk.order(1)
    assert await next_one == Receipt(2, 2)


async def test_a_pipeline_takes_what_others_leave_and_never_their_first_delivery(
    commits: GroupCommit, disk: Disk, pool: ThreadPoolExecutor, hand: Hand
) -> None:
    budget = Budget(1000)
    other_disk = Disk()
    one = GroupCommit(disk.commit, DeliveryWindow(), pool, budget, hand)
    with ThreadPoolExecutor(1) as second:
        other = GroupCommit(other_disk.commit, DeliveryWindow(), second, budget, hand)
        waiting = start(one, b"x" * 680)  # with its header about 740 of 1,000
        await disk.begun(0)
        with pytest.raises(RateLimited):
            await one.append(delivery(b"1"))
        neighbour = start(other, b"y" * 200)
        await other_disk.begun(0)
        with pytest.raises(TransientError):  # within its share, and there is nothing left
            await other.append(delivery(b"1"))
        await gather(disk.order(0), other_disk.order(0))
        await gather(waiting, neighbour)
        assert budget.used == 0


async def test_idle_waits_for_what_was_accepted(commits: GroupCommit, disk: Disk) -> None:
    waiting = start(commits, b"1")
    await disk.begun(0)
    later = start(commits, b"2")
    await sleep(0)
    idle = get_running_loop().create_task(commits.idle())
    await disk.order(0)
    await waiting
    assert not idle.done()
    await disk.order(1)
    await idle
    assert later.done()
    await commits.idle()
