"""Maintenance: people were told to change nothing for a while, and what need not begin now waits."""

from datetime import datetime

import msgspec


class Maintenance(msgspec.Struct, frozen=True, kw_only=True):
    """``until``: when it ends by itself; None: when an administrator ends it. ``organisation_id``: of who began it."""

    message: str
    by: str
    since: datetime
    organisation_id: str
    until: datetime | None = None

    def over(self, now: datetime) -> bool:
        """Return whether it has ended by itself."""
        return self.until is not None and self.until <= now

    def told(self) -> str:
        """Return one sentence for everybody."""
        until = f" until {self.until:%Y-%m-%d %H:%M} UTC" if self.until is not None else ""
        return f"under maintenance{until}: {self.message}"
