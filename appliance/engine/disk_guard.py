"""Watches the disk of the data directory: marks, the state they put the appliance in, and the reserve file."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from appliance.domain.disk import DiskState, Marks, Room, delay_secs, reserve_bytes, state_after
from appliance.domain.quantity import shown_size
from appliance.errors import TransientError

LOOK_EVERY_SECS: Final = 1.0
RETRY_AFTER_SECS: Final = 30.0
RESERVE_FILE: Final = "reserve"

_LEVELS: Final = {DiskState.FINE: "info", DiskState.WARNING: "warning", DiskState.SLOW: "warning"}

log = structlog.get_logger("disk")

Measure = Callable[[Path], Room]


def measure(directory: Path) -> Room:
    """Return the room of the file system that ``directory`` is on."""
    found = os.statvfs(directory)
    free, used = found.f_bavail * found.f_frsize, (found.f_blocks - found.f_bfree) * found.f_frsize
    return Room(used + free, free)


class DiskGuard:
    """Belongs to the event loop. What it knows is at most a second old; asking it costs nothing.

    The reserve file counts as free: it is given up at the stop mark, so that deleting, signing in, audit, erasure and
    retention work on a full disk, and taken again once the mark is released.
    """

    def __init__(self, directory: Path, marks: Marks, reserve: int, *, measure: Measure = measure) -> None:
        self.marks = marks
        self.state = DiskState.FINE
        self.room = Room(0, 0)
        self.held_back = 0  # bytes of the reserve file
        self._directory, self._reserve_wanted, self._measure = directory, reserve, measure
        self._file = directory / RESERVE_FILE
        self.changed: list[Callable[[DiskState], None]] = []  # told of a new state
        self._refused = False  # the reserve could not be taken, and that was told
        self.trouble: str | None = None  # why the disk could not be looked at

    @property
    def stopped(self) -> bool:
        return self.state is DiskState.STOPPED

    @property
    def slow(self) -> bool:
        """Whether whatever can wait should: replays, and what only makes files larger."""
        return self.state.rank >= DiskState.SLOW.rank

    def check(self, retry_after_secs: float = RETRY_AFTER_SECS) -> None:
        """Return if there is room to receive and to refine.

        Raises:
            TransientError: the stop mark is reached.
        """
        if self.state is DiskState.STOPPED:
            raise TransientError(
                f"storing events: the disk is full ({self.told()}); nothing is received until there is room",
                retry_after_secs,
            )

    async def slow_down(self) -> None:
        """Hold an acknowledgement back, the longer the nearer the stop mark is."""
        if self.state is DiskState.SLOW:
            await asyncio.sleep(delay_secs(self.room, self.marks))

    def told(self) -> str:
        """Return the state of the disk and what to do about it, in one sentence."""
        if self.trouble is not None:
            return self.trouble
        told = f"{shown_size(self.room.free)} free, {self.room.used_share:.0%} in use"
        if self.state is DiskState.STOPPED and self.room.free < (least := self.marks.stop_free_bytes):
            told += f", and {shown_size(least)} have to stay free (disk.stop_free)"
        match self.state:
            case DiskState.FINE:
                return told
            case DiskState.WARNING:
                return f"{told}: shorten a retention or make the disk larger before it is {self.marks.slow:.0%} full"
            case DiskState.SLOW:
                return f"{told}: receiving is slowed down; free some space, or shorten a retention"
            case DiskState.STOPPED:
                return f"{told}: receiving and refining wait; delete a pipeline, shorten a retention, or free space"

    async def run(self) -> None:
        """Look once a second; returns only by cancellation."""
        while True:
            self.look()
            await asyncio.to_thread(self.keep_reserve)
            await asyncio.sleep(LOOK_EVERY_SECS)

    def look(self) -> DiskState:
        """Measure, and return the state that follows; a change is logged once."""
        try:
            room = self._measure(self._directory)
            self.held_back = self._file.stat().st_size if self._file.exists() else 0
        except OSError as error:
            if self.trouble is None:
                log.error("disk.unseen", directory=str(self._directory), error=str(error))
            self.trouble = f"the disk cannot be looked at ({error.strerror}): see whether it is still mounted"
            return self.state
        self.trouble = None
        self.room = Room(room.total, room.free + self.held_back)
        before, self.state = self.state, state_after(self.state, self.room, self.marks)
        if before is not self.state:
            tell = getattr(log, _LEVELS.get(self.state, "error"))
            tell("disk.state", state=self.state.value, before=before.value, told=self.told())
            for hear in self.changed:
                hear(self.state)
        return self.state

    def keep_reserve(self) -> None:
        """Give the reserve file up at the stop mark, take it again where there is room; blocking."""
        wanted = reserve_bytes(self._reserve_wanted, self.room.total, self.marks)
        if self.stopped:
            wanted = 0
        if wanted == self.held_back or (wanted and self.room.free < 2 * wanted):
            return
        try:
            self._resize(wanted)
            self._refused = False
        except OSError as error:
            self._file.unlink(missing_ok=True)
            self.held_back = 0
            if not self._refused:
                log.warning("disk.no_reserve", error=str(error), wanted_bytes=wanted)
            self._refused = True

    def _resize(self, wanted: int) -> None:
        if not wanted:
            self._file.unlink(missing_ok=True)
        else:
            fd = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(fd, wanted)
                os.posix_fallocate(fd, 0, wanted)
            finally:
                os.close(fd)
        self.held_back = wanted
