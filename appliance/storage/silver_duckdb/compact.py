"""The file rewritten without the blocks that hold nothing, and exchanged for the old one."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import duckdb
import structlog

from appliance.components.upkeep import Compacted
from appliance.errors import DashError, TransientError
from appliance.storage.silver_duckdb import faults, set_aside
from appliance.storage.silver_duckdb.database import Database
from appliance.storage.silver_duckdb.occupied import file_bytes, used_bytes
from appliance.storage.silver_duckdb.opening import Opening
from appliance.storage.silver_duckdb.rewrite import copy_tables
from appliance.storage.silver_duckdb.writer import Writer

_SPARE: Final = 64 << 20  # of the disk: what else is written meanwhile
_PATIENCE_SECS: Final = 2.0  # for a moment without readers; then who still reads is interrupted, and reads again
_LATER_SECS: Final = 60.0

log = structlog.get_logger("silver")


class Compaction:
    """Of one file. Until the one rename the old file is in use and whole, from then on the new one is.

    ``room``: how many bytes the file system has left for files in a folder.
    """

    def __init__(self, opening: Opening, database: Database, writer: Writer, room: Callable[[Path], int]) -> None:
        self._opening, self._database, self._writer, self._room = opening, database, writer, room
        self._stopped = threading.Event()
        self._target: duckdb.DuckDBPyConnection | None = None

    def run(self) -> Compacted:
        """See ``Upkeep.compact``."""
        path, began = self._opening.path, time.monotonic()
        with self._writer.alone():
            before = file_bytes(path)
            self._writer.run(f"compacting {path.name}", self._rewrite)
            try:
                self._database.exchange(self._put, _PATIENCE_SECS)
            except OSError as error:
                raise self._refused(f"the new file could not be put in place ({error})") from error
            set_aside.drop_copies(path)  # made after a crash, of a file that opened well: they may hold erased rows
        done = Compacted(before, file_bytes(path), time.monotonic() - began)
        log.info("silver.compacted", file=str(path), before=done.before_bytes, after=done.after_bytes)
        return done

    def stop(self) -> None:
        """End what is under way, and whatever is begun later, with TransientError; the file stays as it is."""
        self._stopped.set()
        if (target := self._target) is not None:
            target.interrupt()

    def _rewrite(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._go_on()
        needed = used_bytes(cursor) + self._database.log_bytes() + _SPARE
        if (left := self._room(self._opening.path.parent)) < needed:
            raise self._refused(f"{needed} bytes of disk are needed and {left} are left; make room")
        cursor.execute("CHECKPOINT")  # from now on the file is all there is, the log is empty
        try:
            self._write(cursor)
        except (duckdb.Error, OSError) as error:
            set_aside.drop_rewritten(self._opening.path)
            cursor.execute("SELECT 1")  # raises where it is our own handle that died
            self._go_on()
            if isinstance(error, duckdb.Error) and faults.is_damage(error):
                raise
            raise self._refused(f"the new file could not be written ({faults.first_line(error)})") from error
        except DashError:
            set_aside.drop_rewritten(self._opening.path)
            raise

    def _write(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._target = target = self._opening.open_rewritten()
        try:
            copy_tables(cursor, target, self._go_on)
            target.execute("CHECKPOINT")
        finally:
            self._target = None
            target.close()
        written = os.open(set_aside.rewritten(self._opening.path), os.O_RDONLY)
        try:
            os.fsync(written)
        finally:
            os.close(written)

    def _put(self) -> None:
        """Exchange the files; both are closed."""
        path = self._opening.path
        left = [*set_aside.log_files(path), *set_aside.log_files(set_aside.rewritten(path))]
        if left:
            raise self._refused(f"{left[0].name} was not emptied; try again")
        if set_aside.open_here(path):
            raise self._refused("an answer of this process is not read to its end yet; try again")
        set_aside.put_in_place(path)

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise self._refused("the store closes")

    def _refused(self, why: str) -> TransientError:
        return TransientError(f"Compacting {self._opening.path.name}: {why}. Nothing was changed.", _LATER_SECS)
