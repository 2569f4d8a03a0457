"""All replays of this process: begun, gone on with after a restart, told about, undone, and their remains cleared."""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from msgspec.structs import replace

from appliance.components.replays import ReplayBook
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.replay import Replay, ReplayProgress
from appliance.engine.engine import Engine
from appliance.engine.exchange import Exchange
from appliance.engine.payloads import replay_payload, replay_topic
from appliance.engine.replay import Replaying, Tools
from appliance.errors import Conflict, DashError

TELL_EVERY_SECS: Final = 0.5
PATIENCE_SECS: Final = 5.0  # with a replay that is asked to end

log = structlog.get_logger("replay")


@dataclass(slots=True)
class _Under:
    """A replay under way, its task, and when it was told of last."""

    way: Replaying
    task: "asyncio.Task[None] | None" = None
    told_at: float = 0.0
    told: Replay | None = None


class Replays:
    """Belongs to the event loop. ``recover`` comes before pipelines are started, ``resume`` after."""

    def __init__(self, engine: Engine, book: ReplayBook, undo_window: timedelta, clock: Clock = utc_now) -> None:
        self._engine, self._book, self._clock = engine, book, clock
        self._exchange = Exchange(engine, book, clock, undo_window)
        self._tools = Tools(engine, book, self._exchange, clock, self._changed, self._keep)
        self._under: dict[str, _Under] = {}
        self._slots: defaultdict[OrganisationId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._chores: set[asyncio.Task[None]] = set()
        engine.leaving.append(self._leave)

    async def recover(self) -> None:
        """Settle exchanges that a crash cut short. Nothing runs yet; one that cannot be settled now is tried later."""
        for replay in [*await self._book.unfinished(), *await self._book.swapped()]:
            try:
                await self._exchange.settle(replay)
            except DashError as error:
                log.error("replay.not_settled", replay=replay.id, pipeline=replay.pipeline_id, error=str(error))

    async def resume(self) -> None:
        """Go on with every replay that is not finished."""
        for replay in await self._book.unfinished():
            log.info("replay.resumed", replay=replay.id, pipeline=replay.pipeline_id, state=replay.state.value)
            self.begin(replay)

    def begin(self, replay: Replay) -> None:
        """Start a replay that the book has, or let it wait for its organisation's turn."""
        under = _Under(Replaying(replay, self._tools))
        self._under[replay.id] = under
        work = under.way.run(self.slot(replay.organisation_id))
        under.task = asyncio.create_task(work, name=f"replay {replay.id}")
        under.task.add_done_callback(lambda _: self._under.pop(replay.id, None))

    def slot(self, organisation_id: OrganisationId) -> asyncio.Lock:
        """Return what a replay of the organisation holds while it rebuilds: one at a time."""
        return self._slots[organisation_id]

    def exchanging(self, replay_id: str) -> bool:
        """Return whether the replay exchanges rows, or waits for its turn to."""
        return replay_id in self._under and self._under[replay_id].way.exchanging

    def under_way(self) -> list[tuple[Replay, ReplayProgress]]:
        """Return every replay that is not finished, and how far it is."""
        return [(one.way.replay, one.way.progress()) for one in self._under.values() if one.way.replay.unfinished]

    def now(self, replay: Replay) -> tuple[Replay, ReplayProgress | None]:
        """Return a replay as it is at this moment; no progress: it is not under way."""
        under = self._under.get(replay.id)
        if under is None or not under.way.replay.unfinished:
            return replay, None
        return replace(under.way.replay, error=under.way.error), under.way.progress()

    async def cancel(self, replay: Replay) -> None:
        """End it and discard what it rebuilt; return when that is done, or soon will be.

        Raises:
            Conflict: too late, or not under way.
        """
        under = self.end(replay)
        if under.task is not None:
            await asyncio.wait({under.task}, timeout=PATIENCE_SECS)

    def end(self, replay: Replay) -> "_Under":
        """Begin to ``cancel`` it. Raises as that."""
        under = self._found(replay)
        under.way.cancel()
        return under

    def carries(self, replay_id: str) -> bool:
        """Return whether the replay is under way in this process."""
        return replay_id in self._under

    async def leave(self, replay_id: str) -> None:
        """End it after what is under way, to be gone on with by another node. Unknown: nothing happens."""
        if (under := self._under.get(replay_id)) is not None:
            under.way.close()
            await self._end_of(under)

    async def settle(self, replay: Replay) -> Replay:
        """See ``Exchange.settle``."""
        return await self._exchange.settle(replay)

    async def swap(self, replay: Replay) -> None:
        """Swap it in as soon as it is ready. Raises Conflict: it is not under way."""
        await self._found(replay).way.swap()

    async def undo(self, replay: Replay) -> Replay:
        """Put the former rows and version back; return the replay, UNDONE.

        Raises:
            Conflict: the former rows are gone, or were replaced by a later replay.
        """
        await self.check_undo(replay)
        undone = await self._exchange.undo(replay)
        self._tell(undone, None)
        await self._clear(undone)
        return undone

    async def check_undo(self, replay: Replay) -> None:
        """Return if it can be undone as far as the book knows. Raises as ``undo``."""
        mine = await self._kept(replay.pipeline_id)
        if replay.unfinished:
            raise Conflict(f"replay {replay.id!r} is {replay.state.value}: there is nothing to undo yet")
        if replay.id not in {one.id for one in mine} or replay.undo_until is None:
            raise Conflict("the former rows are kept no more: replay with the former version instead")
        if mine[-1].id != replay.id:
            raise Conflict(f"replay {mine[-1].id!r} came later: undo that one first")

    async def _kept(self, pipeline_id: PipelineId) -> list[Replay]:
        """Return the replays of a pipeline whose former rows are kept, whoever swapped them in, oldest first."""
        mine = [one for one in await self._book.swapped() if one.pipeline_id == pipeline_id]
        return sorted(mine, key=lambda one: (one.finished_at or one.created_at, one.id))

    async def forget(self, now: datetime | None = None) -> int:
        """Discard former rows that are kept no longer than ``now``; return how many replays that were."""
        until = now or self._clock()
        over = [one for one in await self._book.swapped() if one.undo_until and one.undo_until <= until]
        for replay in over:
            await self._let_go(replay)
            await self._clear(replay)
        return len(over)

    async def close(self) -> None:
        """End every replay after what is under way; they go on at the next start."""
        for under in self._under.values():
            under.way.close()
        await asyncio.gather(*(self._end_of(under) for under in list(self._under.values())), *self._chores)

    def _found(self, replay: Replay) -> _Under:
        under = self._under.get(replay.id)
        if under is None or not under.way.replay.unfinished:
            raise Conflict(f"replay {replay.id!r} is {replay.state.value}: there is nothing to do to it any more")
        return under

    @staticmethod
    async def _end_of(under: _Under) -> None:
        if under.task is not None:
            await asyncio.gather(under.task, return_exceptions=True)

    async def _leave(self, pipeline_id: PipelineId) -> None:
        """A pipeline is deleted: its replays end, and their generations go with its rows."""
        for under in [one for one in self._under.values() if one.way.replay.pipeline_id == pipeline_id]:
            under.way.close()
            if under.task is not None and under.way.exchanging:
                under.task.cancel()  # it waits for its turn, which whoever deletes the pipeline has
            await self._end_of(under)

    def _changed(self, way: Replaying) -> None:
        """Tell who follows, at most twice a second, and every change of state at once."""
        replay = way.replay
        under = self._under.get(replay.id)
        if under is None:
            return
        now = time.monotonic()
        if under.told is not replay or now - under.told_at >= TELL_EVERY_SECS:
            under.told_at = now
            self._tell(replay, way.progress() if replay.unfinished else None)
        if under.told is not replay and not replay.unfinished:
            self._ended(replay)
        under.told = replay

    def _ended(self, replay: Replay) -> None:
        if replay.undo_until is not None and replay.whole:
            task = asyncio.create_task(self._supersede(replay), name=f"clear {replay.pipeline_id}")
            self._chores.add(task)
            task.add_done_callback(self._chores.discard)

    async def _supersede(self, replay: Replay) -> None:
        """Rows of before the former ones cannot be put back any more."""
        try:
            earlier = [one for one in await self._kept(replay.pipeline_id) if one.id != replay.id]
            for one in earlier:
                await self._let_go(one)
            if not earlier:
                return
        except DashError as error:  # their window ends by itself
            log.warning("replay.not_let_go", replay=replay.id, error=str(error))
        await self._clear(replay)

    async def _let_go(self, replay: Replay) -> None:
        await self._book.save(replace(replay, undo_until=None))

    async def _clear(self, replay: Replay) -> None:
        """Discard the generations of the pipeline that nobody needs; what cannot go now goes with the next replay."""
        try:
            await self._exchange.discard(replay, await self._keep(replay))
        except DashError as error:
            log.warning("replay.not_discarded", replay=replay.id, error=str(error))

    async def _keep(self, replay: Replay) -> frozenset[int | None]:
        """Return the generations of the pipeline that other replays need: their shadows, and former rows.

        Asked of the book, for other nodes replay too.
        """
        mine = await self._kept(replay.pipeline_id)
        kept = [one.former_generation if one.whole else one.generation for one in mine]
        others = [one for one in await self._book.unfinished() if one.id != replay.id]
        return frozenset([*kept, *(one.generation for one in others if one.pipeline_id == replay.pipeline_id)])

    def _tell(self, replay: Replay, progress: ReplayProgress | None) -> None:
        topic = replay_topic(replay.pipeline_id)
        if self._engine.hub.heard(topic):
            self._engine.hub.publish(topic, replay_payload(replay, progress))
