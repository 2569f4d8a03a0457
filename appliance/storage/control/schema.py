"""Brings the database to the schema of this program, by Alembic migrations packaged beside this file.

On PostgreSQL everything is in one schema of the database's (``dash``), which is made where that is allowed.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, column, inspect, select, table, text
from sqlalchemy.schema import CreateSchema

from appliance.errors import ConfigError, Problem

HEAD: Final = "0007"  # a test compares it with the migrations
KNOWN: Final = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
SCRIPTS: Final = Path(__file__).parent / "migrations"
VERSIONS: Final = "alembic_version"


def revision(connection: Connection, schema: str | None = None) -> str | None:
    """Return the revision the database is at; None: it is empty."""
    if not inspect(connection).has_table(VERSIONS, schema=schema):
        return None
    found: str | None = connection.scalar(select(table(VERSIONS, column("version_num"), schema=schema).c.version_num))
    return found


def upgrade(connection: Connection, schema: str | None = None) -> None:
    """Migrate to ``HEAD`` inside the transaction that is open on ``connection``; at ``HEAD`` already: nothing happens.

    Raises:
        ConfigError: the database was written by a newer version of the program.
    """
    at = revision(connection, schema)
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
    if schema is not None:
        _enter(connection, schema)
    _migrate(connection, schema)


def _enter(connection: Connection, schema: str) -> None:
    """Let unqualified names be those of ``schema`` until the end of the transaction; make it if it is missing."""
    if not inspect(connection).has_schema(schema):  # asked first: even IF NOT EXISTS needs the right to make schemas
        connection.execute(CreateSchema(schema))
    connection.execute(text("SELECT set_config('search_path', quote_ident(:schema), true)"), {"schema": schema})


def _migrate(connection: Connection, schema: str | None) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection, "schema": schema})
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    command.upgrade(config, "head")
