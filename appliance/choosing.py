"""Looks at a database that somebody typed into the wizard, and lets Dash go on with it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from appliance.domain.database.dsn import Dsn
from appliance.domain.database.examination import Examination
from appliance.domain.finding import Examined
from appliance.placing import access_to, need_of
from appliance.settings import Settings
from appliance.settings.chosen import choose_database

log = structlog.get_logger("appliance")


def _nobody_serves() -> None:
    """A command has nothing to start again."""


@dataclass
class Choosing:
    """``again``: called once a database was chosen; whoever serves sets it to what starts Dash again."""

    settings: Settings
    again: Callable[[], None] = field(default=_nobody_serves)

    def current(self) -> str | None:
        """Return the database in use as it may be shown; None: everything is embedded."""
        url = self.settings.database.url
        return None if url is None else str(url)

    async def examine(self, dsn: Dsn) -> Examination:
        """Look at ``dsn``, if a screen may have it connected to."""
        return await asyncio.to_thread(self._examine, dsn)

    def _examine(self, dsn: Dsn) -> Examination:
        from appliance.storage.control.backend import Unreachable
        from appliance.storage.control.examination import examine, guarded

        try:
            if dsn != self.settings.database.url:
                dsn = guarded(dsn, self.settings.egress.allow)
        except Unreachable as error:
            why = error.refusal
            return Examination([Examined("database", "bad", why.message, why.remedy)], refused=why.part)
        return examine(access_to(dsn, self.settings), need_of(self.settings))

    async def adopt(self, dsn: Dsn) -> None:
        """Write it down and start again on it."""
        await asyncio.to_thread(choose_database, self.settings.server.data_dir, dsn)
        log.info("database.chosen", database=str(dsn))
        self.again()
