"""All that is particular to SQLite: how its file is opened, how its transactions begin, what its errors mean."""

from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, OperationalError

from appliance.errors import DashError, FatalError, TransientError
from appliance.storage.control.backend import ALONE, Backend

BUSY_MS: Final = 5_000


def open_backend(path: Path) -> Backend:
    """Return the file at ``path``, made with mode 0600 if it is missing."""
    engine = _open_engine(path)
    return Backend(engine, engine, None, told)


def read_backend(path: Path) -> Backend:
    """Return the file at ``path`` for looking only, also beside its owner."""
    engine = create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    return Backend(engine, engine, None, told)


def told(error: DBAPIError) -> DashError:
    """Return what an error of the driver means."""
    if isinstance(error, OperationalError):
        return TransientError(f"the control plane cannot be reached now: {error.orig}", retry_after_secs=1)
    return FatalError(
        f"the control plane cannot be used: {error.orig}",
        hint="stop Dash and put control.sqlite3 back from a copy; events and rows are not touched by this",
    )


def _open_engine(path: Path) -> Engine:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_MS / 1000})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late and is never IMMEDIATE
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", f"busy_timeout = {BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # The write lock at once, so that no upgrade of a reader's can deadlock.
    immediate = connection.get_execution_options().get(ALONE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
