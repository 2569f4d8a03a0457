"""Transactions in one organisation's schema: readers on a snapshot, with a deadline; writers under locks."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

import psycopg
from psycopg import errors

from appliance.domain.ids import PipelineId
from appliance.storage.silver_postgres import faults
from appliance.storage.silver_postgres.connections import Check, Connection, Connections, Cursor, unseen
from appliance.storage.silver_postgres.locks import Lock, pipeline_lock
from appliance.storage.silver_postgres.marks import POSITION, Marks
from appliance.storage.silver_postgres.replicas import ASK, Replicas
from appliance.storage.sql.postgresql import quoted

T = TypeVar("T")
End = Callable[[Connection], None]

_LOCK_SECS: Final = 10.0
_IDLE_SECS: Final = 60.0  # a node that stops in the middle keeps nobody waiting for longer
# For the server's end of the connection: a node that is cut off in the middle of a COPY is not idle, and would hold its
# locks for as long as the server's kernel waits for it, which is two hours.
_HEARD: Final = (
    "SET LOCAL tcp_keepalives_idle TO 5; SET LOCAL tcp_keepalives_interval TO 3; SET LOCAL tcp_keepalives_count TO 3;"
    " SET LOCAL tcp_user_timeout TO 10000;"
)
_SNAPSHOT: Final = "ISOLATION LEVEL REPEATABLE READ"
_TRIES: Final = 3


def _commit(connection: Connection) -> None:
    connection.execute("COMMIT")


def _commit_marked(marks: Marks, pipeline_id: PipelineId, connection: Connection) -> None:
    """Commit, and take down what a standby must have replayed to show it: no round trip more."""
    try:
        told = connection.execute(f"COMMIT; SELECT {POSITION}")
        told.nextset()
        marks.note(pipeline_id, told.fetchall()[0][0])
    except BaseException:
        marks.doubt(pipeline_id)
        raise


class Database:
    """``writing`` and ``reading``: the connections for each, which may be the same; of other stores too.

    Who decides something by what is read, calls ``read``; what people are shown is got by ``look``.
    """

    def __init__(
        self, schema: str, writing: Connections, reading: Connections, replicas: Replicas | None = None
    ) -> None:
        self.schema = schema
        self._writing, self._reading, self._replicas = writing, reading, replicas
        self._closed = False

    def read(self, doing: str, timeout_secs: float, work: Callable[[Cursor], T], first: str = "") -> T:
        """Return ``work(cursor)``, where all statements see one moment; done again where a table vanished under it.

        ``first``: statements that are executed before, in the round trip that begins the transaction.

        Raises:
            TransientError: too slow, no connection, closed; else as ``faults.translated``.
        """

        def once() -> T:
            with self._transaction(self._reading, doing, self._begin_reading(timeout_secs) + first) as cursor:
                return _in_time(work, cursor, doing, timeout_secs)

        try:
            return once()
        except faults.Vanished:
            return once()

    def look(
        self, doing: str, timeout_secs: float, work: Callable[[Cursor], T], pipeline_id: PipelineId, first: str = ""
    ) -> T:
        """Do as ``read``, on a replica that shows what this process has committed to the pipeline, if there is one.

        What a replica cannot answer the primary is asked, once, in the time that is left.
        """
        if self._replicas is None:
            return self.read(doing, timeout_secs, work, first)
        ends, needed = time.monotonic() + timeout_secs, self._replicas.marks.needed(pipeline_id)
        begin = f"{ASK} {self._begin_reading(timeout_secs)}{first}"
        try:
            with (
                self._replicas.chosen(needed) as (replica, check),
                self._transaction(replica.connections, doing, begin, check=check) as cursor,
            ):
                return _in_time(work, cursor, doing, timeout_secs)
        except faults.Elsewhere:
            self._replicas.passed_on()
        try:
            return self.read(doing, ends - time.monotonic(), work, first)
        except faults.TooSlow as error:
            raise faults.too_slow(doing, timeout_secs) from error

    def write(self, doing: str, work: Callable[[Cursor], T], pipeline_id: PipelineId, lock: Lock = Lock.SHARED) -> T:
        """Return ``work(cursor)``, committed. Each statement sees what others have committed by then.

        Raises:
            TransientError: no connection, a lock not got in time, the server went away. It may have been committed
                nevertheless: compare progress.
        """
        locked = f"SELECT {lock.value}({pipeline_lock(self.schema, pipeline_id)});"
        return self._whole(doing, f"{self._begin('')} {locked}", work, pipeline_id)

    def write_from_snapshot(self, doing: str, work: Callable[[Cursor], T], pipeline_id: PipelineId) -> T:
        """Return ``work(cursor)``, committed; all statements see one moment. For what takes long.

        ``work`` has to find out by ``places.hold`` whether the moment was before somebody's work alone; then it is done
        again.
        """
        locked = f"SELECT {Lock.SHARED.value}({pipeline_lock(self.schema, pipeline_id)});"
        for _ in range(_TRIES - 1):
            try:
                return self._whole(doing, f"{self._begin(_SNAPSHOT)} {locked}", work, pipeline_id)
            except faults.Overtaken:
                continue
        return self._whole(doing, f"{self._begin(_SNAPSHOT)} {locked}", work, pipeline_id)

    def run(self, doing: str, work: Callable[[Cursor], T]) -> T:
        """Return ``work(cursor)``, committed, without a lock on any pipeline."""
        with self._transaction(self._writing, doing, self._begin("")) as cursor:
            return work(cursor)

    def outside(self, doing: str, statement: str) -> None:
        """Execute what cannot run in a transaction."""
        self._check(doing)
        try:
            with self._writing.begun(doing, "SELECT 1") as connection:
                connection.execute(statement)
        except psycopg.Error as error:
            raise faults.translated(error, doing) from error

    def doubt(self, pipeline_id: PipelineId) -> None:
        """Take down that something was committed to the pipeline, nobody knows where in the log."""
        if self._replicas is not None:
            self._replicas.marks.doubt(pipeline_id)

    def close(self) -> None:
        """Refuse what is asked from now on."""
        self._closed = True

    def _whole(self, doing: str, begin: str, work: Callable[[Cursor], T], pipeline_id: PipelineId) -> T:
        end = _commit if self._replicas is None else partial(_commit_marked, self._replicas.marks, pipeline_id)
        with self._transaction(self._writing, doing, begin, end=end) as cursor:
            return work(cursor)

    @contextmanager
    def _transaction(
        self, of: Connections, doing: str, begin: str, *, check: Check = unseen, end: End = _commit
    ) -> Iterator[Cursor]:
        self._check(doing)
        try:
            with of.begun(doing, begin, check) as connection:
                yield from _ended(connection, end)
        except psycopg.Error as error:
            raise faults.translated(error, doing) from error

    def _begin_reading(self, timeout_secs: float) -> str:
        millis = max(1, int(timeout_secs * 1000))  # 0 would be no end at all
        return f"{self._begin(f'{_SNAPSHOT} READ ONLY')} SET LOCAL statement_timeout TO {millis};"

    def _begin(self, mode: str) -> str:
        """Return what begins a transaction, in one round trip. All settings end with it."""
        return (
            f"BEGIN {mode}; SET LOCAL search_path TO {quoted(self.schema)}; SET LOCAL timezone TO 'UTC';"
            " SET LOCAL DateStyle TO 'ISO'; SET LOCAL extra_float_digits TO 1;"
            f" SET LOCAL lock_timeout TO {int(_LOCK_SECS * 1000)};"
            f" SET LOCAL idle_in_transaction_session_timeout TO {int(_IDLE_SECS * 1000)}; {_HEARD}"
        )

    def _check(self, doing: str) -> None:
        if self._closed:
            raise faults.closed(doing)


def _in_time(work: Callable[[Cursor], T], cursor: Cursor, doing: str, timeout_secs: float) -> T:
    try:
        return work(cursor)
    except errors.QueryCanceled as error:
        raise faults.too_slow(doing, timeout_secs) from error


def _ended(connection: Connection, end: End) -> Iterator[Cursor]:
    """Give a cursor; commit by ``end``, or roll back and pass on what was raised."""
    try:
        with connection.cursor() as cursor:
            yield cursor
        end(connection)
    except BaseException:
        if not faults.is_lost(connection):
            connection.rollback()
        raise
