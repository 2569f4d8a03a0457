"""A server that is away is looked for by one caller at a time; the others are told at once what he found.

Few threads are kept for the control plane. If each caller waited for a server that answers nothing, the next would wait
for all who came before it, and a screen as long as the server is away.
"""

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from appliance.domain.database.refusal import Refusal
from appliance.storage.control.backend import Unreachable

REST_SECS: Final = 1.0  # at most, after an attempt that failed; never longer than it took: to be refused costs nothing

T = TypeVar("T")


class Outage:
    """Safe to ask from any thread. ``clock``: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._why: Refusal | None = None  # what the last attempt met; None: it met a server
        self._trying = False
        self._again_at = 0.0

    def connected(self, connect: Callable[[], T]) -> T:
        """Return ``connect()``.

        Raises:
            Unreachable: no connection can be made; or none could a moment ago, and nobody has found out better since.
        """
        self._take_turn()
        began, why = self._clock(), self._why
        try:
            made = connect()
            why = None
        except Unreachable as error:
            why = error.refusal
            raise
        finally:
            with self._lock:
                self._why, self._trying = why, False
                self._again_at = self._clock() + min(self._clock() - began, REST_SECS)
        return made

    def _take_turn(self) -> None:
        """Return if this caller may look for the server."""
        with self._lock:
            if self._why is None:
                return
            if self._trying or self._clock() < self._again_at:
                raise Unreachable(self._why)
            self._trying = True
