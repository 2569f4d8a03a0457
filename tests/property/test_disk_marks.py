"""Marks with hysteresis: whatever the disk does, the state follows at once upwards and does not flutter downwards."""

from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.disk import (
    RELEASED_BELOW,
    SLOWEST_SECS,
    DiskState,
    Marks,
    Room,
    delay_secs,
    reserve_bytes,
    state_after,
)

GIB = 1 << 30
states = st.sampled_from(DiskState)
totals = st.integers(1, 1 << 44)
rooms = totals.flatmap(lambda total: st.builds(Room, st.just(total), st.integers(0, total)))
marks = st.builds(
    lambda warn, slow, stop, free: Marks(
        warn=warn, slow=warn + slow, stop=min(1.0, warn + slow + stop), stop_free_bytes=free
    ),
    st.floats(0.1, 0.7),
    st.floats(0, 0.15),
    st.floats(0, 0.1),
    st.integers(0, 4 * GIB),
)


@given(states, rooms, marks)
def test_looking_twice_at_the_same_disk_changes_nothing(before: DiskState, room: Room, given_marks: Marks) -> None:
    once = state_after(before, room, given_marks)
    assert state_after(once, room, given_marks) is once


@given(states, rooms, marks, st.integers(0, 1 << 44))
def test_less_room_never_makes_it_milder(before: DiskState, room: Room, given_marks: Marks, less: int) -> None:
    fuller = Room(room.total, max(0, room.free - less))
    assert state_after(before, fuller, given_marks).rank >= state_after(before, room, given_marks).rank


@given(states, states, rooms, marks)
def test_who_was_worse_is_never_milder_now(one: DiskState, other: DiskState, room: Room, given_marks: Marks) -> None:
    mild, bad = sorted((one, other), key=lambda state: state.rank)
    assert state_after(mild, room, given_marks).rank <= state_after(bad, room, given_marks).rank


@given(states, rooms, marks)
def test_at_a_mark_the_state_follows_at_once(before: DiskState, room: Room, given_marks: Marks) -> None:
    after = state_after(before, room, given_marks)
    if room.free < given_marks.stop_free_bytes or room.used_share >= given_marks.stop:
        assert after is DiskState.STOPPED
    elif room.used_share >= given_marks.slow:
        assert after.rank >= DiskState.SLOW.rank


@given(totals, marks, st.lists(st.floats(-1, 1), max_size=30))
def test_a_disk_that_trembles_at_a_mark_changes_state_once(
    total: int, given_marks: Marks, trembling: list[float]
) -> None:
    state, changes = DiskState.FINE, 0
    for tremble in [0.5, *trembling]:
        used = given_marks.stop + RELEASED_BELOW / 2 * tremble
        after = state_after(state, Room(total, max(0, round(total * (1 - used)))), given_marks)
        changes, state = changes + (after is not state), after
    assert changes <= 1 or given_marks.stop - given_marks.slow < RELEASED_BELOW


@given(rooms, marks)
def test_a_delay_is_bounded(room: Room, given_marks: Marks) -> None:
    assert 0 <= delay_secs(room, given_marks) <= SLOWEST_SECS


@given(st.integers(0, 1 << 40), totals, marks)
def test_the_reserve_leaves_half_of_what_is_free_at_the_stop_mark(wanted: int, total: int, given_marks: Marks) -> None:
    free_at_stop = max(total * (1 - given_marks.stop), given_marks.stop_free_bytes)
    assert 0 <= reserve_bytes(wanted, total, given_marks) <= min(wanted, free_at_stop / 2 + 1)
