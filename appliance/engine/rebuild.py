"""Rebuild: a stretch of Bronze refined into a shadow, as fast as the machine has room for.

Reading and mapping run ahead in threads, bounded in bytes; commits follow in order, several pieces in one transaction.
The shadow's progress in Silver is the checkpoint: a rebuild that was cut short goes on from there.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import pyarrow as pa
import structlog

from appliance.components.mapper import Mapped
from appliance.components.silver import Batch, Progress
from appliance.domain.event import Frame
from appliance.domain.ledger import Outcome
from appliance.engine.batches import Course, batch_of, one_day
from appliance.engine.refine import RETRY_SECS, Means
from appliance.engine.throttle import Pressure, Throttle
from appliance.errors import Conflict, FatalError, NotFound, TransientError

PIECE_BYTES: Final = 8 << 20  # of lines: what one thread reads and maps at a time
PIECE_EVENTS: Final = 50_000
PIECE_BYTES_BESIDE: Final = 4 << 20  # beside live traffic, which then waits for less
LEAST_PIECE_BYTES: Final = 64 << 10
AHEAD_BYTES: Final = 96 << 20  # lines and rows in memory at a time
AHEAD_PIECES: Final = 8
COMMIT_BYTES: Final = 48 << 20  # rows of one transaction: whoever else commits waits for it
COMMIT_PIECES: Final = 4  # of one transaction: rows beyond 122,880 go straight into the database file, not its log
COMMIT_PIECES_BESIDE: Final = 1  # pieces of one transaction beside live traffic
AHEAD_PIECES_BESIDE: Final = 2

T = TypeVar("T")

log = structlog.get_logger("replay")


class Lost(Exception):
    """The shadow cannot be gone on with: it is there no more, or Bronze no longer has what comes next."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Events of one day on their way: read, and being mapped."""

    frames: list[Frame]
    bytes: int
    mapped: "asyncio.Task[Mapped]"

    @property
    def last_seq(self) -> int:
        return self.frames[-1].last_seq


