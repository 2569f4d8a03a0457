"""Brings the database to the schema of this program, by Alembic migrations packaged beside this file."""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from appliance.errors import ConfigError, Problem

HEAD: Final = "0003"  # a test compares it with the migrations
KNOWN: Final = ("0001", "0002", "0003")
SCRIPTS: Final = Path(__file__).parent / "migrations"


def revision(connection: Connection) -> str | None:
    """Return the revision the database is at; None: it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def upgrade(connection: Connection) -> None:
    """Migrate to ``HEAD`` inside the transaction that is open on ``connection``; at ``HEAD`` already: nothing happens.

    Raises:
        ConfigError: the database was written by a newer version of the program.
    """
    at = revision(connection)
    if at == HEAD:  # the usual start: Alembic is not even imported
        return
    if at is not None and at not in KNOWN:
        raise ConfigError(
            [
                Problem(
                    "control plane",
                    f"the database has schema {at!r} and this version of Dash knows up to {HEAD!r}",
                    hint="start the newer version again, or restore a backup made before the upgrade",
                )
            ]
        )
    _migrate(connection)


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    command.upgrade(config, "head")
