"""Keeps this node's leases: renews them, takes its fair part, makes room for others, and stops what it cannot keep."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final

import structlog

from appliance.components.nodes import Lease, LeaseStore, Survey
from appliance.domain.sharing import Move, share
from appliance.engine.bells import rung
from appliance.engine.holding import LEASE_SECS, Holding
from appliance.engine.workers import Workers
from appliance.errors import DashError

ROUND_SECS: Final = 2.5  # a lease survives two rounds that fail; after a death the next round of any node takes it

Wanted = Callable[[], Collection[str]]
Changed = Callable[[str, bool], Awaitable[None]]

log = structlog.get_logger("leases")


def kind_of(name: str) -> str:
    """Return what a node must offer to hold this lease: ``poll`` for ``poll:pl_…``."""
    return name.partition(":")[0]


class LeaseKeeper:
    """``wanted``: all leases there should be, whoever holds them. ``changed`` is awaited with a name and whether it is
    held from now on; when it returns after False, the work under the lease has stopped.

    A node that was alone when the database went away works on beyond the time of its leases: nobody is there who could
    take them over, and nobody can come, since that takes the database.
    """

    def __init__(self, store: LeaseStore, life: str, workers: Workers, wanted: Wanted, changed: Changed) -> None:
        self._store, self._life, self._workers = store, life, workers
        self._wanted, self._changed = wanted, changed
        self._holding = Holding()
        self._held_again = asyncio.Event()  # the watchdog counts anew
        self.bell = asyncio.Event()  # rung when others may have let go of something, or when this node begins to drain
        self.draining = False
        self.changes = 0  # leases taken and lost since the start, for the metrics
        self._failing = False
        self._asking = False  # a round is under way, perhaps one that waits for a database that is away
        self._alone = False  # at the last look

    def lease(self, name: str) -> Lease | None:
        """Return the lease if this node may act under it at this very moment, else None."""
        return self._holding.lease(name) or (self._holding.granted(name) if self._cut_off else None)

    @property
    def _cut_off(self) -> bool:
        return self._alone and (self._failing or self._asking)

    @property
    def count(self) -> int:
        """Return how many leases are held."""
        return len(self._holding.names())

    async def run(self) -> None:
        """Keep leases until cancelled; call ``close`` afterwards."""
        watchdog = asyncio.create_task(self._watch(), name="leases watchdog")
        try:
            while True:
                await self._try_round()
                await rung(self.bell, ROUND_SECS)
        finally:
            watchdog.cancel()

    async def close(self) -> None:
        """Stop all work under leases and let go of them."""
        names = self._holding.names()
        await self._stop(names)
        try:
            await self._workers.run("control", self._store.release, names)
        except DashError as error:  # they run out by themselves
            log.warning("leases.not_released", error=str(error))

    async def _try_round(self) -> None:
        self._asking = True
        try:
            await self.round()
        except DashError as error:
            if not self._failing:
                log.warning("leases.unreachable", error=str(error), alone=self._alone)
            self._failing = True
            return
        finally:
            self._asking = False
        if self._failing:
            log.info("leases.reachable")
        self._failing = False

    async def round(self) -> None:
        """Renew, let go of what is too much, take what is missing.

        Raises:
            TransientError: the database cannot be asked now.
        """
        run, began = self._workers.run, self._holding.begin()
        renewed = await run("control", self._store.renew, LEASE_SECS)
        await self._stop(self._holding.keep(began, renewed))
        self._held_again.set()
        if strange := {lease.name for lease in renewed} - self._holding.names():
            # Taken by a question whose answer got lost, or stopped as overdue meanwhile: begun anew, by a new epoch.
            await run("control", self._store.release, strange)
        survey = await run("control", self._store.survey)
        self._alone = all(one.life == self._life for one in survey.sharers)
        move = self._move(survey)
        if move.release:
            await self._stop(move.release)
            await run("control", self._store.release, move.release)
        if move.acquire:
            began = self._holding.begin()
            taken = await run("control", self._store.acquire, move.acquire, LEASE_SECS)
            self._holding.add(began, taken)
            self._held_again.set()
            await self._start(lease.name for lease in taken)

    def _move(self, survey: Survey) -> Move:
        release: list[str] = []
        acquire: list[str] = []
        wanted = set(self._wanted())
        for kind in {kind_of(name) for name in wanted | self._holding.names()}:
            things = {name for name in wanted if kind_of(name) == kind}
            moved = self._of_kind(kind, things, survey)
            release += moved.release
            acquire += moved.acquire
        release += sorted(self._holding.names() - wanted)
        return Move(tuple(dict.fromkeys(release)), tuple(acquire))

    def _of_kind(self, kind: str, things: Collection[str], survey: Survey) -> Move:
        """Decide for one kind. Who has just started gets what is free; others make room only for who is settled."""
        able = [one for one in survey.sharers if kind in one.offers and not (self.draining and one.life == self._life)]
        lives = [one.life for one in able]
        move = share(things, survey.holders, lives, self._life)
        if not move.release or self._life not in lives:
            return move
        settled = [one.life for one in able if one.settled or one.life == self._life]
        return share(things, survey.holders, settled, self._life)

    async def _start(self, names: Iterable[str]) -> None:
        for name in names:
            self.changes += 1
            log.info("lease.taken", lease=name)
            await self._changed(name, True)

    async def _stop(self, names: Iterable[str]) -> None:
        """Stop the work under each, all at once: time is short."""
        leaving = list(names)
        if leaving:
            self.changes += len(leaving)
            log.info("leases.left", leases=leaving[:20], count=len(leaving))
            await asyncio.gather(*(self._changed(name, False) for name in leaving))
            self._holding.drop(leaving)

    async def _watch(self) -> None:
        """Stop what is overdue, whatever the rounds wait for at that moment."""
        while True:
            await rung(self._held_again, self._holding.secs_left())
            overdue = self._holding.overdue()
            if overdue and self._cut_off:
                await asyncio.sleep(ROUND_SECS)
            elif overdue:
                log.warning("leases.overdue", count=len(overdue))
                await self._stop(overdue)
