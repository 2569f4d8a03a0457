"""Replays of several nodes: whoever holds a replay's lease carries it out, and the others ask him by way of the book.

What a node said of its replay last, and what is asked of it, are rows that every node reads (decision 0028).
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog
from msgspec.structs import replace

from appliance.components.replays import ReplayBook
from appliance.domain.ids import OrganisationId
from appliance.domain.replay import Replay, ReplayProgress, ReplayState, Told, Wish
from appliance.engine.bells import Bell, rung
from appliance.engine.replays import Replays
from appliance.errors import Conflict, DashError, TransientError

LOOK_SECS: Final = 1.0  # while there is a replay; a bell tells of what is asked
IDLE_SECS: Final = 10.0
PATIENCE_SECS: Final = 10.0  # with the node that carries out what is asked
AGAIN_SECS: Final = 0.2

log = structlog.get_logger("replay")


class SharedReplays:
    """Belongs to the event loop. ``own``: those that this node carries out. ``bell``: rung when there is more to do."""

    def __init__(self, own: Replays, book: ReplayBook) -> None:
        self.own, self._book = own, book
        self.bell = Bell()
        self.changed: Callable[[], None] = lambda: None  # told when other leases are wanted than before
        self._open: dict[str, Replay] = {}  # what somebody has to carry out
        self._mine: set[str] = set()  # whose leases are held here
        self._told: dict[str, Told] = {}
        self._undoing: dict[str, asyncio.Task[None]] = {}
        self._trouble: str | None = None

    def wanted(self) -> list[str]:
        """Return the replays that a node should hold the lease of."""
        return list(self._open)

    def took(self, replay_id: str) -> None:
        """Carry it out from now on: its lease is held."""
        self._mine.add(replay_id)
        self.bell.set()

    async def leave(self, replay_id: str) -> None:
        """Carry it out no more; return when nothing of it is under way here."""
        self._mine.discard(replay_id)
        await self.own.leave(replay_id)
        if (task := self._undoing.pop(replay_id, None)) is not None:
            await asyncio.gather(task, return_exceptions=True)

    async def run(self) -> None:
        """Look at the book, now and whenever the bell rings, until cancelled."""
        while True:
            try:
                await self.look()
                self._trouble = None
            except DashError as error:
                if str(error) != self._trouble:
                    log.warning("replays.unheard", error=str(error))
                self._trouble = str(error)
            await rung(self.bell, LOOK_SECS if self._open else IDLE_SECS)

    async def look(self) -> None:
        """Begin and hear what is to be done here, and tell how far it is."""
        swapped = [one for one in await self._book.swapped() if one.undoing or one.wish is Wish.UNDO]
        now = {one.id: one for one in [*await self._book.unfinished(), *swapped]}
        other = now.keys() != self._open.keys()
        self._open = now
        if other:
            self.changed()
        for replay in [one for one in now.values() if one.id in self._mine]:
            await self._carry_on(replay)

    async def _carry_on(self, replay: Replay) -> None:
        if replay.state is ReplayState.SWAPPED:
            if replay.id not in self._undoing:
                self._undoing[replay.id] = asyncio.create_task(self._undo(replay), name=f"undo {replay.id}")
        elif self.own.carries(replay.id):
            await self._hear(replay)
            await self._tell(replay)
        elif (now := await self._book.replay(replay)).unfinished:  # it may have ended here since the look began
            log.info("replay.taken", replay=replay.id, pipeline=replay.pipeline_id, state=now.state.value)
            self.own.begin(now)
            self.bell.set()  # what was asked meanwhile is heard at once

    async def _hear(self, replay: Replay) -> None:
        if replay.wish is Wish.SWAP:
            await self.own.swap(replay)
            await self._book.ask(replay, None)
        elif replay.wish is Wish.CANCEL:
            try:
                self.own.end(replay)
            except Conflict as error:
                await self._refuse(replay, error)

    async def _tell(self, replay: Replay) -> None:
        now, progress = self.own.now(replay)
        told = Told(progress, now.error)
        if progress is not None and self._told.get(replay.id) != told:
            self._told = {replay.id: told}  # one at a time is under way, as a rule
            await self._book.tell(replay, told)

    async def _undo(self, replay: Replay) -> None:
        try:
            settled = await self.own.settle(await self._book.replay(replay))
            if settled.state is ReplayState.SWAPPED:
                await self.own.undo(settled)
        except TransientError as error:
            log.warning("replay.not_undone", replay=replay.id, error=str(error))  # the next look tries again
        except DashError as error:
            await self._refuse(replay, error)
        finally:
            self._undoing.pop(replay.id, None)

    async def _refuse(self, replay: Replay, error: DashError) -> None:
        await self._book.tell(replay, Told(error=str(error)))
        await self._book.ask(replay, None)

    async def _asked(self, replay: Replay, wish: Wish) -> None:
        """Ask ``wish`` of whoever carries the replay out; return when it is done, or soon will be.

        Raises:
            Conflict: it was refused.
        """
        await self._book.ask(replay, wish)
        self.bell.ring()
        try:
            async with asyncio.timeout(PATIENCE_SECS):
                while (now := await self._book.replay(replay)).wish is wish:  # noqa: ASYNC110 - told by other nodes
                    await asyncio.sleep(AGAIN_SECS)
        except TimeoutError:
            return
        if now.unfinished or now.state is ReplayState.SWAPPED:
            told = now.told.error if now.told is not None else None
            raise Conflict(told or f"replay {replay.id!r} is {now.state.value} by now: look at it again")

    # --- what services ask

    def begin(self, replay: Replay) -> None:
        """Let some node begin a replay that the book has."""
        self._open[replay.id] = replay
        self.changed()
        self.bell.ring()

    def now(self, replay: Replay) -> tuple[Replay, ReplayProgress | None]:
        """Return a replay as it is at this moment, or was about a second ago where another node carries it out."""
        if self.own.carries(replay.id) or not replay.unfinished:
            return self.own.now(replay)
        told = replay.told or Told()
        swap = replay.swap or replay.wish is Wish.SWAP
        return replace(replay, error=replay.error or told.error, swap=swap), told.progress

    async def cancel(self, replay: Replay) -> None:
        """See ``Replays.cancel``. Raises Conflict: too late, or over."""
        if self.own.carries(replay.id):
            await self.own.cancel(replay)
            return
        if not replay.unfinished:
            raise Conflict(f"replay {replay.id!r} is {replay.state.value}: there is nothing to do to it any more")
        await self._asked(replay, Wish.CANCEL)

    async def swap(self, replay: Replay) -> None:
        """See ``Replays.swap``. Raises Conflict: it is over."""
        if self.own.carries(replay.id):
            await self.own.swap(replay)
            return
        if not replay.unfinished:
            raise Conflict(f"replay {replay.id!r} is {replay.state.value}: there is nothing to do to it any more")
        await self._book.ask(replay, Wish.SWAP)
        self.bell.ring()

    async def undo(self, replay: Replay) -> Replay:
        """See ``Replays.undo``. Raises Conflict: it cannot be undone."""
        await self.own.check_undo(replay)
        await self._asked(replay, Wish.UNDO)
        return await self._book.replay(replay)

    async def recover(self) -> None:
        """Nothing: an exchange that was cut short is settled by whoever takes its lease."""

    async def resume(self) -> None:
        """Nothing: see ``run``."""

    async def forget(self, now: datetime | None = None) -> int:
        """See ``Replays.forget``."""
        return await self.own.forget(now)

    async def close(self) -> None:
        """End what is under way here; another node goes on with it."""
        await self.own.close()
        await asyncio.gather(*self._undoing.values(), return_exceptions=True)

    def slot(self, organisation_id: OrganisationId) -> asyncio.Lock:
        """See ``Replays.slot``: of this node."""
        return self.own.slot(organisation_id)

    def exchanging(self, replay_id: str) -> bool:
        """See ``Replays.exchanging``: of this node."""
        return self.own.exchanging(replay_id)

    def under_way(self) -> list[tuple[Replay, ReplayProgress]]:
        """See ``Replays.under_way``: of this node."""
        return self.own.under_way()
