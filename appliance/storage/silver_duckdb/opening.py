"""From a path to an open database, whatever the last owner left behind. What was done about damage is told."""

from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Final

import duckdb
import msgspec
import structlog

from appliance.domain.clock import Clock
from appliance.errors import FatalError, TransientError
from appliance.storage.silver_duckdb import faults, probe, schema, set_aside
from appliance.storage.silver_duckdb.connect import connect

_LEAST_MEMORY = 64 << 20  # rewriting 1.7 M rows of nine fields needs no more
_COUNTED_FROM = datetime(2026, 1, 1, tzinfo=UTC)

_REFILLED: Final = (
    "a new one is filled from Bronze by itself, and 'dash-appliance replay --all' would rebuild it by hand"
)

log = structlog.get_logger("silver")


class IncidentKind(Enum):
    UNCLEAN_END = "unclean_end"  # the last owner did not close it; the log was replayed, copies are beside the file
    LOG_SET_ASIDE = "log_set_aside"  # commits since the last checkpoint are gone and are refined again from Bronze
    SET_ASIDE = "set_aside"  # the whole file is; everything is refined again from Bronze
    REOPENED = "reopened"  # DuckDB gave up on its handle; what was committed is there
    DAMAGED = "damaged"  # part of it does not read, which was found when somebody asked for that


LOSSES: Final = frozenset({IncidentKind.LOG_SET_ASIDE, IncidentKind.SET_ASIDE})


class Incident(msgspec.Struct, frozen=True):
    """Something that happened to the file. ``files``: what was copied or moved aside, by name, in the same folder."""

    at: datetime
    kind: IncidentKind
    message: str
    files: tuple[str, ...] = ()

    def __str__(self) -> str:
        aside = f" ({', '.join(self.files)})" if self.files else ""
        return f"{self.at:%Y-%m-%dT%H:%M:%SZ} {self.message}{aside}"


class Opening:
    """Opens one file again and again, as often as needed, and remembers ``incidents``."""

    def __init__(self, path: Path, memory_limit: int, threads: int, clock: Clock) -> None:
        self.path = path
        self.incidents: list[Incident] = []
        self.known: schema.Known = {}  # the generations there were when it was opened
        self._memory_limit = memory_limit
        self._threads = threads
        self._clock = clock

    def open(self) -> duckdb.DuckDBPyConnection:
        """Return the database, open.

        A damaged file is set aside, first its log alone and, if that does not help, all of it.

        Raises:
            TransientError: another process has the file open, no permission, disk full, no memory.
            FatalError: a newer version wrote it.
        """
        if self.path.exists() and set_aside.open_here(self.path):  # DuckDB would wait for it, for ever
            raise TransientError(f"Opening {self.path}: an answer of this process is not read to its end yet.")
        try:
            connection = self._open()
            set_aside.drop_rewritten(self.path)  # not before it is open: the file may be somebody else's
        except OSError as error:
            raise TransientError(f"Opening {self.path} failed: {error}", 5.0) from error
        return connection

    def open_rewritten(self) -> duckdb.DuckDBPyConnection:
        """Return a new, empty database beside the file, which may take its place. Raises duckdb.Error, OSError."""
        set_aside.drop_rewritten(self.path)
        return connect(set_aside.rewritten(self.path), max(_LEAST_MEMORY, self._memory_limit // 2), self._threads)

    def _open(self) -> duckdb.DuckDBPyConnection:
        if set_aside.log_files(self.path):
            copies = set_aside.copy_aside(self.path, self._clock())
            self.note(IncidentKind.UNCLEAN_END, "was not closed; its log is replayed", copies)
            death = probe.kills_its_reader(self.path, self._memory_limit)
            if death is not None:
                return self._without(death)
        try:
            return self._connect()
        except duckdb.Error as error:
            if not faults.is_damage(error):
                raise faults.opening_failed(error, self.path) from error
            return self._without(faults.first_line(error))

    def set_aside(self, reason: str) -> None:
        """Move the file aside, which nobody has open; the next opening begins a new one."""
        moved = set_aside.move_aside([self.path, *set_aside.log_files(self.path)], self.path, self._clock())
        self.note(IncidentKind.SET_ASIDE, f"was set aside ({reason}); {_REFILLED}", moved)

    def found_damaged(self, damage: str) -> None:
        """Remember that the open file is damaged; once, however often it is asked."""
        if not any(one.kind is IncidentKind.DAMAGED for one in self.incidents):
            remedy = "replay its pipelines, or stop Dash, move the file away and start again"
            self.note(IncidentKind.DAMAGED, f"does not read as a whole ({damage}): {remedy}", [])

    def note(self, kind: IncidentKind, message: str, files: list[Path]) -> None:
        """Remember an incident and log it."""
        incident = Incident(self._clock(), kind, f"{self.path.name} {message}", tuple(file.name for file in files))
        self.incidents.append(incident)
        log.warning(f"silver.{kind.value}", file=str(self.path), message=incident.message, aside=incident.files)

    def _without(self, damage: str) -> duckdb.DuckDBPyConnection:
        """Open without the log, if that is what is damaged; else start anew beside the file set aside."""
        logs = set_aside.log_files(self.path)
        if logs:
            moved = set_aside.move_aside(logs, self.path, self._clock())
            if probe.kills_its_reader(self.path, self._memory_limit) is None:
                try:
                    connection = self._connect()
                except duckdb.Error as error:
                    damage = faults.first_line(error)
                else:
                    self.note(IncidentKind.LOG_SET_ASIDE, f"has a damaged log ({damage}); opened without it", moved)
                    return connection
        moved = set_aside.move_aside([self.path], self.path, self._clock())
        self.note(IncidentKind.SET_ASIDE, f"is damaged ({damage}); {_REFILLED}", moved)
        try:
            return self._connect()
        except duckdb.Error as error:
            raise faults.opening_failed(error, self.path) from error

    def _connect(self) -> duckdb.DuckDBPyConnection:
        """Connect and bring the schema up to date, which is the first that is read: damage shows itself here."""
        connection = connect(self.path, self._memory_limit, self._threads)
        try:
            self.known = schema.begin(connection.cursor(), self._numbers_above())
        except (duckdb.Error, FatalError):
            connection.close()
            raise
        return connection

    def _numbers_above(self) -> int:
        """Return what numbers given from now on must be greater than, so that none that was lost comes again."""
        moved = set_aside.last_moved(self.path)
        return max(1, int((moved - _COUNTED_FROM).total_seconds())) if moved is not None else 1
