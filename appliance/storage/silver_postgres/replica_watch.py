"""Whether a standby may be read from: asked again and again by a thread, so that no query has to find out by waiting.

Source: the PostgreSQL manual, 9.28.3 and 9.28.4 (functions of backup and recovery control), 9.27 (pg_control_system).
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg

from appliance.domain.database.replicas import Trail
from appliance.errors import DashError
from appliance.storage.silver_postgres import faults
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.marks import POSITION, REPLAYED
from appliance.storage.silver_postgres.replicas import AWAY, Replica, Replicas

EVERY_SECS: Final = 1.0
HANGS_SECS: Final = 3.0  # a server that needs longer for a question without any work is not there
_PATIENCE_SECS: Final = 1.0  # at the end, for a look under way

# A standby has every database of its primary, under the same number.
_WHOSE: Final = """
SELECT system_identifier, (SELECT oid FROM pg_database WHERE datname = current_database())::bigint, {place}
FROM pg_control_system()
"""
_PRIMARY: Final = _WHOSE.format(place=POSITION)
_STANDBY: Final = _WHOSE.format(place=f"pg_is_in_recovery(), {REPLAYED}")


class ReplicaWatch:
    """Compares one replica with the primary in a thread of its own, from ``start`` to ``stop``."""

    def __init__(
        self,
        replica: Replica,
        primary: Connections,
        replicas: Replicas,
        every_secs: float = EVERY_SECS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._replica, self._primary, self._replicas = replica, primary, replicas
        self._every_secs, self._now = every_secs, now
        self._trail = Trail()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"replica {replica.number}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Look no more. A look under way, which may be waiting for a server, ends with its connections."""
        self._stopping.set()
        self._thread.join(_PATIENCE_SECS)

    def look(self) -> None:
        """Compare now; blocking."""
        doubts, at = self._replicas.marks.doubts(), self._now()
        try:
            system, database, position = _asked(self._primary, _PRIMARY)
        except DashError as error:
            if self._replica.reached is None:  # else what is known of the replica grows old by itself
                self._replicas.seen(self._replica, "the primary cannot be asked to compare", why=str(error))
            return
        self._replicas.marks.settle(doubts, position)
        self._trail.note(at, position)
        try:
            self._compare((system, database), position)
        except DashError as error:
            if not self._stopping.is_set():
                self._replicas.seen(self._replica, AWAY, why=str(error))
                self._replica.connections.sever()  # who waits there would wait in vain

    def _compare(self, whose: tuple[int, int], position: int) -> None:
        with _answered_by(self._replica.connections):
            system, database, standby, replayed = _asked(self._replica.connections, _STANDBY)
        if system != whose[0]:
            self._replicas.seen(self._replica, "it is a copy of another cluster")
        elif database != whose[1]:
            self._replicas.seen(self._replica, "it names another database of the cluster")
        elif not standby:
            self._replicas.seen(self._replica, "it is no standby")
        elif (replayed or 0) > position and replayed > _asked(self._primary, _PRIMARY)[2]:
            self._replicas.seen(self._replica, "it has what the primary has not written: it follows another server")
        else:
            self._replicas.seen(self._replica, None, self._trail.reached(replayed or 0))

    def _run(self) -> None:
        self.look()
        while not self._stopping.wait(self._every_secs):
            self.look()


@contextmanager
def _answered_by(connections: Connections) -> Iterator[None]:
    """Break all connections to a server that does not answer what is asked meanwhile."""
    timer = threading.Timer(HANGS_SECS, connections.sever)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _asked(of: Connections, statement: str) -> tuple[Any, ...]:
    doing = "comparing a replica with the primary"
    try:
        with of.begun(doing, "SELECT 1") as connection:
            return connection.execute(statement).fetchall()[0]
    except psycopg.Error as error:
        raise faults.translated(error, doing) from error