class Rebuilder:
    """Refines into ``course.table``, a shadow. ``at`` is its progress.

    ``stop`` ends ``run`` after the commit under way. ``pressure`` tells what else goes on; ``told`` is called with the
    number of events of each commit.
    """

    def __init__(
        self, course: Course, means: Means, pressure: Callable[[], Pressure], told: Callable[[int], None]
    ) -> None:
        self.course, self.at = course, Progress()
        self.error: str | None = None
        self.throttle = Throttle()
        self.hurry = False  # no rest any more: refining waits for it
        self._means, self._pressure, self._told = means, pressure, told
        self._stopping = asyncio.Event()
        self._piece_bytes = PIECE_BYTES
        self._growth = 1.0  # bytes of rows for a byte of lines
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
            except Exception as error:  # noqa: BLE001 - the boundary of one replay: everything else goes on
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
                return one.progress
        raise Lost(f"generation {number} of {pipeline_id} is gone: the row store was begun anew")

    async def _flow(self, last_seq: int) -> None:
        """Read, map and commit until ``last_seq`` or ``stop``."""
        ahead: deque[Piece] = deque()
        read_to = self.at.seq
        self.throttle.pause(0.0, self._pressure())  # whoever is busy already is not overrun by the first pieces
        try:
            while not self.stopped:
                began = time.monotonic()
                read_to = await self._read_ahead(ahead, read_to, last_seq)
                if not ahead:
                    return
                batch = await self._next(ahead)
                self.at = await self._run(self._means.silver.commit, batch)
                log.debug("replay.committed", first=batch.first_seq, last=batch.last_seq, pieces_ahead=len(ahead))
                self._told(batch.last_seq - batch.first_seq + 1)
                if not ahead or ahead[0].frames[0].first_seq != self.at.seq + 1:
                    read_to = await self._forget(ahead)  # the mapper stopped early: the rest of it comes first
                worked = time.monotonic() - began
                self._learn_speed(batch, worked)
                if not self.hurry:
                    await self.rest(self.throttle.pause(worked, self._pressure()))
        finally:
            await self._forget(ahead)

    def _learn_speed(self, batch: Batch, worked_secs: float) -> None:
        speed = (batch.last_seq - batch.first_seq + 1) / max(worked_secs, 1e-3)
        self.per_sec = speed if not self.per_sec else 0.7 * self.per_sec + 0.3 * speed

    @property
    def _beside(self) -> bool:
        return self.throttle.throttled and not self.hurry

    async def _read_ahead(self, ahead: "deque[Piece]", read_to: int, last_seq: int) -> int:
        """Read pieces and have them mapped, as far as memory allows; return the last event read."""
        while read_to < last_seq and self._room(ahead):
            frames = await self._run(self._read, read_to, last_seq)
            while frames:
                today = one_day(frames)
                frames = frames[len(today) :]
                task = asyncio.create_task(self._means.workers.run("replay", self._map, today))
                ahead.append(Piece(today, sum(len(frame.lines) for frame in today), task))
            read_to = ahead[-1].last_seq
        return read_to

    def _room(self, ahead: "deque[Piece]") -> bool:
        if not ahead:
            return True
        pieces = AHEAD_PIECES_BESIDE if self._beside else AHEAD_PIECES
        held = sum(piece.bytes for piece in ahead) * (1 + self._growth)
        return len(ahead) < pieces and held < AHEAD_BYTES

    def _read(self, after_seq: int, last_seq: int) -> list[Frame]:
        self._means.room()
        wanted = min(PIECE_EVENTS, last_seq - after_seq)
        most = min(self._piece_bytes, PIECE_BYTES_BESIDE) if self._beside else self._piece_bytes
        frames = self._means.bronze.read(self.course.pipeline_id, after_seq, wanted, most)
        if not frames or frames[0].first_seq != after_seq + 1:
            raise Lost(f"event {after_seq + 1} of {self.course.pipeline_id} has expired from Bronze")
        return frames

    def _map(self, frames: list[Frame]) -> Mapped:
        return self._means.mapper.run(self.course.compiled, frames, self.course.version)

    async def _next(self, ahead: "deque[Piece]") -> Batch:
        """Take pieces of one day, at least the first, wait until they are mapped, and return them as one batch."""
        first = ahead.popleft()
        parts, size = [await self._mapped(first)], 0
        most = COMMIT_PIECES_BESIDE if self._beside else COMMIT_PIECES
        while ahead and len(parts) < most and _joins(ahead[0], first, parts[-1]):
            size += parts[-1].rows.nbytes
            if size > COMMIT_BYTES:
                break
            parts.append(await self._mapped(ahead.popleft()))
        return batch_of(self.course, _joined(parts), first.frames[0].received_us)

    async def _mapped(self, piece: Piece) -> Mapped:
        mapped = await piece.mapped
        self._growth = max(0.1, mapped.rows.nbytes / max(1, piece.bytes))
        if mapped.last_seq < piece.last_seq:
            self._piece_bytes = max(LEAST_PIECE_BYTES, self._piece_bytes // 2)
        return mapped

    async def _forget(self, ahead: "deque[Piece]") -> int:
        """Let what runs ahead come to its end, unused; return the last event that needs no more reading."""
        await asyncio.gather(*(piece.mapped for piece in ahead), return_exceptions=True)
        ahead.clear()
        return self.at.seq

    async def _run(self, work: Callable[..., T], *args: object) -> T:
        return await self._means.workers.run("rebuild", work, *args)

    def _say(self, error: Exception, tries: int) -> None:
        # Conflict and NotFound: the store does not stand where it stood; it is asked again.
        foreseen = isinstance(error, TransientError | Conflict | NotFound)
        if not foreseen:  # a smaller piece may get past what is in the way
            self._piece_bytes = max(LEAST_PIECE_BYTES, self._piece_bytes // 8)
        self.error = str(error) if foreseen else f"{type(error).__name__}: {error}"
        if tries == 0:
            trace = None if foreseen else error
            log.warning("replay.delayed", pipeline=self.course.pipeline_id, error=self.error, exc_info=trace)

    def _recovered(self, tries: int) -> None:
        if self.error is not None:
            log.info("replay.recovered", pipeline=self.course.pipeline_id, tries=tries)
        self.error = None


def _joins(piece: Piece, first: Piece, before: Mapped) -> bool:
    """Return whether ``piece`` goes into the same transaction: it follows and is of the same day."""
    follows = piece.frames[0].first_seq == before.last_seq + 1
    return follows and len(one_day([first.frames[0], piece.frames[0]])) == 2


def _joined(parts: list[Mapped]) -> Mapped:
    if len(parts) == 1:
        return parts[0]
    return Mapped(
        pa.concat_tables([part.rows for part in parts]),
        pa.concat_tables([part.dead for part in parts]),
        sum((part.outcome for part in parts), Outcome()),
        parts[0].first_seq,
        parts[-1].last_seq,
    )
