"""Rebuild: a stretch of Bronze refined into a shadow, as fast as the machine has room for.

Reading and mapping run ahead in threads, bounded in bytes; commits follow in order, several pieces in one transaction.
The shadow's progress in Silver is the checkpoint: a rebuild that was cut short goes on from there.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from appliance.components.silver import Progress
from appliance.domain.partition import partition_of
from appliance.engine.batches import Course
from appliance.engine.read_ahead import Lost, Pace, Pile, ReadAhead
from appliance.engine.refine import RETRY_SECS, Means
from appliance.engine.throttle import Pressure, Throttle
from appliance.errors import Conflict, FatalError, NotFound, TransientError

T = TypeVar("T")

log = structlog.get_logger("replay")


class Rebuilder:
    """Refines into ``course.table``, a shadow, the events of one partition: that of ``at``, which is its progress.

    ``stop`` ends ``run`` after the commit under way. ``pressure`` tells what else goes on; ``told`` is called with the
    number of events of each commit.
    """

    def __init__(
        self, course: Course, means: Means, pressure: Callable[[], Pressure], told: Callable[[int], None]
    ) -> None:
        self.course, self.at = course, Progress()
        self.error: str | None = None
        self.throttle = Throttle()
        self.hurry = False  # no rest any more, and no patience: refining waits for it
        self._means, self._pressure, self._told = means, pressure, told
        self._stopping = asyncio.Event()
        self._pace = Pace()
        self.per_sec = 0.0  # events a second while it works, of late

    @property
    def stopped(self) -> bool:
        return self._stopping.is_set()

    def stop(self) -> None:
        self._stopping.set()

    async def run(self, last_seq: int) -> None:
        """Refine up to ``last_seq``, trying again what may work later; return sooner only after ``stop``.

        Raises:
            Lost: it cannot be gone on with.
            TransientError: in a ``hurry`` nothing is tried again here.
            FatalError: what is read, mapped or stored cannot be trusted; or the mapping is frozen and an event drifts.
        """
        tries = 0
        while not self.stopped:
            pause = RETRY_SECS[min(tries, len(RETRY_SECS) - 1)]
            before = self.at.seq
            try:
                self.at = await self._stored()
                with self._means.crowd.beside():
                    await self._flow(last_seq)
            except (Lost, FatalError):
                raise
            except Exception as error:
                if self.hurry and isinstance(error, TransientError):
                    raise
                # the boundary of one replay: everything else goes on
                pause = max(getattr(error, "retry_after_secs", 0.0), pause)
                self._say(error, tries)
            else:
                self._recovered(tries)
                return
            tries = 0 if self.at.seq > before else tries + 1
            await self.rest(pause)

    async def rest(self, secs: float) -> None:
        """Wait ``secs``, or until ``stop``."""
        if secs <= 0:
            return
        try:
            async with asyncio.timeout(secs):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _stored(self) -> Progress:
        """Return how far the shadow is. Raises Lost: there is none."""
        pipeline_id, number = self.course.pipeline_id, self.course.table.generation
        for one in await self._run(self._means.silver.generations.all, pipeline_id):
            if one.number == number:
                return one.of(partition_of(self.at.seq))
        raise Lost(f"generation {number} of {pipeline_id} is gone: the row store was begun anew")

    async def _flow(self, last_seq: int) -> None:
        """Read, map and commit until ``last_seq`` or ``stop``."""
        self.throttle.pause(0.0, self._pressure())  # whoever is busy already is not overrun by the first pieces
        ahead = ReadAhead(self.course, self._means, self._pace, (self.at.seq, last_seq))
        pile = Pile(self.course)
        try:
            while not self.stopped:
                began = time.monotonic()
                taken = await ahead.next(beside=self.throttle.throttled and not self.hurry)
                if pile and (taken is None or not pile.takes(taken)):
                    await self._commit(pile)
                if taken is None:
                    return
                pile.add(taken)
                worked = time.monotonic() - began
                self._learn_speed(taken.mapped.last_seq - taken.mapped.first_seq + 1, worked)
                if not self.hurry:
                    await self.rest(self.throttle.pause(worked, self._pressure()))
        finally:
            await ahead.close()

    async def _commit(self, pile: Pile) -> None:
        batch = pile.batch()
        self.at = await self._run(self._means.silver.commit, batch)
        log.debug("replay.committed", first=batch.first_seq, last=batch.last_seq, share=round(self.throttle.share, 2))
        self._told(batch.last_seq - batch.first_seq + 1)

    def _learn_speed(self, events: int, worked_secs: float) -> None:
        speed = events / max(worked_secs, 1e-3)
        self.per_sec = speed if not self.per_sec else 0.8 * self.per_sec + 0.2 * speed

    async def _run(self, work: Callable[..., T], *args: object) -> T:
        return await self._means.workers.run("rebuild", work, *args)

    def _say(self, error: Exception, tries: int) -> None:
        # Conflict and NotFound: the store does not stand where it stood; it is asked again.
        foreseen = isinstance(error, TransientError | Conflict | NotFound)
        if not foreseen:  # a smaller piece may get past what is in the way
            self._pace.shrink(8)
        self.error = str(error) if foreseen else f"{type(error).__name__}: {error}"
        if tries == 0:
            trace = None if foreseen else error
            log.warning("replay.delayed", pipeline=self.course.pipeline_id, error=self.error, exc_info=trace)

    def _recovered(self, tries: int) -> None:
        if self.error is not None:
            log.info("replay.recovered", pipeline=self.course.pipeline_id, tries=tries)
        self.error = None
