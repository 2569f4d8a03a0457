"""Logs held to the contract of BronzeLog, and what its suites have in common."""

import threading
import time
from asyncio import to_thread
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from appliance.components.bronze import BronzeLog
from appliance.domain.event import Delivery, Envelope, Frame
from appliance.domain.ids import PipelineId
from appliance.storage.bronze import FileBronzeLog
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
