"""Whether a standby may be read from: asked again and again by a thread, so that no query has to find out by waiting.

Source: the PostgreSQL manual, 9.28.3 and 9.28.4 (functions of backup and recovery control), 9.27 (pg_control_system).
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg

from appliance.domain.database.replicas import Trail
from appliance.errors import DashError
from appliance.storage.silver_postgres import faults
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.marks import POSITION, Marks
from appliance.storage.silver_postgres.replicas import AWAY, Replica

EVERY_SECS: Final = 1.0
_PATIENCE_SECS: Final = 1.0  # at the end, for a look under way

# A standby has every database of its primary, under the same number.
_WHOSE: Final = """
SELECT system_identifier, (SELECT oid FROM pg_database WHERE datname = current_database())::bigint
FROM pg_control_system()
"""
_PRIMARY: Final = f"SELECT {POSITION}"
_STANDBY: Final = "SELECT pg_is_in_recovery(), (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint"


class ReplicaWatch:
    """Compares one replica with the primary in a thread of its own, from ``start`` to ``stop``."""

    def __init__(
        self,
        replica: Replica,
        primary: Connections,
        marks: Marks,
        every_secs: float = EVERY_SECS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._replica, self._primary, self._marks = replica, primary, marks
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
        doubts, at = self._marks.doubts(), self._now()
        try:
            whose = _asked(self._primary, _WHOSE)
            (position,) = _asked(self._primary, _PRIMARY)
        except DashError:
            return  # others tell of that; what is known of the replica grows old by itself
        self._marks.settle(doubts, position)
        self._trail.note(at, position)
        try:
            copied, (standby, replayed) = _asked(self._replica.connections, _WHOSE), self._replayed()
            trouble = _trouble(whose, copied, standby=standby) or self._ahead(replayed, position)
        except DashError as error:
            if not self._stopping.is_set():
                self._replica.seen(AWAY, why=str(error))
            return
        self._replica.seen(trouble, None if trouble else self._trail.reached(replayed))

    def _replayed(self) -> tuple[bool, int]:
        standby, replayed = _asked(self._replica.connections, _STANDBY)
        return standby, replayed or 0

    def _ahead(self, replayed: int, position: int) -> str | None:
        """Return what is wrong with a standby that has what the primary never wrote."""
        if replayed > position and replayed > _asked(self._primary, _PRIMARY)[0]:
            return "it has replayed what the primary has not written: it follows another server"
        return None

    def _run(self) -> None:
        self.look()
        while not self._stopping.wait(self._every_secs):
            self.look()


def _trouble(whose: tuple[Any, ...], copied: tuple[Any, ...], *, standby: bool) -> str | None:
    if copied[0] != whose[0]:
        return "it is a copy of another cluster"
    if copied[1] != whose[1]:
        return "it names another database of the cluster"
    return None if standby else "it is no standby"


def _asked(of: Connections, statement: str) -> tuple[Any, ...]:
    doing = "comparing a replica with the primary"
    try:
        with of.begun(doing, "SELECT 1") as connection:
            return connection.execute(statement).fetchall()[0]
    except psycopg.Error as error:
        raise faults.translated(error, doing) from error
