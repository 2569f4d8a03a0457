"""Connections that all organisations share: bounded, waited for a bounded time, never one that is dead twice."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.numeric import Int8BinaryLoader
from psycopg.types.string import TextBinaryLoader, TextLoader
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from appliance.domain.usage import Connected
from appliance.storage.silver_postgres import faults
from appliance.storage.silver_postgres.binary import BinaryArray, BinaryArrayDumper

Connection = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]
Check = Callable[[Cursor], None]

_UNUSED_SECS: Final = 300.0
_AWAY_SECS: Final = 0.5  # who asks while no connection can be made waits for this long: somebody tries all the while
# On a socket of the file system the usual 208 KiB are 1,000 rows, a millisecond of the server's: who sends has to be
# there again within a quarter of it, or the server waits. By TCP the kernel sees to it itself.
_SEND_BYTES: Final = 2 << 20
# What the administrator did not say: a server that is gone without a word is noticed within 15 s.
_DEFAULTS: Final[dict[str, Any]] = {
    "application_name": "dash", "connect_timeout": "5", "keepalives_idle": "5", "keepalives_interval": "3",
    "keepalives_count": "3", "tcp_user_timeout": "10000",
}  # fmt: skip


def unseen(_: Cursor) -> None:
    """Whatever was answered is fine."""


logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # it tells of every attempt; here an outage is told once
log = structlog.get_logger("silver")


class Connections:
    """At most ``size`` connections, made when they are needed. ``wait_secs``: the longest anybody waits for one.

    Nothing is kept on a connection from one transaction to the next, no prepared statements either, so that PgBouncer
    may stand between, in transaction mode too.
    """

    def __init__(
        self, conninfo: str | Callable[[], str], *, size: int, wait_secs: float = 5.0, name: str = "silver"
    ) -> None:
        """``conninfo``: a function is asked before each new connection, for a password that changes."""
        self.size, self._wait_secs, self._name = size, wait_secs, name
        self._refused: str | None = None
        self._refused_at = 0.0
        self._telling, self._lending = threading.Lock(), threading.Lock()
        self._lent: set[Connection] = set()
        self._pool = ConnectionPool(
            partial(_whole, conninfo),
            connection_class=self._connection_class(),
            kwargs={"autocommit": True, "prepare_threshold": None},
            min_size=0,
            max_size=size,
            timeout=wait_secs,
            max_idle=_UNUSED_SECS,
            reconnect_timeout=wait_secs,  # then the next who asks tries at once, instead of waiting ever longer
            configure=_configure,
            name=name,
            open=True,
        )

    def connected(self) -> Connected:
        """Return how many there are, and how many are lent."""
        told = self._pool.get_stats()
        there, idle = told.get("pool_size", 0), told.get("pool_available", 0)
        return Connected(self._name, there - idle, idle, self.size, told.get("requests_waiting", 0))

    @contextmanager
    def begun(self, doing: str, begin: str, check: Check = unseen) -> Iterator[Connection]:
        """Give a connection on which ``begin``, statements that begin a transaction, have just been executed.

        ``check`` is shown what they answered, and may raise.

        One that turns out to be dead is thrown away, and the next one is taken. What was begun and not ended is undone.

        Raises:
            TransientError: none is free in time, or none can be made; psycopg.Error: ``begin`` failed otherwise.
        """
        connection = self._living(doing, begin, check)
        try:
            yield connection
        finally:
            self._give_back(connection)

    def sever(self) -> None:
        """Break every connection, under whoever waits for an answer too: they fail as if the server were gone.

        For a server that neither answers nor ends the connection; nobody would notice by the network alone.
        """
        with self._lending:
            for connection in self._lent:
                _shut(connection)
        self._pool.drain()

    def close(self) -> None:
        """Close all of them; a second call does nothing."""
        self._pool.close()

    def _living(self, doing: str, begin: str, check: Check) -> Connection:
        for _ in range(self.size):
            connection = self._free(doing)
            try:
                check(connection.execute(begin))
            except BaseException as error:
                dead = faults.is_lost(connection)
                self._give_back(connection)
                if not (dead and isinstance(error, psycopg.OperationalError)):
                    raise
            else:
                return connection
        raise faults.no_connection(doing, self._wait_secs, self.size, self._refused or "every connection was dead")

    def _free(self, doing: str) -> Connection:
        wait_secs = self._patience()
        try:
            connection = self._pool.getconn(wait_secs)
        except PoolTimeout as error:
            raise faults.no_connection(doing, wait_secs, self.size, self._refused) from error
        except PoolClosed as error:
            raise faults.closed(doing) from error
        with self._lending:
            self._lent.add(connection)
        return connection

    def _patience(self) -> float:
        """Return how long to wait for a connection: not long where none could be made a moment ago."""
        with self._telling:
            lately = self._refused is not None and time.monotonic() - self._refused_at < 2 * self._wait_secs
        return min(_AWAY_SECS, self._wait_secs) if lately else self._wait_secs

    def _give_back(self, connection: Connection) -> None:
        with self._lending:
            self._lent.discard(connection)
        self._pool.putconn(connection)

    def _connection_class(self) -> type[Connection]:
        """Return a class of connections that says here why one could not be made, which the pool keeps to itself."""
        connections = self

        class Told(psycopg.Connection[tuple[Any, ...]]):
            @classmethod
            def connect(cls, *arguments: Any, **keywords: Any) -> Any:
                try:
                    made = super().connect(*arguments, **keywords)
                except psycopg.Error as error:
                    connections._tell(str(error).strip().replace("\n", " "))
                    raise
                connections._tell(None)
                return made

        return Told

    def _tell(self, refused: str | None) -> None:
        with self._telling:
            before, self._refused = self._refused, refused
            self._refused_at = time.monotonic()
        if refused and not before:
            log.warning("silver.database_away", connections=self._name, reason=refused)
        if before and not refused:
            log.info("silver.database_back", connections=self._name)


def _whole(conninfo: str | Callable[[], str]) -> str:
    given = conninfo if isinstance(conninfo, str) else conninfo()
    return make_conninfo("", **{**_DEFAULTS, **conninfo_to_dict(given), "client_encoding": "UTF8"})


def _shut(connection: Connection) -> None:
    broken_already = suppress(OSError, psycopg.Error)
    with broken_already, socket.socket(fileno=os.dup(connection.fileno())) as held:
        held.shutdown(socket.SHUT_RDWR)


def _hold_more(connection: Connection) -> None:
    """Let the kernel take more than usual before the server has read it, as far as the machine's settings allow."""
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as held:
        if held.family == socket.AF_UNIX:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)


def _configure(connection: Connection) -> None:
    """JSON stays the text it is; in binary answers instants stay numbers, of which Arrow makes a column at once."""
    _hold_more(connection)
    connection.adapters.register_dumper(BinaryArray, BinaryArrayDumper)
    for kind in ("json", "jsonb"):
        connection.adapters.register_loader(kind, TextLoader)
    connection.adapters.register_loader("json", TextBinaryLoader)
    connection.adapters.register_loader("timestamptz", Int8BinaryLoader)
