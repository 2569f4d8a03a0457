"""What was read of the control plane last, for the time when its database does not answer."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, Final, NamedTuple

MOST_ANSWERS: Final = 10_000

Question = tuple[Hashable, ...]


class Known(NamedTuple):
    answer: Any  # None is an answer, too
    at: float


class Recollection:
    """The newest ``most`` answers by what was asked. Safe to ask from any thread. ``clock``: monotonic seconds."""

    def __init__(self, most: int = MOST_ANSWERS, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._known: OrderedDict[Question, Known] = OrderedDict()
        self._newest = clock()
        self._lock = Lock()

    def keep(self, question: Question, answer: Any) -> None:
        """Remember ``answer``; where there are too many, the one that was kept longest ago is forgotten."""
        with self._lock:
            self._newest = self._clock()
            self._known[question] = Known(answer, self._newest)
            self._known.move_to_end(question)
            if len(self._known) > self._most:
                self._known.popitem(last=False)

    def forget(self, *start: Hashable) -> None:
        """Forget what all questions were answered that begin with ``start``."""
        with self._lock:
            for question in [one for one in self._known if one[: len(start)] == start]:
                del self._known[question]

    def recall(self, question: Question, within_secs: float | None = None) -> Known | None:
        """Return what was answered last; None: never asked, or forgotten.

        ``within_secs``: only if it was answered at most so long before the newest answer of all, which is about when
        the database was lost. What changed behind this process's back before that is not believed for longer.
        """
        with self._lock:
            known = self._known.get(question)
            if known is None or (within_secs is not None and known.at < self._newest - within_secs):
                return None
            return known
