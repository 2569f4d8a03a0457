"""Rebuilding: a shadow of the events of all nodes, of each partition by a Rebuilder of its own.

One node does it, whoever received the events: it reads those of others from their logs (decision 0028).
"""

from collections.abc import AsyncIterator, Callable, Mapping

from appliance.components.generations import Generation
from appliance.engine.by_receipt import ByReceipt
from appliance.engine.rebuild import Rebuilder

Ends = Mapping[int, int]  # the last event of each partition


class Rebuilding:
    """Belongs to the event loop. ``make`` gives a Rebuilder for the shadow, ``shadow`` says how far that is.

    One partition after another, this node's ``own`` first; by turns where ``order`` says that it matters.
    """

    def __init__(
        self, make: Callable[[], Rebuilder], shadow: Generation, own: int, order: ByReceipt | None = None
    ) -> None:
        self._make, self._shadow, self._own, self._order = make, shadow, own, order
        self._each: dict[int, Rebuilder] = {}
        self._stopped = False
        self.hurry = False  # no rest, and no patience: refining waits for it

    def at(self, number: int) -> int:
        """Return the last event rebuilt of a partition."""
        return self._each[number].at.seq if number in self._each else self._shadow.of(number).seq

    def left(self, ends: Ends) -> int:
        """Return how many events there are up to ``ends``."""
        return sum(max(0, last - self.at(number)) for number, last in ends.items())

    async def run(self, ends: Ends) -> None:
        """Rebuild up to ``ends``; return sooner only after ``stop``. Raises as ``Rebuilder``."""
        async for number, last in self._turns(ends):
            if self._stopped:
                return
            one = self._of(number)
            one.hurry = self.hurry
            await one.run(last)

    async def _turns(self, ends: Ends) -> AsyncIterator[tuple[int, int]]:
        """Give partitions, and up to where each is rebuilt in its turn, until all reach ``ends``."""
        while at := {number: self.at(number) for number in ends if self.at(number) < ends[number]}:
            if self._order is not None and len(at) > 1:
                yield await self._order.next(at, ends)
            else:
                number = min(at, key=lambda number: (number != self._own, number))
                yield number, ends[number]

    def stop(self) -> None:
        """End ``run`` after the commit under way."""
        self._stopped = True
        for one in self._each.values():
            one.stop()

    @property
    def error(self) -> str | None:
        return next((one.error for one in self._each.values() if one.error), None)

    @property
    def throttled(self) -> bool:
        return any(one.throttle.throttled for one in self._each.values())

    @property
    def per_sec(self) -> float:
        """Return how many events a second the slowest partition takes while it works; 0: nobody knows."""
        return min((one.per_sec for one in self._each.values() if one.per_sec), default=0.0)

    def _of(self, number: int) -> Rebuilder:
        if number not in self._each:
            one = self._make()
            one.at = self._shadow.of(number)
            one.throttle = next((other.throttle for other in self._each.values()), one.throttle)
            self._each[number] = one
        return self._each[number]
