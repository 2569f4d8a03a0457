"""Group commit: whatever arrives while the disk is busy is made durable together, by the next sync.

Lives on the event loop; only ``_work`` runs in a thread. One thread hop to the disk and one back for each commit,
however many deliveries it carries.
"""

from asyncio import AbstractEventLoop, Future, get_running_loop
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from appliance.domain.clock import Clock
from appliance.domain.event import Delivery, Receipt
from appliance.domain.shares import Refusal, Shares
from appliance.errors import DashError, FatalError, RateLimited, TransientError
from appliance.storage.bronze.dedupe import DeliveryWindow
from appliance.storage.bronze.frame import Packed, microseconds, pack
from appliance.storage.bronze.sidecar import Delivered

Commit = Callable[[Sequence[Packed]], list[int]]


Budget = Shares["GroupCommit"]  # bytes that wait for the disk, over all pipelines and for each


class Waiting:
    """A delivery on its way to the disk, and everybody who waits for it: its sender first, duplicates after."""

    __slots__ = ("futures", "packed")

    def __init__(self, packed: Packed, future: Future[Receipt]) -> None:
        self.packed = packed
        self.futures = [future]


class GroupCommit:
    """What waits for the disk of one pipeline, and the window of its delivery ids."""

    def __init__(self, commit: Commit, window: DeliveryWindow, pool: Executor, budget: Budget, clock: Clock) -> None:
        self._commit = commit
        self._window = window
        self._pool = pool
        self._budget = budget
        self._clock = clock
        self._pending: list[Waiting] = []
        self._arriving: dict[str, Waiting] = {}
        self._busy = False
        self._idle: list[Future[None]] = []

    async def append(self, delivery: Delivery) -> Receipt:
        """Do what ``BronzeLog.append`` promises."""
        delivery_id = delivery.envelope.delivery_id
        if delivery_id is None:
            return await self._enqueue(delivery).futures[0]
        while True:
            if seen := self._window.find(delivery_id, microseconds(self._clock())):
                return Receipt(*seen, duplicate=True)
            first = self._arriving.get(delivery_id)
            if first is None:
                waiting = self._arriving[delivery_id] = self._enqueue(delivery)
                return await waiting.futures[0]
            if (receipt := await self._follow(first)) is not None:
                return Receipt(receipt.first_seq, receipt.last_seq, duplicate=True)

    def delivered_since(self, seq: int) -> list[Delivered]:
        """Return the remembered deliveries at or after ``seq``, oldest first."""
        return self._window.since(seq)

    async def idle(self) -> None:
        """Return when nothing waits any more."""
        while self._busy or self._pending:
            future = get_running_loop().create_future()
            self._idle.append(future)
            await future

    async def _follow(self, first: Waiting) -> Receipt | None:
        """Return what becomes of ``first``; None: it failed, so the follower may try."""
        future: Future[Receipt] = get_running_loop().create_future()
        first.futures.append(future)
        try:
            return await future
        except DashError:
            return None

    def _enqueue(self, delivery: Delivery) -> Waiting:
        packed = pack(delivery)
        match self._budget.take(self, packed.size):
            case Refusal.OVER_SHARE:
                told = "receiving: more of this pipeline waits for the disk than its share; send again a little later"
                raise RateLimited(told, 1.0)
            case Refusal.SATURATED:
                raise TransientError("receiving: more waits for the disk than may; send again a little later", 1.0)
        loop = get_running_loop()
        waiting = Waiting(packed, loop.create_future())
        self._pending.append(waiting)
        if not self._busy:
            self._busy = True
            loop.call_soon(self._start, loop)  # after the others that are ready to append in this turn of the loop
        return waiting

    def _start(self, loop: AbstractEventLoop) -> None:
        batch, self._pending = self._pending, []
        self._pool.submit(self._work, loop, batch)

    def _work(self, loop: AbstractEventLoop, batch: list[Waiting]) -> None:
        outcome: list[int] | Exception
        try:
            outcome = self._commit([waiting.packed for waiting in batch])
        except Exception as error:  # noqa: BLE001 - the boundary: whatever it is, those who wait must hear of it
            outcome = error
        loop.call_soon_threadsafe(self._done, loop, batch, outcome)

    def _done(self, loop: AbstractEventLoop, batch: list[Waiting], outcome: list[int] | Exception) -> None:
        if self._pending:
            self._start(loop)  # the disk first, then those who wait
        else:
            self._busy = False
        self._budget.give(self, sum(waiting.packed.size for waiting in batch))
        if isinstance(outcome, Exception):
            self._fail(batch, outcome)
        else:
            self._answer(batch, outcome)
        if not self._busy:
            self._tell_idle()

    def _answer(self, batch: list[Waiting], firsts: list[int]) -> None:
        for waiting, first_seq in zip(batch, firsts, strict=True):
            packed = waiting.packed
            receipt = Receipt(first_seq, first_seq + packed.count - 1)
            if packed.delivery_id is not None:
                at = microseconds(packed.received_at)
                self._window.add(Delivered(packed.delivery_id, receipt.first_seq, receipt.last_seq, at))
                del self._arriving[packed.delivery_id]
            for future in waiting.futures:
                if not future.done():  # done: whoever waited was cancelled
                    future.set_result(receipt)

    def _fail(self, batch: list[Waiting], error: Exception) -> None:
        for waiting in batch:
            if waiting.packed.delivery_id is not None:
                del self._arriving[waiting.packed.delivery_id]
            for future in waiting.futures:
                if not future.done():
                    future.set_exception(_copy(error))

    def _tell_idle(self) -> None:
        idle, self._idle = self._idle, []
        for future in idle:
            if not future.done():
                future.set_result(None)


def _copy(error: Exception) -> Exception:
    """Return an error for one who waits: the same one raised in several tasks would mix their tracebacks."""
    if isinstance(error, TransientError):
        copy: Exception = TransientError(str(error), error.retry_after_secs)
    else:
        copy = FatalError(f"receiving: {error!r}", hint="this is a defect of Dash: send a support bundle")
    copy.__cause__ = error
    return copy
