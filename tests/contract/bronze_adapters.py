"""Logs held to the contract of BronzeLog, and what its suites have in common."""

import threading
import time
from asyncio import to_thread
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from appliance.components.bronze import BronzeLog, Finding, LogUpkeep
from appliance.domain.event import Delivery, Envelope, Frame, StoredEvent
from appliance.domain.ids import PipelineId
from appliance.storage.archive.folder import FolderArchive
from appliance.storage.bronze import FileBronzeLog
from appliance.storage.bronze.archive.claim import Identity
from appliance.storage.bronze.archive.log_archive import Archiving
from appliance.storage.bronze_cluster import ClusterBronze, Own, PartitionLog
from tests.fakes.bronze import MemoryBronzeLog
from tests.fakes.holders import FakeHolders, nobody
from tests.fakes.inward import Inward

PIPE = PipelineId("pl_boiler")
OTHER = PipelineId("pl_other")
NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
NOON_US = 1795348800123456  # date -u -d 2026-11-22T12:00:00Z +%s → 1795348800
ALL = (1_000_000, 1 << 30)


def small_segments(root: Path) -> FileBronzeLog:
    """Rotate after nearly every delivery, so that each promise is asked across segments too."""
    return FileBronzeLog(root, clock=lambda: NOON, segment_bytes=300)


class Evicted(FileBronzeLog):
    """Has nothing closed on its disk whenever it is asked: all of it is read from a folder that it was archived to."""

    def __init__(self, root: Path) -> None:
        archive = root.with_name("archive")
        archive.mkdir(exist_ok=True)
        terms = Archiving(store=FolderArchive(archive), who=Identity("here", "token"), local_cache=0)
        super().__init__(root, clock=lambda: NOON, segment_bytes=300, archive=terms)
        self._caretaker.stop()  # what it does is done here, at once

    def tick(self) -> None:
        self.evict()

    @property
    def upkeep(self) -> LogUpkeep:
        self.evict()
        return super().upkeep

    def read(self, pipeline_id: PipelineId, after_seq: int, max_events: int, max_bytes: int) -> list[Frame]:
        self.evict()
        return super().read(pipeline_id, after_seq, max_events, max_bytes)

    def event(self, pipeline_id: PipelineId, seq: int) -> StoredEvent:
        self.evict()
        return super().event(pipeline_id, seq)

    def verify(self, pipeline_id: PipelineId) -> Iterator[Finding]:
        self.evict()
        return super().verify(pipeline_id)

    def evict(self) -> None:
        """Compress, archive and remove everything that is closed."""
        assert self.archive is not None
        for log, _, _ in self.archive.lines():
            log.tick()
            while log.compact_oldest(lambda worked: None):
                pass
        self.archive.rounds.make()
        assert (self.archive.rounds.trouble, self.archive.rounds.troubles) == (None, {})
        for log, _, _ in self.archive.lines():
            assert list(log.directory.glob("*.zst")) == []


def partition_3(root: Path) -> Inward:
    """Ask of outward numbers what the suites ask of local ones."""
    return Inward(PartitionLog(small_segments(root), 3), 3)


def alone(root: Path) -> ClusterBronze:
    return ClusterBronze(Own(0, small_segments(root)), FakeHolders(), nobody)


def alone_in_partition_3(root: Path) -> Inward:
    return Inward(ClusterBronze(Own(3, PartitionLog(small_segments(root), 3)), FakeHolders(), nobody), 3)


ADAPTERS: dict[str, Callable[[Path], BronzeLog]] = {
    "memory": lambda root: MemoryBronzeLog(),
    "file": lambda root: FileBronzeLog(root, clock=lambda: NOON),
    "file with tiny segments": small_segments,
    "evicted to an archive": Evicted,
    "partition 0": lambda root: PartitionLog(small_segments(root), 0),
    "partition 3": partition_3,
    "cluster of one": alone,
    "cluster of partition 3": alone_in_partition_3,
}


def delivery(*payloads: Any, received_at: datetime = NOON, **envelope: Any) -> Delivery:
    return Delivery(Envelope(received_at=received_at, source="webhook", **envelope), payloads)


def content(frames: list[Frame]) -> list[tuple[int, bytes]]:
    return [(f.first_seq + at, line) for f in frames for at, line in enumerate(f.lines.split(b"\n"))]


def innermost(log: Any) -> Any:
    """Return the log in files, or in memory, below whatever stands around it."""
    match log:
        case Inward():
            return innermost(log.log)
        case ClusterBronze():
            return innermost(log.local)
        case PartitionLog():
            return innermost(log._log)
    return log


async def settled(log: BronzeLog) -> None:
    """Return when all closed segments are compressed, where there are such."""
    log, deadline = innermost(log), time.monotonic() + 10
    while isinstance(log, FileBronzeLog) and any(one.closed and not one.sha256 for one in log.segments(PIPE)):
        assert time.monotonic() < deadline, log.troubles()
        log.tick()
        await to_thread(threading.Event().wait, 0.005)
