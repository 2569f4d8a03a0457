"""Replays of several nodes: begun, heard and told by the one that holds the lease; asked by the others."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.replay import Replay, ReplayProgress, ReplayState, Told, Wish
from appliance.engine.shared_replays import SharedReplays
from appliance.errors import Conflict, TransientError
from tests.fakes.refining import until

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
REPLAY = Replay(
    id="rp_1", organisation_id=OrganisationId("org_1"), pipeline_id=PipelineId("pl_1"), version=2,
    state=ReplayState.WAITING, created_by="ada", created_at=NOON, swap=False,
)  # fmt: skip
HALF = ReplayProgress(done_events=5, total_events=10, rate_per_sec=1.0, secs_left=5.0, throttled=False)


class Book:
    """What all nodes read and write."""

    def __init__(self, *replays: Replay) -> None:
        self.all = {one.id: one for one in replays}

    async def unfinished(self) -> list[Replay]:
        return [one for one in self.all.values() if one.unfinished]

    async def swapped(self) -> list[Replay]:
        return [one for one in self.all.values() if one.state is ReplayState.SWAPPED]

    async def replay(self, replay: Replay) -> Replay:
        return self.all[replay.id]

    async def ask(self, replay: Replay, wish: Wish | None) -> None:
        self.all[replay.id] = replace(self.all[replay.id], wish=wish)

    async def tell(self, replay: Replay, told: Told) -> None:
        self.all[replay.id] = replace(self.all[replay.id], told=told)


class Own:
    """What one process carries out. ``refusing``: what undoing, or ending, is answered with."""

    def __init__(self, book: Book) -> None:
        self.book, self.under, self.left, self.swaps = book, {}, [], 0
        self.refusing: Exception | None = None

    def carries(self, replay_id: str) -> bool:
        return replay_id in self.under

    def begin(self, replay: Replay) -> None:
        assert replay.id not in self.under
        self.under[replay.id] = replay

    def now(self, replay: Replay) -> Any:
        return (replace(replay, error="busy"), HALF) if replay.id in self.under else (replay, None)

    def end(self, replay: Replay) -> None:
        if self.refusing:
            raise self.refusing
        del self.under[replay.id]
        self.book.all[replay.id] = replace(replay, state=ReplayState.CANCELLED, wish=None)

    async def leave(self, replay_id: str) -> None:
        self.left.append(replay_id)
        self.under.pop(replay_id, None)

    async def swap(self, replay: Replay) -> None:
        self.swaps += 1

    async def settle(self, replay: Replay) -> Replay:
        return replay

    async def check_undo(self, replay: Replay) -> None:
        return None

    async def undo(self, replay: Replay) -> None:
        if self.refusing:
            error, self.refusing = self.refusing, None
            raise error
        self.book.all[replay.id] = replace(replay, state=ReplayState.UNDONE, wish=None)


class House:
    """Two nodes with one book, each with its look; the second holds the leases."""

    def __init__(self, *replays: Replay) -> None:
        self.book = Book(*replays)
        self.owns = [Own(self.book), Own(self.book)]
        self.asker, self.holder = (SharedReplays(own, self.book) for own in self.owns)  # type: ignore[arg-type]
        self.asker.bell.others = self.holder.bell.set
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "House":
        for one in self.book.all.values():
            self.holder.took(one.id)
        self._task = asyncio.create_task(self.holder.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def test_who_holds_the_lease_begins_and_tells_and_the_others_show_it() -> None:
    async with House(REPLAY) as house:
        await until(lambda: house.book.all["rp_1"].told == Told(HALF, "busy"))
        shown, progress = house.asker.now(house.book.all["rp_1"])
        assert (shown.error, progress) == ("busy", HALF)
        assert (house.owns[0].under, house.holder.wanted()) == ({}, ["rp_1"])


async def test_without_the_lease_nothing_is_begun_and_without_it_any_more_it_is_left() -> None:
    house, changes = House(REPLAY), []
    house.asker.changed = lambda: changes.append(house.asker.wanted())
    await house.asker.look()
    await house.asker.look()
    assert (house.owns[0].under, changes) == ({}, [["rp_1"]])
    house.asker.took("rp_1")
    await house.asker.look()
    assert list(house.owns[0].under) == ["rp_1"]
    await house.asker.leave("rp_1")
    await house.asker.look()
    assert (house.owns[0].under, house.owns[0].left) == ({}, ["rp_1"])


async def test_one_that_has_ended_meanwhile_is_not_begun_again() -> None:
    house = House(REPLAY)
    house.asker.took("rp_1")
    house.book.unfinished = lambda: _later([REPLAY])  # type: ignore[method-assign]
    house.book.all["rp_1"] = replace(REPLAY, state=ReplayState.SWAPPED)
    await house.asker.look()
    assert house.owns[0].under == {}


async def _later(found: list[Replay]) -> list[Replay]:
    return found


async def test_swapping_and_cancelling_are_asked_of_who_carries_it_out() -> None:
    async with House(REPLAY) as house:
        await until(lambda: house.owns[1].carries("rp_1"))
        await house.asker.swap(house.book.all["rp_1"])
        assert house.asker.now(house.book.all["rp_1"])[0].swap is True
        await until(lambda: house.owns[1].swaps == 1 and house.book.all["rp_1"].wish is None)
        house.owns[1].refusing = Conflict("its rows are being swapped in")
        with pytest.raises(Conflict, match="being swapped in"):
            await house.asker.cancel(house.book.all["rp_1"])
        house.owns[1].refusing = None
        await house.asker.cancel(house.book.all["rp_1"])
        assert house.book.all["rp_1"].state is ReplayState.CANCELLED
        for deed in (house.asker.cancel, house.asker.swap):
            with pytest.raises(Conflict, match="is cancelled: there is nothing to do"):
                await deed(house.book.all["rp_1"])


async def test_undoing_is_done_under_the_lease_and_tried_again_where_that_may_help() -> None:
    swapped = replace(REPLAY, state=ReplayState.SWAPPED)
    async with House(swapped) as house:
        house.owns[1].refusing = TransientError("the database is away")
        assert (await house.asker.undo(swapped)).state is ReplayState.UNDONE
        assert house.owns[1].refusing is None
    async with House(swapped) as house:
        house.owns[1].refusing = Conflict("the rows of this replay were replaced by a later one")
        with pytest.raises(Conflict, match="replaced by a later one"):
            await house.asker.undo(swapped)
        assert house.book.all["rp_1"] == replace(swapped, told=house.book.all["rp_1"].told)


async def test_a_book_that_cannot_be_read_ends_nothing() -> None:
    async with House(REPLAY) as house:
        await until(lambda: house.owns[1].carries("rp_1"))
        house.book.unfinished = _away  # type: ignore[method-assign]
        house.holder.bell.set()
        await until(lambda: house.holder._trouble is not None)
        assert house.holder.wanted() == ["rp_1"]
        del house.book.unfinished
        house.holder.bell.set()
        await until(lambda: house.holder._trouble is None)


async def _away() -> list[Replay]:
    raise TransientError("the database is away")
