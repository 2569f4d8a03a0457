"""Hands-on access to one pipeline's log without threads or an event loop, for tests of what lies in the files."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from appliance.domain.event import Delivery, Envelope
from appliance.storage.bronze.blockstore import Blockstore
from appliance.storage.bronze.disk import Disk
from appliance.storage.bronze.frame import Packed, pack
from appliance.storage.bronze.options import Options
from appliance.storage.bronze.pipeline_log import PipelineLog
from appliance.storage.bronze.reader import Reader
from appliance.storage.bronze.recovery import recover
from appliance.storage.bronze.writer import OpenFiles

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


class Hand:
    """A clock that stands still until it is moved; wall and monotonic time in one."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return (self.now - NOON).total_seconds()

    def move(self, **delta: float) -> None:
        self.now += timedelta(**delta)


def options(hand: Hand | None = None, **chosen: Any) -> Options:
    """Return options as chosen; segments end at 64 KiB."""
    hand = hand or Hand()
    standard: dict[str, Any] = {
        "clock": hand, "monotonic": hand.monotonic, "segment_bytes": 1 << 16, "disk": Disk(), "files": OpenFiles(),
    }  # fmt: skip
    return Options(**(standard | chosen))


def open_log(directory: Path, hand: Hand | None = None, **chosen: Any) -> PipelineLog:
    """Return the log in ``directory``, recovered; options as chosen."""
    directory.mkdir(exist_ok=True)
    return PipelineLog(directory, recover(directory), options(hand, **chosen))


def packed(*payloads: bytes, received_at: datetime = NOON, **envelope: Any) -> Packed:
    return pack(Delivery(Envelope(received_at=received_at, source="webhook", **envelope), payloads))


def events(log: PipelineLog, after_seq: int = 0) -> list[tuple[int, bytes | None]]:
    """Return all events after ``after_seq``, as the reader answers them; None for what is damaged or withdrawn."""
    return told(Reader(log, Blockstore()), after_seq)


def told(reader: Reader, after_seq: int = 0) -> list[tuple[int, bytes | None]]:
    """Do the same with a reader that knows corrections."""
    found: list[tuple[int, bytes | None]] = []
    while frames := reader.read(after_seq, 1000, 1 << 20):
        for frame in frames:
            for seq, line in enumerate(frame.lines.split(b"\n"), frame.first_seq):
                found.append((seq, None if frame.damaged or seq in frame.withdrawn else line))
        after_seq = frames[-1].last_seq
    return found


def reasons(log: PipelineLog, after_seq: int = 0) -> list[tuple[int, int, str]]:
    """Return the damaged places after ``after_seq``: first and last event, and why."""
    reader = Reader(log, Blockstore())
    found: list[tuple[int, int, str]] = []
    while frames := reader.read(after_seq, 1000, 1 << 20):
        found += [(frame.first_seq, frame.last_seq, frame.damaged) for frame in frames if frame.damaged]
        after_seq = frames[-1].last_seq
    return found


def compact_all(log: PipelineLog) -> None:
    while log.compact_oldest(lambda worked: None):
        pass


def names(directory: Path) -> list[str]:
    """Return the names of the files, without the zeros in front."""
    return sorted(path.name.lstrip("0") for path in directory.iterdir())
