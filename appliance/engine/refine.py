"""Refine: one reader of Bronze per pipeline, from its checkpoint; rows, dead letters and checkpoint in one commit."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

import msgspec
import pyarrow as pa
import structlog

from appliance.components.bronze import BronzeLog
from appliance.components.mapper import Mapper
from appliance.components.partitions import several
from appliance.components.silver import Batch, Progress, SilverStore
from appliance.domain.event import Frame
from appliance.domain.ids import PipelineId
from appliance.domain.partition import local_of, partition_of
from appliance.engine.ahead import Ahead, Piece
from appliance.engine.batches import Course, batch_of, gap_batch, one_day
from appliance.engine.crowd import MAX_EVENTS, Crowd
from appliance.engine.deliveries import claim_past, claims_of, shown
from appliance.engine.tenure import Right, Tenure
from appliance.engine.workers import Workers
from appliance.errors import Conflict, FatalError, FrozenError, TransientError

RETRY_SECS: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

T = TypeVar("T")

log = structlog.get_logger("refine")


@dataclass(frozen=True, slots=True)
class Means:
    """What refining works with."""

    bronze: BronzeLog
    silver: SilverStore
    mapper: Mapper
    workers: Workers
    room: Callable[[], None] = lambda: None  # raises TransientError while the disk has none
    crowd: Crowd = field(default_factory=Crowd)
    watch: Callable[[PipelineId, Sequence[Frame]], None] = lambda _pipeline_id, _frames: None  # looks at some of them


class Commit(msgspec.Struct, frozen=True):
    """What followers are told after a commit."""

    pipeline_id: PipelineId
    progress: Progress
    rows: pa.Table
    events: int
    took_secs: float
    whole: bool = True  # all that was there when it was read; else there was more than a batch, or another day


class Refiner:
    """Refines one pipeline until ``stop``. ``poke`` says that Bronze has more.

    ``tenure``: what of its events this node may store, where several take turns at polling; None: all.
    """

    def __init__(
        self, course: Course, means: Means, told: Callable[[Commit], None], tenure: Tenure | None = None
    ) -> None:
        self.course = course
        self.progress = Progress()
        self.error: str | None = None
        self.fatal = False
        self.frozen_at: int | None = None  # the event at which a frozen mapping stopped it
        self.waiting_since: float | None = None  # monotonic; when the oldest event not yet refined was noticed
        self._means = means
        self._told = told
        self._tenure = tenure
        self._at_rest = asyncio.Event()  # all that was there is refined, and noted
        self._more = asyncio.Event()
        self._stopping = asyncio.Event()
        self._batch_events = MAX_EVENTS
        self._ahead = Ahead(means.workers)

    @property
    def bronze(self) -> BronzeLog:
        return self._means.bronze

    @property
    def lag_events(self) -> int:
        return local_of(self._means.bronze.last_seq(self.course.pipeline_id)) - local_of(self.progress.seq)

    def poke(self) -> None:
        self._at_rest.clear()
        if self.waiting_since is None:
            self.waiting_since = time.monotonic()
        self._more.set()

    def moved(self) -> None:
        """Say that the checkpoint of its source moved, and no event came."""
        self._at_rest.clear()
        self._more.set()

    async def at_rest(self, secs: float) -> bool:
        """Wait at most ``secs`` until all that was there is refined; return whether it is."""
        try:
            async with asyncio.timeout(secs):
                await self._at_rest.wait()
        except TimeoutError:
            return False
        return True

    def stop(self) -> None:
        """End after the batch under way."""
        self._stopping.set()
        self._more.set()

    def resume(self) -> None:
        """Let ``run`` be called again after ``stop``."""
        self._stopping.clear()
        self._more.clear()

    def amended(self, progress: Progress) -> None:
        """Note that outcomes were changed by an amendment, unless a later commit has told more already.

        What was changed of another partition is not this refiner's to go on from.
        """
        same = partition_of(progress.seq) == partition_of(self.progress.seq)
        if same and progress.seq >= self.progress.seq:
            self.progress = progress

    def exchanged(self, stored: Progress) -> None:
        """Refine again from ``stored``: another node has put rows in use that are refined only so far here."""
        self._go_back(stored)
        self.poke()

    async def run(self) -> None:
        """Refine whenever there is something; return after ``stop`` or a FatalError (see ``error``)."""
        self.progress = await self._patiently(self._means.silver.progress, self.course.pipeline_id) or self.progress
        if local_of(self.progress.seq) == 0:
            await self._patiently(claim_past, self._means.silver, self._means.bronze, self.course.pipeline_id)
        if self.lag_events > 0:
            self.poke()
        else:
            self.waiting_since = None
        if self._tenure is not None:
            self.moved()  # perhaps before a crash
        while not self._stopping.is_set():
            await self._more.wait()
            self._more.clear()
            with self._means.crowd.joined():
                await self._refine_all()
            await self._ahead.settle()  # what changes while nothing is refined is not known to what was mapped before
            if self._tenure is not None and self.lag_events <= 0:
                await self._patiently(self._tenure.note, self.progress.seq)
            if self.lag_events <= 0 and not self._more.is_set():
                self._at_rest.set()

    async def _refine_all(self) -> None:
        """Refine batch by batch until nothing is left, or it cannot go on."""
        while not self._stopping.is_set() and self.lag_events > 0:
            commit = await self._patiently(self._refine_once, self.course, self.progress.seq)
            if commit is None:
                return
            if isinstance(commit, Progress):
                self._go_back(commit)
                continue
            self._done(commit)
            if not self._behind():
                await self._rest(self._means.crowd.rest_secs(commit.took_secs))

    def _go_back(self, stored: Progress) -> None:
        """Go on from where the store stands: its file was set aside and begun anew, and Bronze has it all."""
        log.warning("refine.again", pipeline=self.course.pipeline_id, expected=self.progress.seq, stored=stored.seq)
        self.progress = stored

    def _behind(self) -> bool:
        hurry_after = self._means.crowd.hurry_after_secs
        return self.waiting_since is not None and time.monotonic() - self.waiting_since > hurry_after

    def _done(self, commit: Commit) -> None:
        self.progress = commit.progress
        if self.lag_events <= 0:
            self.waiting_since = None
        elif commit.whole:  # what waits now came meanwhile
            self.waiting_since = time.monotonic() - commit.took_secs
        self._batch_events = min(MAX_EVENTS, self._batch_events * 2)
        try:
            self._told(commit)
        except Exception as error:
            # The rows are stored, and refining goes on, whatever becomes of those who are told.
            log.error("refine.not_told", pipeline=self.course.pipeline_id, error=str(error), exc_info=error)

    async def _patiently(self, work: Callable[..., T], *args: object) -> T | None:
        """Run ``work`` in a thread until it succeeds; None: the pipeline stops, or its state cannot be trusted."""
        tries = 0
        while not self._stopping.is_set():
            pause = RETRY_SECS[min(tries, len(RETRY_SECS) - 1)]
            try:
                answer = await self._means.workers.run("refine", work, *args)
            except FatalError as error:
                self._fail(error)
                return None
            except TransientError as error:
                pause = max(error.retry_after_secs, pause)
                self._say(error, tries)
            except Exception as error:  # noqa: BLE001 - the boundary of one pipeline: the others go on
                self._batch_events = max(1, self._batch_events // 8)  # a smaller batch may get past what is in the way
                self._say(error, tries)
            else:
                self._recovered(tries)
                return answer
            tries += 1
            await self._rest(pause)
        return None

    def _say(self, error: Exception, tries: int) -> None:
        foreseen = isinstance(error, TransientError)
        self.error = str(error) if foreseen else f"{type(error).__name__}: {error}"
        if tries == 0:
            trace = None if foreseen else error  # only a bug's place is worth a trace
            log.warning("refine.delayed", pipeline=self.course.pipeline_id, error=self.error, exc_info=trace)

    def _recovered(self, tries: int) -> None:
        if self.error is not None:
            log.info("refine.recovered", pipeline=self.course.pipeline_id, tries=tries)
        self.error = None

    def _fail(self, error: FatalError) -> None:
        self._stopping.set()
        self.fatal = True
        self.frozen_at = error.seq if isinstance(error, FrozenError) else None
        self.error = f"{error} ({error.hint})"
        log.error("refine.failed", pipeline=self.course.pipeline_id, error=str(error), hint=error.hint)

    async def _rest(self, secs: float) -> None:
        """Wait ``secs``, or until ``stop``."""
        try:
            async with asyncio.timeout(secs):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _refine_once(self, course: Course, after_seq: int) -> Commit | Progress:
        """Read, map and commit one batch; Progress: the store does not stand at ``after_seq`` but there."""
        self._means.room()
        piece = self._ahead.take(after_seq) or self._piece(course, after_seq)
        batch = piece.batch
        if self._next_is_worth_it(piece):
            self._ahead.begin(partial(self._piece, course), batch.last_seq)
        try:
            progress = self._commit(batch, piece.right)
        except Conflict:
            return self._means.silver.progress(course.pipeline_id)
        rows = piece.rows
        if batch.claims is not None and progress.outcome.duplicate > self.progress.outcome.duplicate:
            rows = shown(self._means.silver, batch, rows)
        took = time.monotonic() - piece.begun
        return Commit(course.pipeline_id, progress, rows, batch.last_seq - after_seq, took, piece.whole)

    def _piece(self, course: Course, after_seq: int) -> Piece:
        """Read and map what follows ``after_seq``."""
        begun, pieces, crowd = time.monotonic(), self._ahead.at_once, self._means.crowd
        most = min(self._batch_events, crowd.most_events // pieces)
        right = None if self._tenure is None else self._tenure.right(after_seq)
        most = most if right is None else right.most(after_seq, most)
        newest = self._means.bronze.last_seq(course.pipeline_id)
        frames = self._means.bronze.read(course.pipeline_id, after_seq, most, crowd.most_bytes // pieces)
        batch = self._gap(course, after_seq, frames)
        if batch is None:
            today = one_day(frames)
            self._means.watch(course.pipeline_id, today)
            mapped = self._means.mapper.run(course.compiled, today, course.version)
            batch, rows = batch_of(course, mapped, today[0].received_us), mapped.rows
            if several(self._means.bronze):
                batch = msgspec.structs.replace(batch, claims=claims_of(course.pipeline_id, today, mapped.last_seq))
        else:
            rows = batch.rows
        return Piece(batch, rows, batch.last_seq >= newest, begun, right)

    def _next_is_worth_it(self, piece: Piece) -> bool:
        """Return whether to map what follows at once: not what grows if it waits, nor while others want the core."""
        if piece.whole or self._ahead.at_once == 1 or self._means.crowd.busy > 1:
            return False
        waiting = self._means.bronze.last_seq(self.course.pipeline_id) - piece.batch.last_seq
        return waiting > piece.batch.last_seq - piece.batch.first_seq

    def _commit(self, batch: Batch, right: Right | None) -> Progress:
        tenure = self._tenure
        if tenure is None or right is None or (polled := tenure.polled(right, batch.last_seq)) is None:
            return self._means.silver.commit(batch)
        try:
            progress = self._means.silver.commit(msgspec.structs.replace(batch, polled=polled))
        except Conflict:
            tenure.doubt()
            raise
        tenure.stored(polled)
        return progress

    def _gap(self, course: Course, after_seq: int, frames: Sequence[Frame]) -> Batch | None:
        """Return what stands for events that have expired since, or None: the next event is there."""
        bronze = self._means.bronze
        following = frames[0].first_seq if frames else bronze.upkeep.first_seq(course.pipeline_id)
        if following == after_seq + 1 and frames:
            return None
        log.warning("refine.gap", pipeline=course.pipeline_id, first=after_seq + 1, last=following - 1)
        return gap_batch(course, self._means.mapper, after_seq + 1, following - 1)
