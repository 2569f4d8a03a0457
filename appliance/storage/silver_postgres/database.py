"""Transactions in one organisation's schema: readers on a snapshot, with a deadline; writers under locks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import psycopg
from psycopg import errors

from appliance.domain.ids import PipelineId
from appliance.storage.silver_postgres import faults
from appliance.storage.silver_postgres.connections import Connection, Connections, Cursor
from appliance.storage.silver_postgres.locks import Lock, pipeline_lock
from appliance.storage.sql.postgresql import quoted

T = TypeVar("T")

_LOCK_SECS: Final = 10.0
_IDLE_SECS: Final = 60.0  # a node that stops in the middle keeps nobody waiting for longer
_SNAPSHOT: Final = "ISOLATION LEVEL REPEATABLE READ"
_TRIES: Final = 3


class Database:
    """``writing`` and ``reading``: the connections for each, which may be the same; of other stores too."""

    def __init__(self, schema: str, writing: Connections, reading: Connections) -> None:
        self.schema = schema
        self._writing, self._reading = writing, reading
        self._closed = False

    def read(self, doing: str, timeout_secs: float, work: Callable[[Cursor], T]) -> T:
        """Return ``work(cursor)``, where all statements see one moment; done again where a table vanished under it.

        Raises:
            TransientError: too slow, no connection, closed; else as ``faults.translated``.
        """
        begin = f"{self._begin(f'{_SNAPSHOT} READ ONLY')} SET LOCAL statement_timeout TO {int(timeout_secs * 1000)};"

        def once() -> T:
            with self._transaction(self._reading, doing, begin) as cursor:
                try:
                    return work(cursor)
                except errors.QueryCanceled as error:
                    raise faults.too_slow(doing, timeout_secs) from error

        try:
            return once()
        except faults.Vanished:
            return once()

    def write(self, doing: str, work: Callable[[Cursor], T], pipeline_id: PipelineId, lock: Lock = Lock.SHARED) -> T:
        """Return ``work(cursor)``, committed. Each statement sees what others have committed by then.

        Raises:
            TransientError: no connection, a lock not got in time, the server went away. It may have been committed
                nevertheless: compare progress.
        """
        locked = f"SELECT {lock.value}({pipeline_lock(self.schema, pipeline_id)});"
        with self._transaction(self._writing, doing, f"{self._begin('')} {locked}") as cursor:
            return work(cursor)

    def write_from_snapshot(self, doing: str, work: Callable[[Cursor], T], pipeline_id: PipelineId) -> T:
        """Return ``work(cursor)``, committed; all statements see one moment. For what takes long.

        ``work`` has to find out by ``places.hold`` whether the moment was before somebody's work alone; then it is done
        again.
        """
        locked = f"SELECT {Lock.SHARED.value}({pipeline_lock(self.schema, pipeline_id)});"
        for _ in range(_TRIES - 1):
            try:
                return self._whole(doing, f"{self._begin(_SNAPSHOT)} {locked}", work)
            except faults.Overtaken:
                continue
        return self._whole(doing, f"{self._begin(_SNAPSHOT)} {locked}", work)

    def run(self, doing: str, work: Callable[[Cursor], T]) -> T:
        """Return ``work(cursor)``, committed, without a lock on any pipeline."""
        return self._whole(doing, self._begin(""), work)

    def outside(self, doing: str, statement: str) -> None:
        """Execute what cannot run in a transaction."""
        self._check(doing)
        try:
            with self._writing.begun(doing, "SELECT 1") as connection:
                connection.execute(statement)
        except psycopg.Error as error:
            raise faults.translated(error, doing) from error

    def close(self) -> None:
        """Refuse what is asked from now on."""
        self._closed = True

    def _whole(self, doing: str, begin: str, work: Callable[[Cursor], T]) -> T:
        with self._transaction(self._writing, doing, begin) as cursor:
            return work(cursor)

    @contextmanager
    def _transaction(self, of: Connections, doing: str, begin: str) -> Iterator[Cursor]:
        self._check(doing)
        try:
            with of.begun(doing, begin) as connection:
                yield from _ended(connection)
        except psycopg.Error as error:
            raise faults.translated(error, doing) from error

    def _begin(self, mode: str) -> str:
        """Return what begins a transaction, in one round trip. All settings end with it."""
        return (
            f"BEGIN {mode}; SET LOCAL search_path TO {quoted(self.schema)}; SET LOCAL timezone TO 'UTC';"
            " SET LOCAL DateStyle TO 'ISO'; SET LOCAL extra_float_digits TO 1;"
            f" SET LOCAL lock_timeout TO {int(_LOCK_SECS * 1000)};"
            f" SET LOCAL idle_in_transaction_session_timeout TO {int(_IDLE_SECS * 1000)};"
        )

    def _check(self, doing: str) -> None:
        if self._closed:
            raise faults.closed(doing)


def _ended(connection: Connection) -> Iterator[Cursor]:
    """Give a cursor; commit at the end, or roll back and pass on what was raised."""
    try:
        with connection.cursor() as cursor:
            yield cursor
        connection.execute("COMMIT")
    except BaseException:
        if not faults.is_lost(connection):
            connection.rollback()
        raise
