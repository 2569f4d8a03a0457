"""All that is particular to PostgreSQL: the pool, one writer at a time, and what the server's errors mean.

Nothing outlives a transaction in the session: names are qualified, settings are SET LOCAL, locks end with the
transaction, nothing is prepared. So PgBouncer may pool by transaction.
"""

import zlib
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DataError, DBAPIError, OperationalError

from appliance.domain.database import rights
from appliance.domain.database.access import Access
from appliance.errors import ConfigError, DashError, FatalError, Invalid, Problem, TransientError
from appliance.storage.control.backend import ALONE, Backend
from appliance.storage.control.connect import connect
from appliance.storage.control.outage import Outage

LOCK_SECS: Final = 60  # a writer waits for another, or for a migration, for this long at most
IDLE_SECS: Final = 30  # a writer that stopped in the middle (its machine sleeps) loses the lock after this
POOL_SECS: Final = 5
_LOCK_CLASS: Final = int.from_bytes(b"DASH", "big")  # the first key of every advisory lock of Dash

_BEGIN_ALONE: Final = (
    f"SELECT set_config('lock_timeout', '{LOCK_SECS}s', true),"
    f" set_config('idle_in_transaction_session_timeout', '{IDLE_SECS}s', true), pg_advisory_xact_lock(%s, %s)"
)
_LOST: Final = ("25006", "57P01", "57P02", "57P03")  # read-only after a switch, shutdown, crash, starting up


def open_backend(access: Access) -> Backend:
    """Return the database at ``access``; connections are made when they are needed, and replaced when they broke."""
    engine = create_engine(
        "postgresql+psycopg://",
        creator=partial(Outage().connected, partial(connect, access)),
        pool_size=access.connections,
        max_overflow=0,
        pool_timeout=POOL_SECS,
        pool_pre_ping=True,
        hide_parameters=True,
        execution_options={"schema_translate_map": {None: access.schema}},
    )
    event.listen(engine, "begin", partial(_begin, writers_of(access.schema)))
    event.listen(engine, "handle_error", _judge)
    reading = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return Backend(engine, reading, access.schema, partial(told, access))


def writers_of(schema: str) -> tuple[int, int]:
    """Return the advisory lock of those who change the control plane in ``schema``."""
    return _LOCK_CLASS, zlib.crc32(schema.encode()) - 2**31


def told(access: Access, error: DBAPIError) -> DashError:
    """Return what an error of the server, or of the connection to it, means."""
    state = getattr(error.orig, "sqlstate", None) or ""
    words = getattr(getattr(error.orig, "diag", None), "message_primary", None) or str(error.orig).split("\n")[0]
    if isinstance(error, DataError):
        return Invalid([Problem("", f"the database cannot store this: {words}", hint="leave such characters out")])
    if state in ("42501", "3F000"):
        hint = rights.remedy(access, words)
        return ConfigError([Problem("database.url", f"a right is missing in {access.dsn.database!r}: {words}", hint)])
    for prefix, what, retry_secs in _PASSING:
        if state.startswith(prefix):
            return TransientError(f"the control plane cannot be used now: {what}", retry_secs)
    if isinstance(error, OperationalError) and not state:
        return TransientError("the control plane cannot be used now: the connection to the database was lost", 1.0)
    return FatalError(
        f"the control plane cannot be used: {words}{f' (SQLSTATE {state})' if state else ''}",
        hint=f"look at the server's log; the schema {access.schema!r} may have to be put back from a backup",
    )


_PASSING: Final = (  # the first that fits counts
    ("25006", "the database takes no writes: it is a standby, or was set read-only", 2.0),
    ("53100", "the disk of the database server is full", 5.0),
    ("53", "the database server has no room left for it (connections or memory)", 2.0),
    ("57P", "the database server is stopping or starting", 2.0),
    ("57014", "the database server cancelled it after its statement_timeout", 1.0),
    ("55P03", "another node has been changing it for too long", 1.0),
    ("25P03", "it took too long in the middle of a change", 1.0),
    ("40", "it was changed at the same time", 0.2),
    ("08", "the connection to the database was lost", 1.0),
    ("58", "the disk of the database server has failed", 5.0),
)


def _begin(lock: tuple[int, int], connection: Connection) -> None:
    if connection.get_execution_options().get(ALONE, False):
        connection.exec_driver_sql(_BEGIN_ALONE, lock)


def _judge(context: ExceptionContext) -> None:
    """Let go of every connection to a server that no longer is what it was: the next call looks for the right one."""
    state: Any = getattr(context.original_exception, "sqlstate", None)
    if state in _LOST:
        context.is_disconnect = True
