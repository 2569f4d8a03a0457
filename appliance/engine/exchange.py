"""Exchange: rebuilt rows take the place of those in use, and back again (decision 0013).

What is about to be done is written into the book first, so that ``settle``, also after a crash at any moment, finds out
what was done: it compares the book with what the row store says. Refining is held meanwhile, receiving is not: here by
ourselves, at other nodes by the row store. What they refine afterwards it takes from those only who know the new era.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

import structlog
from msgspec.structs import replace

from appliance.components.generations import Eras, Generation, Stretch
from appliance.components.replays import ReplayBook
from appliance.components.silver import SilverStore, Table
from appliance.domain.clock import Clock
from appliance.domain.partition import first_of, local_of, partition_of
from appliance.domain.pipeline import Pipeline
from appliance.domain.replay import Replay, ReplayState
from appliance.engine.compared import Compared, number_of
from appliance.engine.engine import Engine
from appliance.engine.rebuilding import Ends, Rebuilding
from appliance.errors import Conflict, DashError

HOLD_SECS: Final = 15.0  # other nodes refine again by then at the latest, also where this one dies meanwhile

Save = Callable[[Replay], Awaitable[None]]

log = structlog.get_logger("replay")


class Exchange:
    """Swaps, splices and undoes, one at a time: it holds the book's ``turn``. Belongs to the event loop."""

    def __init__(self, engine: Engine, book: ReplayBook, clock: Clock, undo_window: timedelta) -> None:
        self._engine, self._book, self._clock, self._undo_window = engine, book, clock, undo_window
        self._compared = Compared(engine, book)

    async def compared(self, replay: Replay) -> Replay:
        """Return the replay, with the verdict where its rows can be compared while refining goes on."""
        before = await self._book.pipeline(replay.pipeline_id)
        return replace(replay, identical=await self._compared.identical(replay, before, held=False))

    async def bring_in(self, replay: Replay, rebuilding: Rebuilding, save: Save) -> None:
        """Make what ``rebuilding`` has rebuilt the rows in use; ``save`` is told each state, SWAPPED at last.

        Raises:
            TransientError: what came in meanwhile cannot be read now, or the rows in use have moved on; try again.
            NotFound: the pipeline has gone.
            Conflict: another pipeline has taken the name that this version gives it.
            Invalid, ConfigError: this version could not run.
        """
        async with self._book.turn():
            before = await self._book.pipeline(replay.pipeline_id)
            after = await self._version(replay, replay.version)
            silver = await self._silver(replay)
            async with self._engine.held(replay.pipeline_id), self._held_elsewhere(silver, replay):
                await rebuilding.run(await self._ends(silver, replay))
                if replay.whole and replay.identical is None:
                    replay = replace(replay, identical=await self._compared.identical(replay, before, held=True))
                live = await self._live(silver, replay)
                replay = replace(replay, former_generation=live.number, former_version=before.version, error=None)
                replay = replace(replay, next_era=max(live.era, before.era) + 1)
                replay = replace(replay.to(ReplayState.SWAPPING), fingerprint=await self._fingerprint(silver, replay))
                await save(replay)
                log.info("replay.swapping", replay=replay.id, pipeline=replay.pipeline_id)
                await self._change_over(silver, replay, live, (after, before))
                log.info("replay.exchanged", replay=replay.id, pipeline=replay.pipeline_id)
                await save(await self.settle(replay, done=True))
        self._engine.rows_changed(replay.pipeline_id)
        log.info("replay.swapped", replay=replay.id, pipeline=replay.pipeline_id, identical=replay.identical)

    async def undo(self, replay: Replay) -> Replay:
        """Put the former rows back, and the former version; return the replay, UNDONE.

        Raises:
            Conflict: the rows in use are not those that it brought in.
        """
        replay.to(ReplayState.UNDONE)
        silver = await self._silver(replay)
        async with self._book.turn():
            before = await self._book.pipeline(replay.pipeline_id)
            after = await self._version(replay, replay.former_version or before.version)
            async with self._engine.held(replay.pipeline_id):
                live, former = await self._live(silver, replay), replay.former_generation
                if former is None or live.number != (replay.generation if replay.whole else former):
                    raise Conflict("the rows of this replay were replaced by a later one: undo that one first")
                replay = replace(replay, undoing=True, fingerprint=await self._fingerprint(silver, replay))
                replay = replace(replay, next_era=max(live.era, before.era) + 1)
                await self._book.save(replay)
                log.info("replay.undoing", replay=replay.id, pipeline=replay.pipeline_id)
                await self._change_over(silver, replay, live, (after, before))
                log.info("replay.put_back", replay=replay.id, pipeline=replay.pipeline_id)
                replay = await self.settle(replay, done=True)
        self._engine.rows_changed(replay.pipeline_id)
        log.info("replay.undone", replay=replay.id, pipeline=replay.pipeline_id)
        return replay

    async def settle(self, replay: Replay, *, done: bool = False) -> Replay:
        """Write down how an exchange ended that was begun, or that it was not done; return the replay as it is then.

        ``done``: it is known to be. The row store alone cannot tell for a range that was the same on both sides.
        """
        silver = await self._silver(replay)
        begun, done = replay, done or await self._was_done(silver, replay)
        if replay.undoing:
            replay = replace(replay, undoing=False, fingerprint=None)
            if done:
                replay = replace(replay.to(ReplayState.UNDONE), finished_at=self._clock(), undo_until=None)
            version = replay.former_version
        elif replay.state is ReplayState.SWAPPING:
            replay = self._swapped(replay) if done else replay.to(ReplayState.REBUILDING)
            version = replay.version
        if replay is begun:
            return replay
        if done and replay.whole:
            replay = replace(replay, era=replay.next_era)
        if done and replay.resend and replay.state is ReplayState.SWAPPED:
            await self._hand_on(silver, replay)
        if done:
            await self._book.finish(replay, version if replay.whole else None, f"replay.{replay.state.value}")
        else:
            await self._book.save(replay)
        log.info("replay.settled", replay=replay.id, pipeline=replay.pipeline_id, state=replay.state.value)
        return replay

    async def discard(self, replay: Replay, keep: frozenset[int | None]) -> None:
        """Remove the generations of the pipeline that are neither live nor in ``keep``."""
        silver = await self._silver(replay)
        for one in await self._generations(silver, replay):
            if not one.live and one.number not in keep:
                await self._engine.workers.run("rebuild", silver.generations.discard, replay.pipeline_id, one.number)
                log.info("replay.discarded", pipeline=replay.pipeline_id, generation=one.number)

    async def _version(self, replay: Replay, version: int) -> Pipeline:
        """Return the pipeline as it will run afterwards: of a whole replay in that version, which must be able to."""
        if not replay.whole:
            return await self._book.pipeline(replay.pipeline_id)
        await self._book.check_version(replay.pipeline_id, version)
        pipeline = await self._book.pipeline(replay.pipeline_id, version)
        self._engine.check_startable(pipeline)
        return pipeline

    async def _change_over(
        self, silver: SilverStore, replay: Replay, live: Generation, pipelines: tuple[Pipeline, Pipeline]
    ) -> None:
        """Put the replay's generation in use instead of ``live``, or the former one again, and run the first of
        ``pipelines`` on it.

        Of a range, exchange its rows; the pipeline goes on as it is.
        """
        if not replay.whole:
            await self._splice(silver, replay)
            return
        after, before = pipelines
        new = replay.former_generation if replay.undoing else replay.generation
        eras, swap = Eras(live.era, replay.next_era), partial(silver.generations.swap, replay.pipeline_id)
        await self._engine.workers.run("rebuild", partial(swap, new, eras, behind=replay.undoing))
        try:
            await self._engine.start_pipeline(replace(after, era=replay.next_era))
        except Exception:
            # It must go on as it was: refining by the old version into the new rows would be wrong.
            await self._engine.workers.run("rebuild", swap, live.number, Eras(replay.next_era, live.era))
            await self._engine.start_pipeline(before)
            raise

    @asynccontextmanager
    async def _held_elsewhere(self, silver: SilverStore, replay: Replay) -> AsyncIterator[None]:
        """Keep other nodes from refining what a whole replay has yet to catch up with; the swap ends that.

        However this node fares, they go on after a while.
        """
        run, hold = self._engine.workers.run, silver.generations.hold
        if not replay.whole:
            yield
            return
        await run("rebuild", hold, replay.pipeline_id, HOLD_SECS)
        try:
            yield
        except BaseException:
            try:
                await run("rebuild", hold, replay.pipeline_id, 0.0)
            except DashError as error:
                log.warning("replay.not_released", replay=replay.id, error=str(error))
            raise

    async def _ends(self, silver: SilverStore, replay: Replay) -> Ends:
        """Return what has to be rebuilt of each partition before the rows may be exchanged.

        What this node has received, and what others have refined; the rest they refine by the new version.
        """
        if not replay.whole:
            return {partition_of(part.first_seq): part.last_seq or part.first_seq for part in replay.range}
        live = await self._live(silver, replay)
        refined = {number: one.seq for number, one in live.partitions.items()}
        own = self._engine.settled_seq(replay.pipeline_id)
        return {**refined, partition_of(self._engine.bronze.last_seq(replay.pipeline_id)): own}

    async def _splice(self, silver: SilverStore, replay: Replay) -> None:
        table, splice = await self._compared.table(replay), silver.generations.splice
        (first, last), *elsewhere = [Stretch(part.first_seq, part.last_seq or part.first_seq) for part in replay.range]
        await self._engine.workers.run("rebuild", splice, table, number_of(replay), first, last, elsewhere)

    async def _hand_on(self, silver: SilverStore, replay: Replay) -> None:
        """Hand the rows that were brought in to downstream readers, those that have read the former ones included."""
        stretches = [(part.first_seq, part.last_seq) for part in replay.range]
        if replay.whole:
            live = await self._live(silver, replay)
            ends = [one.seq for one in live.partitions.values()]
            stretches = [(first_of(last), last) for last in ends if local_of(last)]
        again, table = silver.feed.again, Table(replay.pipeline_id, ())
        rows = [await self._engine.workers.run("rebuild", again, table, *stretch) for stretch in stretches]
        log.info("replay.handed_on", replay=replay.id, pipeline=replay.pipeline_id, rows=sum(rows))

    def _swapped(self, replay: Replay) -> Replay:
        now = self._clock()
        return replace(
            replay.to(ReplayState.SWAPPED), finished_at=now, undo_until=now + self._undo_window, fingerprint=None
        )

    async def _was_done(self, silver: SilverStore, replay: Replay) -> bool:
        """Return whether the row store shows the exchange that the book says was begun."""
        if replay.whole:
            wanted = replay.former_generation if replay.undoing else replay.generation
            return any(one.live and one.number == wanted for one in await self._generations(silver, replay))
        there = any(one.number == replay.generation for one in await self._generations(silver, replay))
        return there and await self._fingerprint(silver, replay) != replay.fingerprint

    async def _fingerprint(self, silver: SilverStore, replay: Replay) -> str | None:
        return None if replay.whole else await self._compared.fingerprint(silver, replay)

    async def _silver(self, replay: Replay) -> SilverStore:
        return await self._engine.workers.run("control", self._engine.silver, replay.organisation_id)

    async def _generations(self, silver: SilverStore, replay: Replay) -> list[Generation]:
        return await self._engine.workers.run("rebuild", silver.generations.all, replay.pipeline_id)

    async def _live(self, silver: SilverStore, replay: Replay) -> Generation:
        return next(one for one in await self._generations(silver, replay) if one.live)
