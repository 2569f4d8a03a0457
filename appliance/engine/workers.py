"""Threads for what blocks: a bounded pool and a bounded queue for each kind of work, so that none starves another."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from appliance.domain.usage import Pool
from appliance.errors import TransientError

T = TypeVar("T")

SIZES: Final[Mapping[str, int]] = {
    "refine": 2, "read": 4, "control": 2, "feed": 2, "replay": 2, "rebuild": 1, "upkeep": 1, "job": 2, "internal": 4,
}  # fmt: skip
BESIDE_A_SERVER: Final[Mapping[str, int]] = {**SIZES, "ahead": 1}
QUEUE_PER_THREAD: Final = 32
SELF_BOUNDED: Final = frozenset({"refine", "feed", "replay", "rebuild"})  # of a pipeline few at a time: bound enough

NICENESS: Final[Mapping[str, int]] = {"replay": 5}  # what else wants a core gets three quarters of it (Linux only)


class Workers:
    """Pools named by kind: ``refine`` (Bronze → Silver), ``read`` (people's queries), ``control`` (control plane);
    ``feed`` (rows for downstream pipelines); ``replay`` (mapping history, two cores' worth) and ``rebuild`` (its
    reading and commits, in order); ``upkeep`` (retention, erasure, space: long, in nobody's way); ``job`` (jobs that
    block, however long); ``internal`` (what other nodes ask: of its own, else two nodes that ask each other could wait
    in a circle). Where a server stores the rows, ``ahead`` (mapping what it will be given next)."""

    def __init__(self, sizes: Mapping[str, int] = SIZES) -> None:
        self._sizes = dict(sizes)
        self._pools = {
            kind: ThreadPoolExecutor(size, kind, _step_back, (NICENESS.get(kind, 0),)) for kind, size in sizes.items()
        }
        self._room = {kind: size * QUEUE_PER_THREAD for kind, size in sizes.items()}

    def busy(self, kind: str) -> int:
        """Return how much work of ``kind`` runs or waits."""
        return self._sizes[kind] * QUEUE_PER_THREAD - self._room[kind]

    def pools(self) -> list[Pool]:
        """Return every kind with its threads, and how much of it runs and waits."""
        return [
            Pool(kind, size, min(size, self.busy(kind)), max(0, self.busy(kind) - size))
            for kind, size in self._sizes.items()
        ]

    def has(self, kind: str) -> bool:
        """Return whether there are threads of ``kind``."""
        return kind in self._pools

    def begin(self, kind: str, work: Callable[..., T], *args: object) -> Future[T]:
        """Have ``work(*args)`` done in a thread of ``kind``, whose queue the caller keeps short; for other threads."""
        return self._pools[kind].submit(work, *args)

    async def run(self, kind: str, work: Callable[..., T], *args: object) -> T:
        """Run ``work(*args)`` in a thread of ``kind`` and return what it returns.

        Raises:
            TransientError: the queue of this kind is full.
        """
        if self._room[kind] <= 0 and kind not in SELF_BOUNDED:
            raise TransientError(f"too much {kind!r} work is waiting: try again shortly", retry_after_secs=1)
        self._room[kind] -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pools[kind], work, *args)
        finally:
            self._room[kind] += 1

    def close(self) -> None:
        """Finish what runs, drop what waits; a second call does nothing."""
        for pool in self._pools.values():
            pool.shutdown(wait=True, cancel_futures=True)


def _step_back(niceness: int) -> None:
    """Let other threads of the machine come first. On Linux a thread has a priority of its own."""
    if niceness and sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
