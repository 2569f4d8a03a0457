"""Looks at the conditions of this node every few seconds, and keeps its incidents and failures beside its data.

In a file of the node's own, not in the control plane: what happens while that is away is worth keeping most of all.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec
import structlog

from appliance.domain.clock import Clock, utc_now
from appliance.domain.incident import Board, Condition, Incident, acknowledged, after, kept_quiet
from appliance.errors import DashError, NotFound
from appliance.observe.log_book import BOOK, Failure, LogBook

FILE: Final = "operations.json"
LOOK_SECS: Final = 10.0

log = structlog.get_logger("incidents")

Look = Callable[[], Awaitable[Iterable[Condition]]]


class Kept(msgspec.Struct, frozen=True):
    """What the file holds."""

    incidents: tuple[Incident, ...] = ()
    failures: tuple[Failure, ...] = ()


async def _nothing() -> Iterable[Condition]:
    return ()


class IncidentWatch:
    """``look``: what is not as it should be; ``readiness`` and ``exposition``: what /readyz and /metrics answer. All
    three are set by whoever runs the appliance. Belongs to the event loop."""

    def __init__(self, data_dir: Path, clock: Clock = utc_now, book: LogBook = BOOK) -> None:
        self.book = book
        self.look: Look = _nothing
        self.readiness: Callable[[], Mapping[str, tuple[bool, str]]] = dict
        self.exposition: Callable[[], bytes] = bytes
        self._file, self._clock = data_dir / FILE, clock
        self.muting: Callable[[], bool] = lambda: False  # whether nothing opens, because of maintenance
        self.muted: tuple[Incident, ...] = ()
        self._board = Board()
        self._written: tuple[object, ...] = ()

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """Return what is open and what was lately, oldest first."""
        return self._board.incidents

    def acknowledge(self, incident_id: str, who: str) -> Incident:
        """Mark an incident as known to somebody; a second call changes nothing but the name.

        Raises:
            NotFound: there is none.
        """
        self._board = acknowledged(self._board, incident_id, who, self._clock())
        found = next((one for one in self._board.incidents if one.id == incident_id), None)
        if found is None:
            raise NotFound(f"there is no incident {incident_id!r}: those of the last 30 days are listed")
        return found

    def load(self) -> None:
        """Take up what the last process kept; blocking. A file that cannot be read is passed over: nothing needs it."""
        try:
            kept = msgspec.json.decode(self._file.read_bytes(), type=Kept)
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("incidents.not_read", file=str(self._file), error=str(error))
            return
        self._board = Board(kept.incidents)
        self.book.remember(kept.failures)

    async def run(self) -> None:
        """Look on; returns only by cancellation."""
        while True:
            await self.once()
            await asyncio.sleep(LOOK_SECS)

    async def once(self) -> None:
        """Look now, tell of what opened and closed, and keep it."""
        try:
            found = list(await self.look())
        except DashError as error:
            log.debug("incidents.not_looked", error=str(error))
            return
        before = {one.id: one.open for one in self._board.incidents}
        now, muting = self._clock(), self.muting()
        self._board = after(self._board, found, now, muted=muting)
        self.muted = kept_quiet(self._board, found, now) if muting else ()
        for one in self._board.incidents:
            self._tell(one, before.get(one.id))
        await asyncio.to_thread(self.save)

    def save(self) -> None:
        """Write the file if something is new; blocking. A full disk is no reason to stop looking."""
        state = (self._board.incidents, self.book.changes)
        if state == self._written:
            return
        kept = Kept(self._board.incidents, tuple(self.book.failures()))
        scratch = self._file.with_suffix(".new")
        try:
            scratch.write_bytes(msgspec.json.encode(kept))
            os.replace(scratch, self._file)
        except OSError as error:
            scratch.unlink(missing_ok=True)
            log.debug("incidents.not_kept", error=str(error))
            return
        self._written = state

    def _tell(self, one: Incident, was_open: bool | None) -> None:
        about = {"incident": one.id, "severity": one.condition.severity.value, "told": one.condition.title}
        if one.open and was_open is None:
            log.warning("incident.opened", **about, remedy=one.condition.remedy)
        elif was_open and not one.open:
            log.info("incident.closed", **about)
