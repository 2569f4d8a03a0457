"""Archived segments that lie on this disk too, over all pipelines: what is in use stays, the last used goes last."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from threading import Lock

import msgspec


class Held(msgspec.Struct, frozen=True):
    """A file that may go. ``remove`` removes it if nothing speaks against it, and returns whether it did."""

    size: int
    newest_at: datetime
    remove: Callable[[], bool]


class Cache:
    """``limit``: bytes; None: no bound, until ``pressed``: then everything goes that is not in use."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.pressed = False
        self.lock = Lock()  # who removes a file holds it, and looks at ``pinned`` first
        self._pins = Counter[Path]()
        self._held: dict[Path, Held] = {}
        self._used: dict[Path, int] = {}  # the turn of the last use; not in it: not used since the start
        self._turns = count(1)
        self._fetches: dict[Path, Lock] = {}
        self._bytes = 0

    @property
    def local_bytes(self) -> int:
        return self._bytes

    def pinned(self, path: Path) -> bool:
        """Return whether somebody reads ``path``; for whoever holds ``lock``."""
        return self._pins[path] > 0

    @contextmanager
    def pin(self, path: Path) -> Iterator[None]:
        """Keep ``path`` from going."""
        with self.lock:
            self._pins[path] += 1
        try:
            yield
        finally:
            with self.lock:
                self._pins[path] -= 1
                if not self._pins[path]:
                    del self._pins[path]
                if path in self._held:
                    self._used[path] = next(self._turns)

    @contextmanager
    def fetching(self, path: Path) -> Iterator[None]:
        """Let one at a time fetch ``path``; for whoever has pinned it."""
        with self.lock:
            lock = self._fetches.setdefault(path, Lock())
        try:
            with lock:
                yield
        finally:
            with self.lock:
                if self._pins[path] <= 1:  # only we are left
                    self._fetches.pop(path, None)

    def here(self, path: Path, held: Held) -> None:
        """Hear that an archived segment lies on this disk."""
        with self.lock:
            known = self._held.get(path)
            self._bytes += held.size - (known.size if known else 0)
            self._held[path] = held

    def gone(self, path: Path) -> None:
        """Hear that it does not, or that it is not archived as it is now."""
        with self.lock:
            self._drop(path)

    def forget(self, directory: Path) -> None:
        """Hear that a whole pipeline is gone."""
        with self.lock:
            for path in [path for path in self._held if path.parent == directory]:
                self._drop(path)

    def make_room(self) -> int:
        """Remove files until the limit is kept, and return how many: the unused first, oldest first."""
        limit = 0 if self.pressed else self.limit
        if limit is None or self._bytes <= limit:
            return 0
        removed = 0
        for path, held in self._in_order():
            if self._bytes <= limit:
                break
            if held.remove():
                self.gone(path)
                removed += 1
        return removed

    def _in_order(self) -> list[tuple[Path, Held]]:
        with self.lock:
            held = list(self._held.items())
            return sorted(held, key=lambda one: (self._used.get(one[0], 0), one[1].newest_at))

    def _drop(self, path: Path) -> None:
        held = self._held.pop(path, None)
        self._used.pop(path, None)
        if held is not None:
            self._bytes -= held.size
