"""The guard on a disk that a test fills: states, the reserve, and what senders, polls and refining are told."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog.testing

from appliance.components.source import Admission, InboundRequest, Page
from appliance.domain.disk import DiskState, Marks, Room
from appliance.domain.ids import PipelineId
from appliance.engine.disk_guard import DiskGuard
from appliance.engine.receive import Door, Receiver
from appliance.errors import TransientError
from tests.fakes.bronze import MemoryBronzeLog

pytestmark = pytest.mark.usefixtures("all_is_logged")

MIB = 1 << 20
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
BOILERS = PipelineId("pl_boilers")


class Disk:
    """1,000 MiB, of which the reserve file takes what it has."""

    def __init__(self, directory: Path) -> None:
        self.used, self._file = 0, directory / "reserve"

    def __call__(self, _: Path) -> Room:
        reserve = self._file.stat().st_size if self._file.exists() else 0
        return Room(1000 * MIB, 1000 * MIB - self.used * MIB - reserve)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


@pytest.fixture
def guard(tmp_path: Path, disk: Disk) -> DiskGuard:
    return DiskGuard(tmp_path, Marks(stop_free_bytes=0), 16 * MIB, measure=disk)


def looked(guard: DiskGuard) -> DiskState:
    state = guard.look()
    guard.keep_reserve()
    return state


def test_the_reserve_is_given_up_at_the_stop_mark_and_taken_again(guard: DiskGuard, disk: Disk, tmp_path: Path) -> None:
    reserve = tmp_path / "reserve"
    assert looked(guard) is DiskState.FINE
    assert reserve.stat().st_size == 16 * MIB
    disk.used = 940
    assert looked(guard) is DiskState.SLOW  # 94 %: the reserve does not count as used
    assert reserve.exists()
    disk.used = 955
    assert looked(guard) is DiskState.STOPPED
    assert not reserve.exists()
    disk.used = 940  # two points must be free again
    assert looked(guard) is DiskState.STOPPED
    assert not reserve.exists()
    disk.used = 700
    assert looked(guard) is DiskState.FINE
    assert reserve.stat().st_size == 16 * MIB


def test_a_change_is_logged_once(guard: DiskGuard, disk: Disk) -> None:
    with structlog.testing.capture_logs() as logs:
        for used in (100, 850, 860, 955, 960, 970, 100):
            disk.used = used
            guard.look()
    assert [(one["state"], one["log_level"]) for one in logs] == [
        ("warning", "warning"), ("stopped", "error"), ("fine", "info"),
    ]  # fmt: skip


def test_a_disk_that_cannot_be_looked_at_is_told_and_changes_nothing(tmp_path: Path) -> None:
    guard = DiskGuard(tmp_path / "gone", Marks(), 0)
    assert guard.look() is DiskState.FINE
    assert "cannot be looked at" in guard.told()


def test_what_is_told_says_what_to_do(guard: DiskGuard, disk: Disk) -> None:
    disk.used = 960
    guard.look()
    assert guard.told() == (
        "40 MiB free, 96% in use: receiving and refining wait; delete a pipeline, shorten a retention, or free space"
    )


def test_a_disk_that_is_too_small_is_told_what_has_to_stay_free(tmp_path: Path) -> None:
    guard = DiskGuard(tmp_path, Marks(stop_free_bytes=2 << 30), 0, measure=lambda _: Room(300 * MIB, 300 * MIB))
    assert guard.look() is DiskState.STOPPED
    assert guard.told().startswith("300 MiB free, 0% in use, and 2 GiB have to stay free (disk.stop_free): receiving")


class Lines:
    def admit(self, request: InboundRequest) -> Admission:
        return Admission(request.body.split(b"\n"), None)


async def test_nothing_is_received_on_a_full_disk_and_again_once_there_is_room(guard: DiskGuard, disk: Disk) -> None:
    bronze = MemoryBronzeLog()
    receiver = Receiver(bronze, lambda: NOON, guard)
    receiver.open(BOILERS, Door("webhook", Lines()))
    request = InboundRequest({}, b"1", None, NOON)
    await receiver.post(BOILERS, request)
    disk.used = 960
    guard.look()
    with pytest.raises(TransientError, match="the disk is full") as refused:
        await receiver.post(BOILERS, request)
    assert refused.value.retry_after_secs == 30
    with pytest.raises(TransientError, match="the disk is full"):
        await receiver.pull(BOILERS, Page([b"1"], {}))
    assert bronze.last_seq(BOILERS) == 1
    disk.used = 500
    guard.look()
    await receiver.post(BOILERS, request)
    assert bronze.last_seq(BOILERS) == 2


async def test_between_the_marks_acknowledgements_are_held_back(guard: DiskGuard, disk: Disk) -> None:
    receiver = Receiver(MemoryBronzeLog(), lambda: NOON, guard)
    receiver.open(BOILERS, Door("webhook", Lines()))
    disk.used = 925  # half way from 900 to 950: a quarter of a second
    guard.look()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await receiver.post(BOILERS, InboundRequest({}, b"1", None, NOON))
    assert 0.24 < loop.time() - began < 2
