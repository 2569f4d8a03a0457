"""Where rows and settings live, as the set-up wizard asks for it: looked at, then chosen, while nobody is set up."""

import asyncio
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from appliance.domain.database.dsn import Dsn
from appliance.domain.database.examination import Examination
from appliance.errors import Conflict, Invalid, Problem, TransientError
from appliance.services.setup import Setup


class DatabaseRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A database by its DSN."""

    dsn: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=4096,
            description="A URL or keywords, as libpq reads them",
            examples=["postgresql://dash@db.example.org/dash?sslmode=verify-full"],
            extra={"secret": True},
        ),
    ]


class Chooser(Protocol):
    """What looks at databases and starts Dash on another one. ``appliance.choosing.Choosing`` satisfies it."""

    def current(self) -> str | None:
        """Return the database in use as it may be shown; None: everything is embedded."""
        ...

    async def examine(self, dsn: Dsn) -> Examination:
        """Look at a database and change nothing there."""
        ...

    async def adopt(self, dsn: Dsn) -> None:
        """Use it from the next start on, and start again."""
        ...


class Databases:
    """Asked by whoever comes first, so it connects only where a screen may, and once at a time."""

    def __init__(self, setup: Setup, chooser: Chooser) -> None:
        self._setup, self._chooser = setup, chooser
        self._looking = asyncio.Lock()

    def current(self) -> str | None:
        """Return the database in use, its password masked; None: everything is embedded."""
        return self._chooser.current()

    async def check(self, request: DatabaseRequest) -> Examination:
        """Look at the database and change nothing there.

        Raises:
            Invalid: this is no DSN.
            Conflict: Dash was set up before.
            TransientError: one is being looked at already.
        """
        await self._only_before_setup()
        dsn = _parsed(request.dsn)
        if self._looking.locked():
            raise TransientError("a database is being looked at already: try again in a moment")
        async with self._looking:
            return await self._chooser.examine(dsn)

    async def choose(self, request: DatabaseRequest) -> None:
        """Start again on this database. Raises as ``check``, and Invalid: it will not do as it is."""
        if self._chooser.current() is not None:
            raise Conflict("a database is in use already: change database.url to use another one")
        found = await self.check(request)
        if not found.usable:
            bad = [one for one in found.findings if one.state == "bad"]
            raise Invalid([Problem("/dsn", one.message, hint=one.remedy) for one in bad])
        await self._chooser.adopt(_parsed(request.dsn))

    async def _only_before_setup(self) -> None:
        if not await self._setup.needed():
            raise Conflict("this appliance has been set up before: 'dash-appliance database move' moves it")


def _parsed(text: str) -> Dsn:
    try:
        return Dsn.parse(text)
    except ValueError as error:
        raise Invalid([Problem("/dsn", str(error))]) from error
