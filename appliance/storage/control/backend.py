"""What a control plane runs on: engines for each kind of transaction, and how its driver's errors are told."""

from collections.abc import Callable
from typing import Final, NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from appliance.domain.database.refusal import Refusal
from appliance.errors import ConfigError, DashError, Problem, TransientError

ALONE: Final = "dash_alone"  # execution option: no other transaction with it runs at the same time


class Backend(NamedTuple):
    """``schema``: None where the database knows none. ``told``: what a driver's error means; integrity is not asked."""

    engine: Engine
    reading: Engine
    schema: str | None
    told: Callable[[DBAPIError], DashError]


class Unreachable(TransientError):
    """There is no connection. While Dash runs that is never the end: whoever asked tries again."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(f"the database cannot be used now: {why}", retry_after_secs=2)
        self.refusal = why

    def at_start(self) -> DashError:
        """Return what to tell an operator who has just started Dash: only some of it passes by itself."""
        if self.refusal.passes:
            return self
        return ConfigError([Problem("database.url", self.refusal.message, hint=self.refusal.remedy)])
