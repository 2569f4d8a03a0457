"""What this process holds, and until when by its own clock: always less than the database grants."""

from collections.abc import Collection, Iterable
from typing import Final

from appliance.components.nodes import Lease
from appliance.domain.clock import Elapsed, elapsed_secs

LEASE_SECS: Final = 9.0
MARGIN_SECS: Final = 2.0  # to stop in before the lease runs out, and for clocks that go at different speeds


class Holding:
    """The leases held. Time counts from before each question to the database, so that it is never thought too late."""

    def __init__(self, elapsed: Elapsed = elapsed_secs) -> None:
        self._elapsed = elapsed
        self._held: dict[str, tuple[Lease, float]] = {}  # with the moment until which it is safe to work

    def begin(self) -> float:
        """Return the moment to hand to ``keep`` and ``add`` after the database has answered."""
        return self._elapsed()

    def keep(self, began: float, renewed: Collection[Lease]) -> set[str]:
        """Note what was renewed by a question asked at ``began``; return what is held no more: its work must stop."""
        kept = set(renewed)
        lost = {name for name, (lease, _) in self._held.items() if lease not in kept}
        for name in lost:
            del self._held[name]
        self.add(began, [lease for lease in kept if lease.name in self._held])
        return lost

    def add(self, began: float, leases: Iterable[Lease]) -> None:
        """Note what was granted by a question asked at ``began``."""
        for lease in leases:
            self._held[lease.name] = lease, began + LEASE_SECS - MARGIN_SECS

    def drop(self, names: Iterable[str]) -> None:
        """Hold these no more."""
        for name in names:
            self._held.pop(name, None)

    def overdue(self) -> set[str]:
        """Return what could not be renewed in time: its work must stop now, before somebody else may begin."""
        now = self._elapsed()
        return {name for name, (_, until) in self._held.items() if until <= now}

    def secs_left(self) -> float:
        """Return the seconds until something is overdue; what the lease lasts where nothing is held."""
        if not self._held:
            return LEASE_SECS
        return max(0.0, min(until for _, until in self._held.values()) - self._elapsed())

    def lease(self, name: str) -> Lease | None:
        """Return the lease if it is safe to work under it at this very moment, else None."""
        held = self._held.get(name)
        return held[0] if held is not None and self._elapsed() < held[1] else None

    def granted(self, name: str) -> Lease | None:
        """Return the lease as it was granted last, overdue or not."""
        held = self._held.get(name)
        return held[0] if held is not None else None

    def names(self) -> set[str]:
        """Return all that is held, overdue or not."""
        return set(self._held)
