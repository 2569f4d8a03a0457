"""The open database: cursors for readers with a deadline, one for the writer, a new handle when the old one dies."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from appliance.errors import TransientError
from appliance.storage.silver_duckdb import faults, set_aside
from appliance.storage.silver_duckdb.deadline import Deadline
from appliance.storage.silver_duckdb.opening import IncidentKind, Opening

_ASK_AGAIN_SECS = 0.25


class Database:
    """Every statement runs on a cursor of its own: a second one on the same cursor silently ends the first's result."""

    def __init__(self, opening: Opening) -> None:
        self.generation = 0  # rises when the file was opened again: what was remembered of its schema may be wrong
        self._opening = opening
        self._gate = threading.Condition()
        self._readers: set[duckdb.DuckDBPyConnection] = set()
        self._root: duckdb.DuckDBPyConnection | None = opening.open()
        self._closed = False

    @contextmanager
    def reading(self, doing: str, timeout_secs: float) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a cursor to read with, for at most ``timeout_secs``.

        Raises:
            TransientError: too slow, out of memory, closed, or the handle died (it has been opened again).
            FatalError: the file is damaged.
        """
        cursor, generation = self._enter()
        died = False
        try:
            with Deadline(cursor, timeout_secs) as deadline:
                yield cursor
        except duckdb.InterruptException as error:
            told = f"took longer than {timeout_secs:g} s" if deadline.passed else "was interrupted: the store closes"
            raise faults.interrupted(doing, told) from error
        except duckdb.Error as error:
            died = faults.is_dead(error)
            if not died:
                raise faults.translated(error, doing) from error
            raise faults.reopened(doing) from error
        finally:
            self._leave(cursor)
            if died:
                self.reopen(generation)

    def cursor(self) -> tuple[duckdb.DuckDBPyConnection, int]:
        """Return a cursor for the writer, who closes it, and the generation it belongs to."""
        with self._gate:
            return self._open_root().cursor(), self.generation

    def reopen(self, generation: int) -> None:
        """Close the dead handle of ``generation`` and open the file again, once, whoever notices first.

        All cursors must be gone before: DuckDB hands out the old instance as long as one of them lives.
        """
        with self._gate:
            if self._root is None or generation != self.generation:
                return
            self._expel()
            self._root.close()
            self._root = None
            self.generation += 1
            self._open_root()

    def close(self) -> None:
        """Interrupt who still reads, checkpoint, close. A second call does nothing."""
        with self._gate:
            self._closed = True
            if self._root is None:
                return
            self._expel()
            root, self._root = self._root, None
            try:
                root.execute("CHECKPOINT")
            except duckdb.Error as error:
                self._opening.note(IncidentKind.UNCLEAN_END, f"closes without checkpoint: {error}", [])
            finally:
                root.close()
            if not set_aside.log_files(self._opening.path):
                set_aside.drop_copies(self._opening.path)

    def _enter(self) -> tuple[duckdb.DuckDBPyConnection, int]:
        with self._gate:
            cursor = self._open_root().cursor()
            self._readers.add(cursor)
            return cursor, self.generation

    def _leave(self, cursor: duckdb.DuckDBPyConnection) -> None:
        with self._gate:
            cursor.close()
            self._readers.discard(cursor)
            self._gate.notify_all()

    def _open_root(self) -> duckdb.DuckDBPyConnection:
        if self._closed:
            raise TransientError(f"Using {self._opening.path.name}: the store is closed; start it again.")
        if self._root is None:  # also later, when it could not be opened again at once: perhaps it can be now
            self._root = self._opening.open()
            self._opening.note(IncidentKind.REOPENED, "was opened again after DuckDB gave up on its handle", [])
        return self._root

    def _expel(self) -> None:
        """Interrupt every reader until all have left; the gate is held, so no new one enters."""
        while self._readers:
            for cursor in self._readers:
                cursor.interrupt()
            self._gate.wait(_ASK_AGAIN_SECS)
