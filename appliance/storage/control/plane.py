"""The control plane as services use it: one function, one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError
from sqlalchemy.orm import Session

from appliance.errors import Conflict, DashError, FatalError, TransientError
from appliance.storage.control import schema, sqlite
from appliance.storage.control.recollection import Question, Recollection

T = TypeVar("T")
Threads = Callable[..., Awaitable[Any]]


class ControlPlane:
    """Opened once a process. ``read`` and ``write`` run a function of a Session in a thread, in one transaction."""

    def __init__(self, engine: Engine, threads: Threads) -> None:
        self._engine = engine
        self._writing = engine.execution_options(**{sqlite.IMMEDIATE: True})
        self._threads = threads
        self._recollection = Recollection()

    @classmethod
    def open(cls, where: Path | str, threads: Threads = asyncio.to_thread) -> "ControlPlane":
        """Open the SQLite file at a path, or the database at a URL (``…://…``), and migrate it; blocking.

        ``threads(fn, *args)`` runs what blocks.

        Raises:
            ConfigError: the schema is newer than this program.
            FatalError: the file is damaged or not a database.
        """
        is_url = isinstance(where, str) and "://" in where
        engine = create_engine(str(where)) if is_url else sqlite.open_engine(Path(where))
        plane = cls(engine, threads)
        try:
            plane.write_now(lambda tx: schema.upgrade(tx.connection()))
        except BaseException:
            engine.dispose()
            raise
        return plane

    async def read(self, work: Callable[[Session], T]) -> T:
        """Run ``work`` on one consistent view. What it returns must not need the session any more."""
        answer: T = await self._threads(self.read_now, work)
        return answer

    async def look(self, question: Question, work: Callable[[Session], T], within_secs: float | None = None) -> T:
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
        """Let ``look`` believe nothing that questions beginning with ``start`` were answered before."""
        self._recollection.forget(*start)

    async def write(self, work: Callable[[Session], T]) -> T:
        """Run ``work`` and commit; any error rolls everything back.

        Raises:
            Conflict: somebody else changed the same thing at the same time.
            TransientError: busy or disk full.
            FatalError: the database is damaged.
        """
        answer: T = await self._threads(self.write_now, work)
        return answer

    def read_now(self, work: Callable[[Session], T]) -> T:
        """``read`` for those who are in a thread already."""
        return _transact(self._engine, work)

    def write_now(self, work: Callable[[Session], T]) -> T:
        """``write`` for those who are in a thread already."""
        return _transact(self._writing, work)

    def close(self) -> None:
        """Close all connections; a second call does nothing."""
        self._engine.dispose()


def _transact(engine: Engine, work: Callable[[Session], T]) -> T:
    try:
        with Session(engine, expire_on_commit=False) as session, session.begin():
            return work(session)
    except IntegrityError as error:
        raise Conflict("saving to the control plane failed: it was changed at the same time, try again") from error
    except OperationalError as error:
        raise TransientError(f"the control plane cannot be reached now: {error.orig}", retry_after_secs=1) from error
    except DatabaseError as error:
        raise FatalError(
            f"the control plane cannot be used: {error.orig}",
            hint="stop Dash and put control.sqlite3 back from a copy; events and rows are not touched by this",
        ) from error
