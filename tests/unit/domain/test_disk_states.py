import pytest

from appliance.domain.disk import DiskState, Marks, Room, delay_secs, reserve_bytes, state_after

GIB = 1 << 30
MIB = 1 << 20
HUNDRED = 100 * GIB


@pytest.mark.parametrize(
    ("before", "free_gib", "after"),
    [
        (DiskState.FINE, 21, DiskState.FINE),
        (DiskState.FINE, 20, DiskState.WARNING),
        (DiskState.FINE, 10, DiskState.SLOW),
        (DiskState.FINE, 5, DiskState.STOPPED),
        (DiskState.STOPPED, 6, DiskState.STOPPED),  # released two points below the mark: at 93 % in use
        (DiskState.STOPPED, 8, DiskState.SLOW),
        (DiskState.SLOW, 11, DiskState.SLOW),
        (DiskState.SLOW, 13, DiskState.WARNING),
        (DiskState.STOPPED, 50, DiskState.FINE),
    ],
)
def test_the_state_follows_the_room(before: DiskState, free_gib: int, after: DiskState) -> None:
    assert state_after(before, Room(HUNDRED, free_gib * GIB), Marks()) is after


def test_a_small_disk_stops_by_bytes_unless_told_otherwise() -> None:
    room = Room(200 * MIB, 150 * MIB)
    assert state_after(DiskState.FINE, room, Marks()) is DiskState.STOPPED
    assert state_after(DiskState.FINE, room, Marks(stop_free_bytes=0)) is DiskState.FINE


def test_the_byte_mark_is_released_a_tenth_above_it() -> None:
    big = 10_000 * GIB
    assert (
        state_after(DiskState.STOPPED, Room(big, 2 * GIB + 100 * MIB), Marks(warn=1, slow=1, stop=1))
        is DiskState.STOPPED
    )
    # 2 GiB × 1.1 = 2252.8 MiB
    assert state_after(DiskState.STOPPED, Room(big, 2253 * MIB), Marks(warn=2, slow=2, stop=2)) is DiskState.FINE


def test_an_acknowledgement_waits_longer_the_fuller_the_disk_is() -> None:
    assert delay_secs(Room(HUNDRED, 10 * GIB), Marks()) == pytest.approx(0)
    assert delay_secs(Room(1000, 75), Marks()) == pytest.approx(0.25)  # half way from 90 to 95 %
    assert delay_secs(Room(HUNDRED, 0), Marks()) == 0.5


def test_a_reserve_is_smaller_on_a_small_disk() -> None:
    assert reserve_bytes(64 * MIB, HUNDRED, Marks()) == 64 * MIB
    # 200 MiB: 5 % are 10 MiB, half of that
    assert reserve_bytes(64 * MIB, 200 * MIB, Marks(stop_free_bytes=0)) == pytest.approx(5 * MIB, abs=2)
    assert reserve_bytes(0, HUNDRED, Marks()) == 0
