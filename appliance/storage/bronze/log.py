"""FileBronzeLog: the adapter of the BronzeLog port on local disk."""

import os
import re
import shutil
from asyncio import get_running_loop
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import structlog

from appliance.components.bronze import BronzeLog, Finding, LogUpkeep, Quarantine, SegmentInfo
from appliance.components.durable import sync_directory
from appliance.components.polls import PageEnd, PageLog
from appliance.domain.clock import Clock, utc_now
from appliance.domain.event import Delivery, Frame, Receipt, StoredEvent
from appliance.domain.ids import PipelineId
from appliance.errors import FatalError, NotFound, TransientError
from appliance.storage.bronze.blockstore import Blockstore
from appliance.storage.bronze.caretaker import Caretaker
from appliance.storage.bronze.dedupe import DeliveryWindow
from appliance.storage.bronze.disk import Disk, Sync, Write, write_all
from appliance.storage.bronze.frame import microseconds
from appliance.storage.bronze.group_commit import Budget, GroupCommit
from appliance.storage.bronze.keeper import Keeper
from appliance.storage.bronze.manifest_lines import Entry
from appliance.storage.bronze.options import Options
from appliance.storage.bronze.pipeline_log import GRAVE, PipelineLog
from appliance.storage.bronze.recovery import recover
from appliance.storage.bronze.still import Still, hold, revised, sweep
from appliance.storage.bronze.upkeep import FileLogUpkeep
from appliance.storage.bronze.verify import Verification
from appliance.storage.bronze.writer import OpenFiles

_COMMIT_THREADS = 16  # mostly waiting for the disk, which makes several files durable together
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")

if TYPE_CHECKING:
    from appliance.storage.bronze.archive.log_archive import Archiving, LogArchive

log = structlog.get_logger("bronze")


class _Line:
    """Everything about one pipeline: its log, who reads and keeps it, who waits to be written."""

    def __init__(self, log: PipelineLog, keeper: Keeper, commits: GroupCommit) -> None:
        self.log = log
        self.keeper = keeper
        self.reader = keeper.reader
        self.commits = commits


