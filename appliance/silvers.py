"""Where rows are kept, by the settings: in a DuckDB file for each organisation, or in a schema of the database."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from appliance.components.silver import SilverStore
from appliance.domain.database.access import Access
from appliance.domain.ids import OrganisationId
from appliance.domain.memory import silver_share
from appliance.domain.partition import Partition
from appliance.observe.machine import memory_bytes
from appliance.placing import access_of
from appliance.settings import Settings
from appliance.storage.silver_duckdb.registry import Silvers as Files
from appliance.storage.silver_duckdb.store import DuckDbSilver

if TYPE_CHECKING:
    from appliance.storage.silver_postgres.registry import Silvers as Schemas

FOLDER = "silver"


class Silvers(Protocol):
    """The stores of all organisations. Safe to ask from any thread."""

    def of(self, organisation_id: OrganisationId) -> SilverStore:
        """Return the organisation's store; opening it the first time blocks. Raises as the store."""
        ...

    def incidents(self) -> list[str]:
        """Return what happened to the stores since the start, in words."""
        ...

    def close(self) -> None:
        """Close every store; a second call does nothing."""
        ...


def open_silvers(settings: Settings, number: Partition) -> Silvers:
    """Return the stores, as the node with partition ``number`` uses them; each is opened when it is first asked for."""
    access = access_of(settings)
    if access is not None:
        return _schemas(settings, access, number)
    return Files(settings.server.data_dir / FOLDER, partial(open_file, settings))


def files(settings: Settings) -> list[Path]:
    """Return the files of rows that there are in the data directory."""
    return sorted((settings.server.data_dir / FOLDER).glob("*.duckdb"))


def open_file(settings: Settings, path: Path) -> DuckDbSilver:
    """Open an organisation's file, which nobody else has open; blocking. Raises as DuckDbSilver."""
    return DuckDbSilver(
        path,
        memory_limit=memory_of(settings),
        threads=settings.silver.threads,
        timeout_secs=settings.silver.query_timeout.total_seconds(),
    )


def memory_of(settings: Settings) -> int:
    """Return the bytes that each organisation's file may have in memory."""
    if settings.silver.memory_limit is not None:
        return settings.silver.memory_limit
    return silver_share(memory_bytes(), len(files(settings)))


def _schemas(settings: Settings, access: Access, number: Partition) -> "Schemas":
    from psycopg.conninfo import make_conninfo

    from appliance.storage.control.connect import parameters
    from appliance.storage.silver_postgres.connections import Connections
    from appliance.storage.silver_postgres.registry import Silvers as Schemas
    from appliance.storage.silver_postgres.store import PostgresSilver, Reading

    def reached() -> str:
        return make_conninfo(**parameters(access))  # made anew for each connection: a password may be changed

    left = settings.database.connections - access.connections
    writing = Connections(reached, size=max(1, left // 2), name="rows")
    reading = Connections(reached, size=max(1, left - left // 2), name="queries")
    timeout_secs = settings.silver.query_timeout.total_seconds()

    def open_schema(name: str) -> PostgresSilver:
        return PostgresSilver(writing, name, reading=Reading(reading, timeout_secs), partition=number)

    return Schemas(open_schema, access.schema_of, writing, reading)
