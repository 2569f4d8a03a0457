"""Who may write at the same time: one at a time in a lane, lanes beside each other; or one alone.

DuckDB lets transactions write beside each other that touch different rows. A replay writes its shadow in a lane of its
own, so that commits to live generations wait for its cores, not for its transactions: beside transactions of 300,000
rows a commit of one row takes 2 ms instead of 125 (decision 0009).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

LIVE = "live"  # everything but the filling of shadows
LONG = "long"  # work of minutes, for which nobody else is kept waiting


class Lanes:
    """Whoever is inside may enter again, into whatever lane: it is the same piece of work."""

    def __init__(self) -> None:
        self._gate = threading.Condition()
        self._inside: set[str] = set()
        self._alone = False
        self._waiting = 0  # to be alone: nobody enters before them
        self._own = threading.local()

    @property
    def inside(self) -> bool:
        """Whether this thread is in a lane, or alone."""
        return getattr(self._own, "inside", False)

    @contextmanager
    def one(self, lane: str) -> Iterator[None]:
        """Wait until nobody is in ``lane`` or alone; stay in it until leaving.

        Who waits to be alone goes first, unless long work keeps them waiting anyway.
        """
        if self.inside:
            yield
            return
        with self._gate:
            self._gate.wait_for(lambda: self._open(lane))
            self._inside.add(lane)
        try:
            with self._marked():
                yield
        finally:
            with self._gate:
                self._inside.discard(lane)
                self._gate.notify_all()

    def long_work(self) -> bool:
        """Return whether somebody is in the lane for long work, so that being alone may take minutes."""
        with self._gate:
            return LONG in self._inside

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until every lane is empty; keep all of them shut until leaving.

        Raises:
            RuntimeError: this thread is inside already, and would wait for itself.
        """
        if self.inside:
            raise RuntimeError("a thread in a lane cannot ask to be alone")
        with self._gate:
            self._waiting += 1
            try:
                self._gate.wait_for(lambda: not self._alone and not self._inside)
            finally:
                self._waiting -= 1
            self._alone = True
        try:
            with self._marked():
                yield
        finally:
            with self._gate:
                self._alone = False
                self._gate.notify_all()

    def _open(self, lane: str) -> bool:
        waits = self._waiting > 0 and LONG not in self._inside
        return not self._alone and not waits and lane not in self._inside

    @contextmanager
    def _marked(self) -> Iterator[None]:
        self._own.inside = True
        try:
            yield
        finally:
            self._own.inside = False
