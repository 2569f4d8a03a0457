"""The open database: cursors for readers with a deadline, others for the writer, a new handle when the old one dies."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import duckdb

from appliance.errors import TransientError
from appliance.storage.silver_duckdb import faults, set_aside
from appliance.storage.silver_duckdb.deadline import Deadline
from appliance.storage.silver_duckdb.opening import IncidentKind, Opening
from appliance.storage.silver_duckdb.schema import Known

_ASK_AGAIN_SECS = 0.25

T = TypeVar("T")


class Database:
    """Every piece of work runs on a cursor of its own: a second statement on one silently ends the first's result."""

    def __init__(self, opening: Opening) -> None:
        self.generation = 0  # rises when the file was opened again: what was remembered of its schema may be wrong
        self._opening = opening
        self._gate = threading.Condition()
        self._cursors: set[duckdb.DuckDBPyConnection] = set()
        self._root: duckdb.DuckDBPyConnection | None = opening.open()
        self._closed = False
        self._turning = False  # the file is being exchanged: who comes waits
        self.expelling = False  # somebody waits for every cursor to leave: who holds one without a statement looks here

    @property
    def known(self) -> Known:
        """The generations of every pipeline, as they were when the file was opened."""
        return self._opening.known

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
            if self._turning and not deadline.passed:
                raise faults.Moved(f"{doing}: the file was exchanged at the same moment; try again.") from error
            told = f"took longer than {timeout_secs:g} s" if deadline.passed else "was interrupted: the store closes"
            raise faults.interrupted(doing, told) from error
        except duckdb.Error as error:
            died = faults.is_dead(error)
            if faults.is_damage(error):
                self._opening.found_damaged(faults.first_line(error))
            if not died:
                raise faults.translated(error, doing) from error
            raise faults.reopened(doing) from error
        finally:
            self._leave(cursor)
            if died:
                self.reopen(generation)

    def read(self, doing: str, timeout_secs: float, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Return ``work(cursor)``, done again where the file was exchanged under it. Raises as ``reading``."""
        try:
            with self.reading(doing, timeout_secs) as cursor:
                return work(cursor)
        except faults.Moved:
            with self.reading(doing, timeout_secs) as cursor:
                return work(cursor)

    @contextmanager
    def writing(self) -> Iterator[tuple[duckdb.DuckDBPyConnection, int]]:
        """Give a cursor to write with, and the generation it belongs to. Raises TransientError: closed."""
        cursor, generation = self._enter()
        try:
            yield cursor, generation
        finally:
            self._leave(cursor)

    def log_bytes(self) -> int:
        """Return how large the write-ahead log is."""
        return sum(file.stat().st_size for file in set_aside.log_files(self._opening.path))

    def reopen(self, generation: int) -> None:
        """Close the dead handle of ``generation`` and open the file again, once, whoever notices first.

        All cursors must be gone before: DuckDB hands out the old instance as long as one of them lives.
        """
        with self._gate:
            if self._root is None or generation != self.generation:
                return
            self._expel()
            if generation != self.generation:
                return  # somebody else was faster while this one waited for the readers to leave
            self._root.close()
            self._root = None
            self.generation += 1
            self._open_root()

    def exchange(self, put: Callable[[], None], patience_secs: float) -> None:
        """Close the file, let ``put`` set another in its place, open that; it is open again whatever ``put`` raises.

        Waits for a moment without readers, for so long; then keeps new ones waiting and interrupts who still reads,
        with ``faults.Moved``. The writer's cursor must be gone.

        Raises:
            TransientError: the store was closed meanwhile.
        """
        with self._gate:
            self._gate.wait_for(lambda: not self._cursors, patience_secs)
            self._turning = True
            try:
                self._expel()
                self._open_root().close()
                self._root = None
                self.generation += 1
                put()
            finally:
                self._turning = False
                self._gate.notify_all()
                if not self._closed:
                    self._root = self._opening.open()

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
            self._gate.wait_for(lambda: not self._turning)
            cursor = self._open_root().cursor()
            self._cursors.add(cursor)
            return cursor, self.generation

    def _leave(self, cursor: duckdb.DuckDBPyConnection) -> None:
        with self._gate:
            cursor.close()
            self._cursors.discard(cursor)
            self._gate.notify_all()

    def _open_root(self) -> duckdb.DuckDBPyConnection:
        if self._closed:
            raise TransientError(f"Using {self._opening.path.name}: the store is closed; start it again.")
        if self._root is None:  # also later, when it could not be opened again at once: perhaps it can be now
            self._root = self._opening.open()
            self._opening.note(IncidentKind.REOPENED, "was opened again after DuckDB gave up on its handle", [])
        return self._root

    def _expel(self) -> None:
        """Interrupt whoever is at work until all have left; the gate is held, so nobody enters."""
        self.expelling = True
        try:
            while self._cursors:
                for cursor in self._cursors:
                    cursor.interrupt()
                self._gate.wait(_ASK_AGAIN_SECS)
        finally:
            self.expelling = False
