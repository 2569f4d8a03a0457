"""Replay: the life of one, from its beginning in a shadow to the exchange, or to its cancellation (decision 0013)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog
from msgspec.structs import replace

from appliance.components.replays import ReplayBook
from appliance.components.silver import SilverStore
from appliance.domain.clock import Clock
from appliance.domain.partition import partition_of
from appliance.domain.replay import Part, Replay, ReplayProgress, ReplayState
from appliance.engine.by_receipt import ByReceipt
from appliance.engine.engine import Engine
from appliance.engine.exchange import Exchange
from appliance.engine.extent import Extent
from appliance.engine.meter import Meter
from appliance.engine.read_ahead import Lost
from appliance.engine.rebuild import Rebuilder
from appliance.engine.rebuilding import Rebuilding
from appliance.engine.refine import RETRY_SECS
from appliance.errors import ConfigError, Conflict, DashError, FatalError, RequestError, TransientError

CLOSE_SECS: Final = 0.5  # what is left to do when refining is held for the exchange takes about that long
CLOSE_EVENTS: Final = (2_000, 200_000)  # at least, at most
FOLLOW_SECS: Final = 1.0  # how often one that is ready catches up with the log

log = structlog.get_logger("replay")


@dataclass(frozen=True, slots=True)
class Tools:
    """What every replay works with. ``changed`` is told of each state and, after each commit, of progress."""

    engine: Engine
    book: ReplayBook
    exchange: Exchange
    clock: Clock
    changed: Callable[["Replaying"], None]
    keep: Callable[[Replay], Awaitable[frozenset[int | None]]]  # generations of its pipeline that others may still need


@dataclass(slots=True)
class _Wishes:
    """What people and the end of the process ask of a replay under way."""

    cancel: bool = False
    close: bool = False
    told: asyncio.Event = field(default_factory=asyncio.Event)  # set: look again


class Replaying:
    """One replay under way. ``run`` returns when it has ended, was closed, or its pipeline has gone."""

    def __init__(self, replay: Replay, tools: Tools) -> None:
        self.replay = replay
        self._tools = tools
        self._wishes = _Wishes()
        self._rebuilder: Rebuilding | None = None
        self._meter = Meter()
        self._trouble: str | None = None
        self._failure: str | None = None
        self._lost = False
        self.exchanging = False

    @property
    def error(self) -> str | None:
        """Return what is in the way at present."""
        return self.replay.error or self._trouble or (self._rebuilder.error if self._rebuilder else None)

    def progress(self) -> ReplayProgress:
        """Return how far it is; costs no I/O."""
        total, done = 0, 0
        extent = self._extent
        for number, last in extent.ends.items():
            first = extent.first_of(number)
            at = self._rebuilder.at(number) if self._rebuilder else first - 1
            total += max(0, last - first + 1)
            done += max(0, min(at, last) - first + 1)
        rate = self._meter.rate()
        return ReplayProgress(
            done_events=done,
            total_events=total,
            rate_per_sec=round(rate, 1),
            secs_left=round((total - done) / rate, 1) if rate else (0.0 if done == total else None),
            throttled=self._rebuilder is not None and self._rebuilder.throttled,
        )

    def cancel(self) -> None:
        """End it and discard what it rebuilt. Raises Conflict: its rows are being swapped in."""
        if self.exchanging or self.replay.state is ReplayState.SWAPPING:
            raise Conflict("the rows of this replay are being swapped in: undo it when that is done")
        self._wishes.cancel = True
        self._interrupt()

    def close(self) -> None:
        """End after what is under way; it goes on at the next start."""
        self._wishes.close = True
        self._interrupt()

    async def swap(self) -> None:
        """Swap it in as soon as it is ready."""
        await self._save(replace(self.replay, swap=True, error=None))
        self._wishes.told.set()

    async def run(self, slot: asyncio.Lock) -> None:
        """Rebuild while holding ``slot`` (one at a time of an organisation), then swap in or wait to be told to."""
        tries = 0
        while not self._wishes.close and self.replay.unfinished:
            try:
                await self._step(slot)
                tries = 0
            except Lost as error:
                log.warning("replay.again", replay=self.replay.id, reason=str(error))
                self._lost, self._rebuilder = True, None
            except Exception as error:  # noqa: BLE001 - the boundary of one replay: everything else goes on
                if self._ends_it(error):
                    self._failure = f"{error} ({error.hint})" if isinstance(error, FatalError) else str(error)
                else:
                    await self._delayed(error, tries)
                    tries += 1

    def _ends_it(self, error: Exception) -> bool:
        """Return whether ``error`` is a reason to fail. Half an exchange is never left so: it is finished first."""
        final = isinstance(error, FatalError | RequestError | ConfigError)
        return final and self._failure is None and self.replay.state is not ReplayState.SWAPPING

    async def _step(self, slot: asyncio.Lock) -> None:
        if self.replay.state is ReplayState.SWAPPING:
            self._set(await self._tools.exchange.settle(self.replay))
            self._tools.engine.rows_changed(self.replay.pipeline_id)
        elif self._failure is not None:
            await self._fail(self._failure)
        elif self._wishes.cancel:
            await self._end(ReplayState.CANCELLED, None)
        elif self._lost:
            await self._save(replace(self.replay, generation=None))
            self._lost = False
        else:
            await self._live(slot)

    @property
    def _ending(self) -> bool:
        return self._wishes.close or self._wishes.cancel

    def _interrupt(self) -> None:
        self._wishes.told.set()
        if self._rebuilder is not None and not self.exchanging:
            self._rebuilder.stop()

    async def _live(self, slot: asyncio.Lock) -> None:
        if self.replay.state is not ReplayState.READY:
            await self._until_awake()
            async with self._turn(slot) as mine:
                if mine:
                    await self._rebuild()
            if self._ending:
                return
            if not self.replay.swap:
                await self._save(self.replay.to(ReplayState.READY))
        if self.replay.state is ReplayState.READY:
            await self._until_told()
        if self._rebuilder is not None and not self._ending:
            await self._bring_in(self._rebuilder)

    @asynccontextmanager
    async def _turn(self, slot: asyncio.Lock) -> AsyncIterator[bool]:
        """Give True once the organisation has no other replay that rebuilds; False: this one ends before."""
        waiting = asyncio.create_task(slot.acquire())
        told = asyncio.create_task(self._until_ending())
        await asyncio.wait({waiting, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if not waiting.done():
            waiting.cancel()
            yield False
            return
        try:
            yield True
        finally:
            slot.release()

    async def _until_ending(self) -> None:
        while not self._ending:
            await self._wishes.told.wait()
            self._wishes.told.clear()

    async def _until_awake(self) -> None:
        """Wait for the end of maintenance, if it has not begun; what has begun goes on."""
        while self.replay.state is ReplayState.WAITING and self._tools.engine.resting() and not self._ending:
            self._trouble = "it begins after the maintenance"
            await self._look_again(FOLLOW_SECS)
        self._trouble = None

    async def _rebuild(self) -> None:
        """Bring the shadow to where the log ends, or the range does."""
        await self._catch_up(await self._prepared())

    async def _catch_up(self, rebuilder: Rebuilding) -> None:
        """Refine until so few events are left that refining may be held for them; of a range until none is."""
        while not self._ending:
            await rebuilder.run(await self._extent.readable(rebuilder))
            least, most = CLOSE_EVENTS
            close = min(most, max(least, int(rebuilder.per_sec * CLOSE_SECS))) if self.replay.whole else 0
            if rebuilder.left(await self._extent.readable(rebuilder)) <= close:
                return

    @property
    def _extent(self) -> Extent:
        return Extent(self._tools.engine, self.replay)

    async def _prepared(self) -> Rebuilding:
        """Return what refines into the shadow, which is made first where there is none."""
        engine, replay = self._tools.engine, self.replay
        pipeline = await self._tools.book.pipeline(replay.pipeline_id, replay.version)
        silver = await engine.workers.run("control", engine.silver, replay.organisation_id)
        if replay.generation is None:
            replay = await self._begin(silver)
        found = await engine.workers.run("rebuild", silver.generations.all, replay.pipeline_id)
        mine = next((one for one in found if one.number == replay.generation), None)
        if mine is None:
            raise Lost(f"generation {replay.generation} is gone")
        if not replay.parts:  # begun before there were several
            self._set(replace(replay, parts=replay.range or (Part(mine.first_seq),)))
        course = engine.course_of(pipeline, replay.generation)
        await engine.workers.run("rebuild", silver.prepare, course.table)
        own = partition_of(engine.bronze.last_seq(replay.pipeline_id))
        make = partial(Rebuilder, course, engine.means_of(silver), engine.pressure, self._told)
        order = ByReceipt(engine.bronze, engine.workers, replay.pipeline_id) if course.table.keyed else None
        self._rebuilder = Rebuilding(make, mine, own, order)
        return self._rebuilder

    async def _begin(self, silver: SilverStore) -> Replay:
        """Make an empty shadow, as far back as Bronze reaches; remains of earlier ones go first."""
        engine, replay = self._tools.engine, self.replay
        await self._tools.exchange.discard(replay, await self._tools.keep(replay))
        pipeline = await self._tools.book.pipeline(replay.pipeline_id, replay.version)
        parts = await self._extent.parts(silver)
        if replay.whole:
            await self._until_live(silver, parts)
        table = engine.course_of(pipeline).table
        first, *elsewhere = [part.first_seq for part in parts]
        begin = partial(silver.generations.begin, table, first, carry=replay.whole, elsewhere=elsewhere)
        shadow = await engine.workers.run("rebuild", begin)
        state = self.replay if self.replay.state is ReplayState.REBUILDING else self.replay.to(ReplayState.REBUILDING)
        started = state.started_at or self._tools.clock()
        told = replace(state, generation=shadow.generation, started_at=started, parts=parts, error=None)
        await self._save(told if replay.whole else replace(told, first_seq=first))
        log.info("replay.begun", replay=replay.id, pipeline=replay.pipeline_id, generation=shadow.generation)
        return self.replay

    async def _until_live(self, silver: SilverStore, parts: Iterable[Part]) -> None:
        """Wait until the rows in use are refined far enough for ``parts``."""
        while not self._ending:
            self._trouble = await self._extent.behind(silver, parts)
            if self._trouble is None:
                return
            await self._look_again(0.2)

    async def _until_told(self) -> None:
        """Follow the log until somebody says swap, or it ends."""
        rebuilder = self._rebuilder or await self._prepared()
        while not self._ending and not self.replay.swap:
            await rebuilder.run(await self._extent.readable(rebuilder))
            await self._look_again(FOLLOW_SECS)

    async def _look_again(self, secs: float) -> None:
        """Wait ``secs``, or until somebody asks something."""
        try:
            async with asyncio.timeout(secs):
                await self._wishes.told.wait()
        except TimeoutError:
            return
        self._wishes.told.clear()

    async def _bring_in(self, rebuilder: Rebuilding) -> None:
        """Exchange the rows; where the pipeline has moved on meanwhile, or Bronze is damaged, ask first."""
        if await self._moved_on() or await self._rotten():
            return
        self._set(await self._tools.exchange.compared(self.replay))
        await self._catch_up(rebuilder)
        if not self.replay.whole:
            silver = await self._tools.engine.workers.run(
                "control", self._tools.engine.silver, self.replay.organisation_id
            )
            await self._until_live(silver, self.replay.range)
        if self._ending:
            return
        self.exchanging = rebuilder.hurry = True
        try:
            await self._tools.exchange.bring_in(self.replay, rebuilder, self._save)
        finally:
            self.exchanging = rebuilder.hurry = False

    async def _moved_on(self) -> bool:
        """Return whether the pipeline has another version than when the replay was asked for, and nobody said swap."""
        replay = self.replay
        if replay.state is ReplayState.READY or not replay.whole:
            return False
        now = (await self._tools.book.pipeline(replay.pipeline_id)).version
        if now in (replay.former_version, replay.version):
            return False
        told = (
            f"the pipeline was changed to version {now} while version {replay.version} was replayed: "
            "swap it in to go back to that version, or cancel and replay with the new one"
        )
        await self._save(replace(replay.to(ReplayState.READY), swap=False, error=told))
        return True

    async def _rotten(self) -> bool:
        """Return whether events could not be read, whose rows Silver may be the last to have, and nobody said swap."""
        replay = self.replay
        if replay.state is ReplayState.READY:
            return False
        places = await self._extent.unreadable()
        if places is None:
            return False
        told = (
            f"Bronze cannot be read at {places}: swapped in, their rows become dead letters. Put a copy of the segment "
            "back and replay again, or swap it in all the same"
        )
        await self._save(replace(replay.to(ReplayState.READY), swap=False, error=told))
        return True

    async def _fail(self, told: str) -> None:
        log.error("replay.failed", replay=self.replay.id, pipeline=self.replay.pipeline_id, error=told)
        await self._end(ReplayState.FAILED, told)

    async def _end(self, state: ReplayState, error: str | None) -> None:
        """Discard what was rebuilt and write the end down."""
        ended = replace(self.replay.to(state), finished_at=self._tools.clock(), error=error)
        try:
            await self._tools.exchange.discard(self.replay, await self._tools.keep(self.replay))
        except DashError as trouble:
            log.warning("replay.not_discarded", replay=self.replay.id, error=str(trouble))  # goes with the next one
        try:
            await self._save(ended)
        except RequestError:  # the pipeline was deleted, and its replays with it
            self._set(ended)

    async def _delayed(self, error: Exception, tries: int) -> None:
        foreseen = isinstance(error, TransientError)
        self._trouble = str(error) if foreseen else f"{type(error).__name__}: {error}"
        if tries == 0:
            trace = None if foreseen else error
            log.warning("replay.delayed", replay=self.replay.id, error=self._trouble, exc_info=trace)
        pause = RETRY_SECS[min(tries, len(RETRY_SECS) - 1)]
        await self._look_again(max(pause, getattr(error, "retry_after_secs", 0.0)))
        self._trouble = None

    async def _save(self, replay: Replay) -> None:
        await self._tools.book.save(replay)
        self._set(replay)

    def _set(self, replay: Replay) -> None:
        self.replay = replay
        self._tools.changed(self)

    def _told(self, events: int) -> None:
        self._meter.add(events)
        self._tools.changed(self)
