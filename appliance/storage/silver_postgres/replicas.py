"""Standbys that answer what people look at, as long as they are near enough to the primary."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

import structlog

from appliance.domain.database.replicas import ReadState, ReplicaState
from appliance.errors import DashError, Invalid
from appliance.storage.silver_postgres import faults
from appliance.storage.silver_postgres.connections import Check, Connections, Cursor
from appliance.storage.silver_postgres.marks import REPLAYED, Marks

AWAY: Final = "it cannot be reached"
BEHIND: Final = "it is too far behind"
SPARE: Final = 1  # of a replica's connections: for its watch, which must not wait for those who read

# Before the snapshot that is read: in one transaction with it, the snapshot would be the older of the two.
ASK: Final = f"BEGIN READ ONLY; SELECT pg_is_in_recovery(), {REPLAYED}; COMMIT;"

log = structlog.get_logger("silver")


class Replica:
    """One standby. ``number``: its place in the settings; ``name``: where it is, for the log.

    What it says of itself belongs to ``Replicas``, who has the lock.
    """

    def __init__(self, number: int, name: str, connections: Connections) -> None:
        self.number, self.name, self.connections = number, name, connections
        self.reached: float | None = None  # the moment of which it has everything [s, monotonic]
        self.trouble: str | None = "it has not been compared with the primary yet"
        self.left: str | None = BEHIND  # what the log was told last: why nothing is read from it
        self.reads = self.again = self.busy = 0

    @property
    def full(self) -> bool:
        return self.busy >= self.connections.size - SPARE


class Replicas:
    """Chooses among standbys; safe to use from any thread. ``marks``: what they must have replayed.

    ``max_lag_secs``: an answer lacks nothing that is older.
    """

    def __init__(
        self, replicas: Sequence[Replica], max_lag_secs: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.marks = Marks()
        self._replicas, self._max_lag_secs, self._now = tuple(replicas), max_lag_secs, now
        self._lock = threading.Lock()
        self._by_primary = 0

    @contextmanager
    def chosen(self, needed: int | None) -> Iterator[tuple[Replica, Check]]:
        """Give the least busy of those that may be read from, and what to show its answer to ``ASK``.

        ``needed``: the place in the log that it must have replayed; None: not known.

        Raises:
            Elsewhere: there is none, or it failed at what it was given for; but not where any server would fail.
        """
        replica = None if needed is None else self._take()
        if replica is None or needed is None:
            raise faults.Elsewhere("No replica may be read from.")
        try:
            yield replica, partial(_check, needed)
        except (Invalid, faults.TooSlow):
            raise
        except DashError as error:
            self._failed(replica, error)
            raise faults.Elsewhere(str(error)) from error
        else:
            with self._lock:
                replica.reads += 1
        finally:
            with self._lock:
                replica.busy -= 1

    def seen(self, one: Replica, trouble: str | None, reached: float | None = None, *, why: str = "") -> None:
        """Take down what was seen of it. ``trouble``: anybody may read it; ``why``: for the log."""
        with self._lock:
            one.trouble, one.reached = trouble, reached
            before, one.left = one.left, trouble or (BEHIND if self._trouble(one) else None)
            after = one.left
        if after and after != before:
            log.warning("silver.replica_left", replica=one.name, reason=after, why=why)
        if before and not after:
            log.info("silver.replica_followed", replica=one.name)

    def passed_on(self) -> None:
        """Count a read that the primary has to answer."""
        with self._lock:
            self._by_primary += 1

    def state(self) -> ReadState:
        """Return what is told of them."""
        with self._lock:
            return ReadState(self._by_primary, tuple(map(self._state, self._replicas)))

    def _take(self) -> Replica | None:
        with self._lock:
            usable = [one for one in self._replicas if self._trouble(one) is None and not one.full]
            found = min(usable, key=lambda one: (one.busy, one.reads), default=None)
            if found is not None:
                found.busy += 1
            return found

    def _failed(self, replica: Replica, error: DashError) -> None:
        """Take down that the primary has to answer. Who is gone is not asked before it has been seen again."""
        with self._lock:
            replica.again += 1
        if isinstance(error, faults.Away):
            self.seen(replica, AWAY, why=str(error))

    def _state(self, one: Replica) -> ReplicaState:
        return ReplicaState(
            number=one.number, reads=one.reads, again=one.again, lag_secs=self._lag(one), trouble=self._trouble(one)
        )

    def _trouble(self, one: Replica) -> str | None:
        if one.trouble is not None:
            return one.trouble
        lag = self._lag(one)
        if lag is None:
            return "it lacks what the primary had when this process began to compare"
        return None if lag <= self._max_lag_secs else f"it is {lag:.1f} s behind, {self._max_lag_secs:g} s are allowed"

    def _lag(self, one: Replica) -> float | None:
        reached = one.reached
        return None if reached is None else max(0.0, self._now() - reached)


def _check(needed: int, told: Cursor) -> None:
    told.nextset()
    standby, replayed = told.fetchall()[0]
    if not standby or replayed is None or replayed < needed:
        raise faults.Elsewhere("The replica does not show the newest commit yet.")
