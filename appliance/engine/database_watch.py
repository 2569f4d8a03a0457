"""Whether the user's own database answers: asked now and then, so that nobody has to find out by waiting."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from appliance.domain.clock import Clock
from appliance.engine.workers import Workers
from appliance.errors import DashError

EVERY_SECS: Final = 5.0
AWAY_EVERY_SECS: Final = 1.0  # it is wanted back

log = structlog.get_logger("database")


class DatabaseWatch:
    """``ask`` puts a question to the database; blocking, for as long as its time-outs allow.

    ``since``: when it was first found silent; None: it answers. ``reason``: what it was that time.
    """

    def __init__(self, ask: Callable[[], object], workers: Workers, clock: Clock) -> None:
        self._ask, self._workers, self._clock = ask, workers, clock
        self.since: datetime | None = None
        self.reason = ""

    async def run(self) -> None:
        """Look again and again; returns only by cancellation."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_SECS if self.since is None else AWAY_EVERY_SECS)

    async def look(self) -> None:
        """Ask now."""
        try:
            await self._workers.run("control", self._ask)
        except DashError as error:
            if self.since is None:
                self.since, self.reason = self._clock(), str(error)
                log.warning("database.lost", reason=self.reason)
            return
        if self.since is not None:
            log.info("database.back", away_secs=round((self._clock() - self.since).total_seconds(), 1))
        self.since, self.reason = None, ""

    def told(self) -> tuple[bool, str]:
        """Return whether it answers, and the state in one sentence that anybody may read."""
        if self.since is None:
            return True, "the database answers"
        return False, (
            f"the database has not answered since {self.since:%Y-%m-%d %H:%M:%S} UTC: events are received and kept, "
            "and become rows when it is back; screens show what was known then"
        )
