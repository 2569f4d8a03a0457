"""Ahead: the batch that follows is read and mapped in another thread while the one before it is being committed.

Worth a thread where rows are stored by a server, whose answer refining would otherwise only wait for. What is mapped
ahead is committed next or not at all: whenever something does not go straight on, it is forgotten and done again.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, NamedTuple

import pyarrow as pa

from appliance.components.silver import Batch
from appliance.engine.tenure import Right
from appliance.engine.workers import Workers

KIND: Final = "ahead"


class Piece(NamedTuple):
    """A batch that is ready to be committed."""

    batch: Batch
    rows: pa.Table  # of the batch, or shown live only
    whole: bool  # all that was there when it was read
    begun: float  # monotonic; when it was read
    right: Right | None = None  # to store it, as it was when it was read; None: nobody else has one


class Ahead:
    """At most one piece of one pipeline: each ``begin`` is followed by ``take`` or ``settle``, one at a time."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._after_seq = 0
        self._future: Future[Piece] | None = None

    @property
    def at_once(self) -> int:
        """Return how many pieces may be in memory: each takes its share of what one alone would."""
        return 2 if self._workers.has(KIND) else 1

    def begin(self, make: Callable[[int], Piece], after_seq: int) -> None:
        """Have ``make(after_seq)`` done meanwhile."""
        self._after_seq, self._future = after_seq, self._workers.begin(KIND, make, after_seq)

    def take(self, after_seq: int) -> Piece | None:
        """Return the piece that follows ``after_seq``, waiting for it; None: there is none, or it failed.

        What failed is tried again by whoever asked, who then meets the same error.
        """
        future, self._future = self._future, None
        if future is None:
            return None
        if self._after_seq != after_seq:
            future.cancel()
            return None
        return future.result() if future.exception() is None else None

    async def settle(self) -> None:
        """Return when nothing runs any more; what was mapped is forgotten."""
        future, self._future = self._future, None
        if future is not None and not future.cancel():
            await asyncio.gather(asyncio.wrap_future(future), return_exceptions=True)
