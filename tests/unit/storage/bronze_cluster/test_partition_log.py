"""A partition's log in outward numbers: what the contract suites do not ask."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.components.bronze import Correction, Finding
from appliance.domain.event import Frame, Receipt
from appliance.domain.ids import PipelineId
from appliance.errors import NotFound, TransientError
from appliance.storage.bronze import FileBronzeLog
from appliance.storage.bronze_cluster import PartitionLog
from tests.contract.bronze_adapters import ALL, NOON, NOON_US, PIPE, content, delivery
from tests.fakes.bronze import MemoryBronzeLog

BASE = 52_776_558_133_248  # 3 · 2^44
NOTE = "(numbers within partition 3: write 3: before them)"


@pytest.fixture
def inner() -> MemoryBronzeLog:
    return MemoryBronzeLog()


@pytest.fixture
def log(inner: MemoryBronzeLog) -> PartitionLog:
    return PartitionLog(inner, 3)


async def test_numbers_go_out_shifted_and_come_in_shifted(log: PartitionLog, inner: MemoryBronzeLog) -> None:
    assert log.last_seq(PIPE) == BASE
    assert await log.append(PIPE, delivery(b"1", b"2")) == Receipt(BASE + 1, BASE + 2)
    assert log.read(PIPE, BASE + 1, *ALL) == [Frame(BASE + 2, 1, NOON_US, b"2")]
    assert log.event(PIPE, BASE + 2).seq == BASE + 2
    assert [(one.first_seq, one.last_seq) for one in log.segments(PIPE)] == [(BASE + 1, BASE + 2)]
    assert (log.upkeep.first_seq(PIPE), log.upkeep.seq_at(PIPE, NOON)) == (BASE + 1, BASE + 1)
    log.upkeep.correct(PIPE, [Correction(BASE + 1, None, "", "", NOON)])
    assert log.read(PIPE, BASE, *ALL)[0].withdrawn == (BASE + 1,)
    assert log.upkeep.corrected(PIPE, BASE, BASE + 9) == [BASE + 1]
    assert inner.upkeep.correction(PIPE, 1) == Correction(1, None, "", "", NOON)


async def test_quarantined_places_and_lost_numbers_are_outward(log: PartitionLog) -> None:
    log.reach(PIPE, BASE + 2)
    assert [one.damaged for one in log.read(PIPE, BASE, *ALL)] == ["they are not there any more"]
    assert [(one.first_seq, one.last_seq) for one in log.upkeep.quarantined(PIPE)] == [(BASE + 1, BASE + 2)]


async def test_messages_say_of_which_numbers_they_speak(tmp_path: Path) -> None:
    log = PartitionLog(FileBronzeLog(tmp_path, clock=lambda: NOON), 3)
    await log.append(PIPE, delivery(b"1", b"2"))
    with pytest.raises(NotFound) as told:
        log.event(PIPE, BASE + 5)
    assert str(told.value) == f"looking for event 5 of {PIPE}: there are events 1 to 2 {NOTE}"
    with pytest.raises(NotFound) as told:
        log.upkeep.erase(PIPE, [BASE + 3], "asked for", "ada")
    assert str(told.value) == f"erasing event 3 of {PIPE}: there are events 1 to 2 {NOTE}"
    await log.close()


def test_findings_say_of_which_numbers_they_speak() -> None:
    class Damaged(MemoryBronzeLog):
        def verify(self, pipeline_id: PipelineId) -> Iterator[Finding]:
            yield Finding(pipeline_id, "7.jsonl", "expected event 7, found 9", "put a copy back")

    expected = Finding(PIPE, "7.jsonl", f"expected event 7, found 9 {NOTE}", "put a copy back")
    assert list(PartitionLog(Damaged(), 3).verify(PIPE)) == [expected]


async def test_what_names_no_number_is_left_as_it_is(log: PartitionLog, inner: MemoryBronzeLog) -> None:
    await log.append(PIPE, delivery(b"1"))
    inner.upkeep.damage(PIPE, [1], "the checksum is wrong")
    assert [one.damaged for one in log.read(PIPE, BASE, *ALL)] == ["the checksum is wrong"]
    inner.upkeep.damage(PIPE, [1], "expected event 1, found 7")
    assert [one.damaged for one in log.read(PIPE, BASE, *ALL)] == [f"expected event 1, found 7 {NOTE}"]
    inner.refusing = "the disk refuses"
    with pytest.raises(TransientError, match=r"^the disk refuses$"):
        await log.append(PIPE, delivery(b"2"))


async def test_the_class_of_an_error_and_what_it_carries_stay(tmp_path: Path) -> None:
    class Refusing(MemoryBronzeLog):
        def read(self, *_: object) -> list[Frame]:
            raise TransientError("reading event 7: the disk refuses", retry_after_secs=5.0)

    with pytest.raises(TransientError) as told:
        PartitionLog(Refusing(), 3).read(PIPE, BASE, *ALL)
    assert (str(told.value), told.value.retry_after_secs) == (f"reading event 7: the disk refuses {NOTE}", 5.0)
    with pytest.raises(TransientError, match=r"^reading event 7: the disk refuses$"):
        PartitionLog(Refusing(), 0).read(PIPE, 0, *ALL)


@pytest.mark.parametrize(
    ("seq", "told"),
    [(-1, "-1"), (1, "1"), (BASE - 1, "2:17592186044415"), (BASE + 2**44, "4:0"), (2**60, "1152921504606846976")],
)
async def test_numbers_of_other_partitions_are_not_here(log: PartitionLog, seq: int, told: str) -> None:
    await log.append(PIPE, delivery(b"1"))
    for ask in (
        lambda: log.read(PIPE, seq, *ALL),
        lambda: log.event(PIPE, seq),
        lambda: log.reach(PIPE, seq),
        lambda: log.upkeep.erase(PIPE, [BASE + 1, seq], "", ""),
        lambda: log.upkeep.correct(PIPE, [Correction(seq, b"2", "", "", NOON)]),
        lambda: log.upkeep.correction(PIPE, seq),
    ):
        with pytest.raises(NotFound, match=f"event {told} of {PIPE}: it is not in partition 3"):
            ask()
    assert content(log.read(PIPE, BASE, *ALL)) == [(BASE + 1, b"1")]


async def test_expiry_up_to_a_number_of_another_partition_removes_nothing(log: PartitionLog) -> None:
    for number in range(3):
        await log.append(PIPE, delivery(b"%d" % number))
    expire = log.upkeep.expire
    for up_to in (0, 17, BASE):
        assert expire(PIPE, before=None, keep_bytes=0, up_to=up_to).events == 0
    with pytest.raises(NotFound, match="not in partition 3"):
        expire(PIPE, before=None, keep_bytes=0, up_to=BASE + 2**44)
    assert log.upkeep.first_seq(PIPE) == BASE + 1
    assert expire(PIPE, before=None, keep_bytes=0, up_to=BASE + 1).events == 1
    assert log.upkeep.first_seq(PIPE) == BASE + 2


async def test_corrections_of_a_range_that_reaches_beyond_the_partition(log: PartitionLog) -> None:
    await log.append(PIPE, delivery(b"1", b"2"))
    log.upkeep.correct(PIPE, [Correction(BASE + 2, b"3", "", "", NOON)])
    assert log.upkeep.corrected(PIPE, 0, 2**52) == [BASE + 2]
    assert log.upkeep.corrected(PIPE, 0, BASE) == []
    assert log.upkeep.corrected(PIPE, BASE + 2**44, 2**52) == []


async def test_partition_0_is_as_it_is(tmp_path: Path) -> None:
    inner = FileBronzeLog(tmp_path, clock=lambda: NOON)
    log = PartitionLog(inner, 0)
    assert await log.append(PIPE, delivery(b"1", b"2", delivery_id="d")) == Receipt(1, 2)
    log.upkeep.correct(PIPE, [Correction(2, None, "", "", NOON)])
    assert log.read(PIPE, 0, *ALL) == inner.read(PIPE, 0, *ALL)
    assert log.event(PIPE, 1) == inner.event(PIPE, 1)
    assert log.segments(PIPE) == inner.segments(PIPE)
    with pytest.raises(NotFound, match=r"there are events 1 to 2$"):
        log.event(PIPE, 3)
    await log.close()
