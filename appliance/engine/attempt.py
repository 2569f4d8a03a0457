"""One attempt at a job, as its work sees it: the payload, how far it says it is, and whether it is to stop."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from appliance.domain.job import JobProgress


class Stop(Enum):
    """Why an attempt is to end before its work is done."""

    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"
    LOST = "lost"  # its lease could not be kept: somebody else may be doing it
    LEAVING = "leaving"  # the node ends: somebody else does it anew


class Stopped(Exception):
    """Raised by ``Attempt.check``. No DashError: whoever goes on after the failure of one item shall not go on here."""

    def __init__(self, why: Stop) -> None:
        self.why = why
        super().__init__(f"told to stop: {why.value}")


class Attempt:
    """Handed to the work of a job; safe from any thread. ``Attempt()`` is one that nobody watches."""

    def __init__(self, payload: Mapping[str, Any] | None = None) -> None:
        self.payload: Mapping[str, Any] = payload or {}
        self.stop: Stop | None = None  # set by the runner, looked at by ``check``
        self._progress: JobProgress | None = None
        self._told: JobProgress | None = None

    def tell(self, done: int, total: int | None = None, text: str = "") -> None:
        """Say how far it is; cheap, however often: it is written about once a second. Raises as ``check``."""
        self._progress = JobProgress(done, total, text)
        self.check()

    def check(self) -> None:
        """Return if the work may go on. Call it where stopping leaves everything in order.

        Raises:
            Stopped: it may not: let it pass.
        """
        if self.stop is not None:
            raise Stopped(self.stop)

    def news(self) -> JobProgress | None:
        """Return what was told since the last call; None: nothing new. For the runner."""
        latest = self._progress
        if latest is None or latest == self._told:
            return None
        self._told = latest
        return latest
