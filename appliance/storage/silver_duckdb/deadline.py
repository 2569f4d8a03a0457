"""A read that takes too long is interrupted."""

import threading
from types import TracebackType

import duckdb

_AGAIN_SECS = 0.25  # an interrupt that comes between two statements is lost: repeat it


class Deadline:
    """Interrupts ``cursor`` from ``secs`` after entering until leaving; ``passed`` tells that it did."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, secs: float) -> None:
        self.passed = False
        self._cursor = cursor
        self._secs = secs
        self._left = threading.Event()
        self._busy = threading.Lock()
        self._watch = threading.Thread(target=self._wait, name="silver-deadline", daemon=True)

    def __enter__(self) -> "Deadline":
        self._watch.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._busy:  # not while the watch touches the cursor, which is closed next
            self._left.set()

    def _wait(self) -> None:
        pause = self._secs
        while not self._left.wait(pause):
            with self._busy:
                if not self._left.is_set():
                    self.passed = True
                    self._cursor.interrupt()
            pause = _AGAIN_SECS