class FileBronzeLog:
    """Bronze in files below ``root``, one directory a pipeline; opened (and recovered) when a pipeline is first used.

    Delivery ids are remembered in a window: the newest 100,000 of each pipeline, and none older than 24 hours. It
    survives a restart. Deliveries that wait for the disk take at most ``max_pending_bytes``, shared fairly (see
    ``Shares``). ``archive``: where closed segments go once ``archive.rounds`` is started, and are read from at once.
    """

    def __init__(  # noqa: PLR0913 - keyword values with defaults, each a promise of its own
        self,
        root: Path,
        *,
        clock: Clock = utc_now,
        segment_bytes: int = 64 << 20,
        segment_age: timedelta = timedelta(hours=1),
        max_pending_bytes: int = 64 << 20,
        max_open_files: int = 256,
        archive: "Archiving | None" = None,
        sync: Sync = os.fdatasync,
        write: Write = write_all,
    ) -> None:
        self._root = root
        self._options = Options(
            clock=clock,
            segment_bytes=segment_bytes,
            segment_age=segment_age,
            disk=Disk(write, sync),
            files=OpenFiles(max_open_files),
            rotated=self._rotated,
        )
        self._budget = Budget(max_pending_bytes)
        self._pool = ThreadPoolExecutor(_COMMIT_THREADS, thread_name_prefix="bronze-commit")
        self._blocks = Blockstore()
        self._lines: dict[PipelineId, _Line] = {}
        self._opening = RLock()
        self._closed = False
        self._caretaker = Caretaker(lambda: [line.log for line in list(self._lines.values())])
        self.archive = self._archived(archive) if archive else None

    @property
    def upkeep(self) -> LogUpkeep:
        return FileLogUpkeep(self._keeper)

    async def append(self, pipeline_id: PipelineId, delivery: Delivery) -> Receipt:
        line = self._lines.get(pipeline_id)
        if line is None and not self._closed:
            line = await get_running_loop().run_in_executor(self._pool, self._create, pipeline_id)
        if line is None or self._closed:
            raise TransientError(f"receiving for {pipeline_id}: the log is closing; send again after the restart", 5.0)
        return await line.commits.append(delivery)

    def last_seq(self, pipeline_id: PipelineId) -> int:
        line = self._line(pipeline_id)
        return line.log.last_seq if line else 0

    def checkpoint(self, pipeline_id: PipelineId) -> dict[str, Any] | None:
        line = self._line(pipeline_id)
        return line.log.checkpoint if line else None

    def read(self, pipeline_id: PipelineId, after_seq: int, max_events: int, max_bytes: int) -> list[Frame]:
        line = self._line(pipeline_id)
        return line.reader.read(after_seq, max_events, max_bytes) if line else []

    def event(self, pipeline_id: PipelineId, seq: int) -> StoredEvent:
        line = self._line(pipeline_id)
        if line is None:
            raise NotFound(f"looking for event {seq} of {pipeline_id}: nothing was received yet")
        return line.reader.event(pipeline_id, seq)

    def page(self, pipeline_id: PipelineId, seq: int) -> PageEnd | None:
        """See ``PageLog.page``."""
        line = self._line(pipeline_id)
        if line is None:
            return None if seq else PageEnd(0, None, polled=False)
        return line.reader.page(seq)

    def segments(self, pipeline_id: PipelineId) -> list[SegmentInfo]:
        line = self._line(pipeline_id)
        return line.log.segments() if line else []

    def verify(self, pipeline_id: PipelineId) -> Iterator[Finding]:
        line = self._line(pipeline_id)
        return Verification(pipeline_id, line.log, line.keeper.corrections).findings() if line else iter(())

    def prove_archive(self, pipeline_id: PipelineId) -> Iterator[Finding | None]:
        """Read every object that the archive has of the pipeline; yield what is wrong with each, or None."""
        line = self._line(pipeline_id)
        if line is None or self.archive is None:
            return
        for entry, wrong in self.archive.archiver(pipeline_id).proof():
            here = (line.log.directory / entry.name).exists()
            remedy = (
                "remove the object: it is stored again from this disk"
                if here
                else "put a copy of the file on this disk"
            )
            yield None if wrong is None else Finding(pipeline_id, entry.name, wrong, remedy)

    def hold(self, pipeline_id: PipelineId, folder: Path) -> Still | None:
        """Link the pipeline's files, as they are now, into ``folder``; None: there is no log. Raises OSError."""
        line = self._line(pipeline_id)
        return hold(line.log, folder) if line else None

    def revised(self, pipeline_id: PipelineId) -> str:
        """Return what changes whenever an event was erased or corrected; nothing where there is no log."""
        line = self._line(pipeline_id)
        return revised(line.log) if line else ""

    def lend(self, pipeline_id: PipelineId, entry: Entry) -> AbstractContextManager[Path]:
        """Give the file of a closed segment, fetched where it is in an archive only. Raises as ``Shelf.lend``."""
        line = self._line(pipeline_id)
        if line is None:
            raise NotFound(f"looking for {entry.name} of {pipeline_id}: the pipeline was deleted")
        return line.log.shelf.lend(entry)

    def reach(self, pipeline_id: PipelineId, seq: int) -> None:
        if (first := self.last_seq(pipeline_id) + 1) > seq:
            return
        line = self._create(pipeline_id)
        try:
            segment = line.log.reach(seq)
        except OSError as error:
            raise TransientError(f"closing the gap up to event {seq} of {pipeline_id}: {error}", 5.0) from error
        if segment is not None:
            line.keeper.places.found(Quarantine(segment, first, seq, "they were refined, and are not there any more"))

    def pipelines(self) -> list[PipelineId]:
        if not self._root.is_dir():
            return []
        return sorted(PipelineId(path.name) for path in self._root.iterdir() if _ID.fullmatch(path.name))

    def delete(self, pipeline_id: PipelineId) -> None:
        line = self._line(pipeline_id)
        if line is not None:
            with self._opening:
                if self.archive is not None:
                    self.archive.delete(pipeline_id)
                line.log.delete()
                self._lines.pop(pipeline_id, None)
                self._blocks.forget(line.log.directory)
                if self.archive is not None:
                    self.archive.detach(line.log)

    async def close(self) -> None:
        self._closed = True
        for line in list(self._lines.values()):
            await line.commits.idle()
        await get_running_loop().run_in_executor(None, self._close)

    def tick(self) -> None:
        """Close segments that have become too old, compress what is closed; blocking. Done every 30 s by itself too."""
        for line in list(self._lines.values()):
            line.log.tick()
        self._caretaker.wake()

    def health(self) -> dict[PipelineId, str]:
        """Return the pipelines that cannot receive at present, each with the reason. They stay readable."""
        stopped = {pipeline_id: line.log.stopped for pipeline_id, line in list(self._lines.items())}
        return {pipeline_id: reason for pipeline_id, reason in stopped.items() if reason}

    def troubles(self) -> dict[PipelineId, str]:
        """Return the pipelines whose closed segments could not be compressed, each with the reason. They receive."""
        return {PipelineId(name): reason for name, reason in list(self._caretaker.troubles.items())}

    def damaged(self) -> dict[PipelineId, list[Quarantine]]:
        """Return the places that could not be read when somebody looked last, of pipelines that have such."""
        found = {pipeline_id: line.keeper.places.all() for pipeline_id, line in list(self._lines.items())}
        return {pipeline_id: places for pipeline_id, places in found.items() if places}

    def recovered(self) -> dict[PipelineId, int]:
        """Return how many bytes recovery cut off and kept beside the segment, where it did; of pipelines opened."""
        cut = {pipeline_id: line.log.cut_bytes for pipeline_id, line in list(self._lines.items())}
        return {pipeline_id: count for pipeline_id, count in cut.items() if count}

    def open(self) -> None:
        """Open and recover every pipeline, finish deletions that a crash interrupted; blocking.

        Optional: a pipeline is opened when it is first used. Better at the start than in the middle of a request. One
        that cannot be trusted does not keep the others closed: whoever uses it hears why.
        """
        for grave in self._root.glob(f"{GRAVE}*"):
            shutil.rmtree(grave)
        sweep(self._root)
        for pipeline_id in self.pipelines():
            try:
                self._line(pipeline_id)
            except FatalError as error:
                log.error("bronze.not_opened", pipeline=pipeline_id, error=str(error), hint=error.hint)

    def _line(self, pipeline_id: PipelineId) -> _Line | None:
        """Return the pipeline's line, opening it if there is a log on disk; None: nothing was received yet."""
        line = self._lines.get(pipeline_id)
        if line is not None:
            return line
        with self._opening:
            line = self._lines.get(pipeline_id)
            directory = self._root / pipeline_id
            if line is None and _ID.fullmatch(pipeline_id) and directory.is_dir():
                line = self._lines[pipeline_id] = self._open(directory)
                self._caretaker.wake()
            return line

    def _create(self, pipeline_id: PipelineId) -> _Line:
        """Return the pipeline's line, making its directory (durably) where there is none."""
        if not _ID.fullmatch(pipeline_id):
            raise NotFound(f"receiving for {pipeline_id!r}: this is not the id of a pipeline")
        directory = self._root / pipeline_id
        try:
            if not directory.exists():
                directory.mkdir(mode=0o750, parents=True, exist_ok=True)
                sync_directory(self._root)
                sync_directory(self._root.parent)
            line = self._line(pipeline_id)
        except OSError as error:
            raise TransientError(f"receiving for {pipeline_id}: opening {directory} failed ({error})", 5.0) from error
        if line is None:
            raise TransientError(f"receiving for {pipeline_id}: the pipeline was deleted this moment")
        return line

    def _open(self, directory: Path) -> _Line:
        try:
            recovered = recover(directory)
        except OSError as error:
            raise TransientError(f"opening {directory}: the disk refuses ({error})", 5.0) from error
        log = PipelineLog(directory, recovered, self._options)
        if self.archive is not None:
            self.archive.attach(log)
        window = DeliveryWindow()
        window.restore(recovered, microseconds(self._options.clock()))
        commits = GroupCommit(log.commit, window, self._pool, self._budget, self._options.clock)
        return _Line(log, Keeper(log, self._options, self._blocks), commits)

    def _keeper(self, pipeline_id: PipelineId) -> Keeper | None:
        line = self._line(pipeline_id)
        return line.keeper if line else None

    def _archived(self, terms: "Archiving") -> "LogArchive":
        from appliance.storage.bronze.archive.log_archive import LogArchive  # not where nothing is archived

        archive = LogArchive(self._root, terms, self._options.clock)
        self._caretaker.compressed = archive.rounds.wake
        return archive

    def _rotated(self) -> None:
        self._caretaker.wake()

    def _close(self) -> None:
        self._caretaker.stop()
        if self.archive is not None:
            self.archive.rounds.stop()
        self._pool.shutdown()
        for line in list(self._lines.values()):
            line.log.close(line.commits.delivered_since)


_: type[BronzeLog] = FileBronzeLog
_pages: type[PageLog] = FileBronzeLog
