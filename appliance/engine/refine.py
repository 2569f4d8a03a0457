"""Refine: one reader of Bronze per pipeline, from its checkpoint; rows, dead letters and checkpoint in one commit."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
import pyarrow as pa
import structlog

from appliance.components.bronze import BronzeLog
from appliance.components.mapper import CompiledMapping, Mapped, Mapper
from appliance.components.silver import Batch, Progress, SilverStore, Table
from appliance.domain.ids import PipelineId
from appliance.engine.workers import Workers
from appliance.errors import FatalError, TransientError

MAX_EVENTS: Final = 100_000
MAX_BYTES: Final = 24 << 20
REST_SHARE: Final = 0.5  # of a batch's own duration, before the next: batches grow, receiving keeps its share
REST_MOST_SECS: Final = 0.25
RETRY_SECS: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

log = structlog.get_logger("refine")


@dataclass(frozen=True, slots=True)
class Course:
    """What refining needs to know of one pipeline in one version."""

    pipeline_id: PipelineId
    version: int
    compiled: CompiledMapping
    table: Table
    persist: bool


class Commit(msgspec.Struct, frozen=True):
    """What followers are told after a commit."""

    pipeline_id: PipelineId
    progress: Progress
    rows: pa.Table
    oldest_us: int  # received time of the batch's first event
    took_secs: float


class Refiner:
    """Refines one pipeline until ``stop``. ``poke`` says that Bronze has more."""

    def __init__(
        self,
        course: Course,
        *,
        bronze: BronzeLog,
        silver: SilverStore,
        mapper: Mapper,
        workers: Workers,
        told: Callable[[Commit], None],
    ) -> None:
        self.course = course
        self.progress = Progress()
        self.error: str | None = None
        self.fatal = False
        self.waiting_since: float | None = None
        self._bronze, self._silver, self._mapper, self._workers = bronze, silver, mapper, workers
        self._told = told
        self._more = asyncio.Event()
        self._stopping = False
        self._batch_events = MAX_EVENTS

    @property
    def lag_events(self) -> int:
        return self._bronze.last_seq(self.course.pipeline_id) - self.progress.seq

    def poke(self, _events: int = 0) -> None:
        if self.waiting_since is None:
            self.waiting_since = time.monotonic()
        self._more.set()

    def stop(self) -> None:
        """End after the batch under way."""
        self._stopping = True
        self._more.set()

    async def run(self) -> None:
        """Refine for as long as there is something; return after ``stop`` or a FatalError (``fatal``, ``error``)."""
        self.progress = await self._patiently(self._silver.progress, self.course.pipeline_id) or self.progress
        self._more.set()
        while not self._stopping:
            await self._more.wait()
            self._more.clear()
            while not self._stopping and self.lag_events > 0:
                commit = await self._patiently(self._refine_once, self.course, self.progress.seq)
                if commit is None:
                    break
                self._done(commit)
                await asyncio.sleep(min(REST_MOST_SECS, commit.took_secs * REST_SHARE))

    def _done(self, commit: Commit) -> None:
        self.progress = commit.progress
        self.waiting_since = None if self.lag_events <= 0 else time.monotonic()
        self._batch_events = min(MAX_EVENTS, self._batch_events * 2)
        self._told(commit)

    async def _patiently(self, work, *args):  # type: ignore[no-untyped-def]
        """Run ``work`` in a thread until it succeeds, the pipeline stops or its state cannot be trusted (then None)."""
        tries = 0
        while not self._stopping:
            try:
                answer = await self._workers.run("refine", work, *args)
            except FatalError as error:
                self._fail(error)
                return None
            except TransientError as error:
                pause = max(error.retry_after_secs, RETRY_SECS[min(tries, len(RETRY_SECS) - 1)])
                self._say(error, tries)
            except Exception as error:  # noqa: BLE001 - the boundary of one pipeline: the others go on
                pause = RETRY_SECS[min(tries, len(RETRY_SECS) - 1)]
                self._batch_events = max(1, self._batch_events // 8)
                self._say(error, tries)
            else:
                if self.error is not None:
                    log.info("refine.recovered", pipeline=self.course.pipeline_id, tries=tries)
                self.error = None
                return answer
            tries += 1
            await self._rest(pause)
        return None

    def _say(self, error: Exception, tries: int) -> None:
        self.error = str(error) if isinstance(error, TransientError) else f"{type(error).__name__}: {error}"
        if tries == 0:
            log.warning("refine.delayed", pipeline=self.course.pipeline_id, error=self.error, exc_info=error)

    def _fail(self, error: FatalError) -> None:
        self.fatal, self._stopping = True, True
        self.error = f"{error} ({error.hint})"
        log.error("refine.failed", pipeline=self.course.pipeline_id, error=str(error), hint=error.hint)

    async def _rest(self, secs: float) -> None:
        deadline = time.monotonic() + secs
        while not self._stopping and time.monotonic() < deadline:
            await asyncio.sleep(min(0.1, secs))

    def _refine_once(self, course: Course, after_seq: int) -> Commit:
        began = time.monotonic()
        frames = self._bronze.read(course.pipeline_id, after_seq, self._batch_events, MAX_BYTES)
        mapped = self._mapper.run(course.compiled, frames)
        progress = self._silver.commit(_batch(course, mapped))
        return Commit(
            course.pipeline_id, progress, mapped.rows, frames[0].received_us, took_secs=time.monotonic() - began
        )


def _batch(course: Course, mapped: Mapped) -> Batch:
    rows, outcome = mapped.rows, mapped.outcome
    if not course.persist:
        rows = rows.slice(0, 0)
        outcome = msgspec.structs.replace(outcome, stored=0, filtered=outcome.filtered + outcome.stored)
    return Batch(course.table, course.version, mapped.first_seq, mapped.last_seq, rows, mapped.dead, outcome)
