"""The control plane as services use it: one function, one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from appliance.domain.database.access import Access
from appliance.domain.database.dsn import Dsn
from appliance.domain.usage import Connected
from appliance.errors import Conflict, DashError, NotFound, TransientError
from appliance.storage.control import provider_tables as _tables  # noqa: F401 - among the tables there are
from appliance.storage.control import schema, sqlite
from appliance.storage.control.backend import ALONE, Backend, Unreachable
from appliance.storage.control.recollection import Question, Recollection

T = TypeVar("T")
Threads = Callable[..., Awaitable[Any]]


class ControlPlane:
    """Opened once a process. ``read`` and ``write`` run a function of a Session in a thread, in one transaction."""

    def __init__(self, backend: Backend, threads: Threads = asyncio.to_thread) -> None:
        self._backend = backend
        self._writing = backend.engine.execution_options(**{ALONE: True})
        self._threads = threads
        self._recollection = Recollection()

    @classmethod
    def open(cls, where: Path | Access | str, threads: Threads = asyncio.to_thread) -> "ControlPlane":
        """Open the SQLite file at a path, or a PostgreSQL (``str``: its DSN), and migrate it; blocking.

        ``threads(fn, *args)`` runs what blocks.

        Raises:
            ConfigError: the schema is newer than this program; what is wrong with the DSN; a right that is missing.
            TransientError: the server cannot be reached now.
            FatalError: the file is damaged or not a database.
        """
        plane = cls(_backend(where), threads)
        try:
            plane._prepare()
        except BaseException:
            plane.close()
            raise
        return plane

    @classmethod
    def look(cls, where: Path | Access) -> "ControlPlane":
        """Open it for reading as it is, migrated or not; blocking. A file may be in use by its owner."""
        return cls(sqlite.read_backend(where) if isinstance(where, Path) else _backend(where))

    def _prepare(self) -> None:
        """Migrate, after everybody else who is at it."""
        try:
            self.write_now(lambda tx: schema.upgrade(tx.connection(), self._backend.schema))
        except Unreachable as error:
            raise error.at_start() from error

    def is_there(self) -> bool:
        """Return whether there is a schema to read; blocking."""
        return self.read_now(lambda tx: schema.revision(tx.connection(), self._backend.schema)) is not None

    def is_current(self) -> bool:
        """Return whether what there is to read is as this program writes it; blocking."""
        return self.read_now(lambda tx: schema.revision(tx.connection(), self._backend.schema)) == schema.HEAD

    def connected(self) -> Connected | None:
        """Return the connections to a server; None: it is a file."""
        pool = self._backend.engine.pool
        if self._backend.schema is None or not isinstance(pool, QueuePool):
            return None
        return Connected("control plane", pool.checkedout(), pool.checkedin(), pool.size())

    def ask(self) -> None:
        """Return if the database answers; blocking. Raises TransientError."""
        self.read_now(lambda tx: tx.execute(select(1)))

    async def read(self, work: Callable[[Session], T]) -> T:
        """Run ``work`` on one consistent view. What it returns must not need the session any more.

        Raises:
            NotFound: it was asked by a text that no row can hold.
            TransientError, FatalError: as ``write``.
        """
        answer: T = await self._threads(self.read_now, work)
        return answer

    async def recall(self, question: Question, work: Callable[[Session], T], within_secs: float | None = None) -> T:
        """``read``, and while the database does not answer: what ``question`` was answered last.

        For what somebody looks at, never for what is changed then. An answer is shared: nobody may change it.
        ``within_secs``: see ``Recollection.recall``.
        """
        try:
            answer = await self.read(work)
        except TransientError:
            known = self._recollection.recall(question, within_secs)
            if known is None:
                raise
            return known.answer  # type: ignore[no-any-return]
        except DashError:
            self._recollection.forget(*question)
            raise
        self._recollection.keep(question, answer)
        return answer

    def forget(self, *start: Hashable) -> None:
        """Let ``recall`` believe nothing that questions beginning with ``start`` were answered before."""
        self._recollection.forget(*start)

    async def write(self, work: Callable[[Session], T]) -> T:
        """Run ``work`` and commit; any error rolls everything back. Nobody else writes meanwhile, on any node.

        Raises:
            Conflict: somebody else changed the same thing at the same time.
            TransientError: busy, disk full, or the server is away.
            FatalError: the database is damaged.
        """
        answer: T = await self._threads(self.write_now, work)
        return answer

    def read_now(self, work: Callable[[Session], T]) -> T:
        """``read`` for those who are in a thread already."""
        return self._transact(self._backend.reading, work)

    def write_now(self, work: Callable[[Session], T], *, alone: bool = True) -> T:
        """``write`` for those who are in a thread already.

        ``alone`` False: beside other writers, for work that itself locks the rows it decides by (``FOR UPDATE``).
        SQLite has one writer at a time whatever is asked for.
        """
        beside = not alone and self._backend.schema is not None
        return self._transact(self._backend.engine if beside else self._writing, work)

    def close(self) -> None:
        """Close all connections; a second call does nothing."""
        self._backend.engine.dispose()

    def _transact(self, engine: Engine, work: Callable[[Session], T]) -> T:
        try:
            with Session(engine, expire_on_commit=False) as session, session.begin():
                return work(session)
        except IntegrityError as error:
            raise Conflict("saving to the control plane failed: it was changed at the same time, try again") from error
        except PoolTimeout as error:
            raise TransientError("the control plane cannot be used now: every connection is busy") from error
        except DBAPIError as error:
            if engine is self._backend.reading and isinstance(error, DataError):  # what no row can hold is in none
                raise NotFound("there is nothing by that name") from error
            raise self._backend.told(error) from error


def _backend(where: Path | Access | str) -> Backend:
    if isinstance(where, Path):
        return sqlite.open_backend(where)
    from appliance.storage.control import postgresql  # the driver takes a fifth of a second to import

    return postgresql.open_backend(Access(dsn=Dsn.parse(where)) if isinstance(where, str) else where)
