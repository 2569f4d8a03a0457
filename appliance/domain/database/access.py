"""How this process reaches its database, as compose makes it from the settings."""

from datetime import timedelta
from pathlib import Path

import msgspec

from appliance.domain.database.dsn import Dsn


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """``password_file``: read at each connection, so that a password may be changed. ``connections``: at most so many.

    ``schema``: that of the control plane; an organisation's rows live in ``<schema>_<organisation id>``.
    """

    dsn: Dsn
    password_file: Path | None = None
    schema: str = "dash"
    connections: int = 5
    connect_timeout: timedelta = timedelta(seconds=5)

    def schema_of(self, organisation_id: str) -> str:
        """Return the schema of an organisation's rows."""
        return f"{self.schema}_{organisation_id}"
