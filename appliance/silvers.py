"""Where rows are kept, by the settings: in a DuckDB file for each organisation, or in a schema of the database."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from appliance.components.transfer import Transferable
from appliance.domain.database.access import Access
from appliance.domain.database.replicas import ReadState
from appliance.domain.ids import OrganisationId
from appliance.domain.memory import silver_share
from appliance.domain.partition import ALONE, Partition
from appliance.domain.usage import Connected
from appliance.observe.machine import memory_bytes
from appliance.placing import access_of, replicas_of
from appliance.settings import Settings
from appliance.settings.sections import TimescaleUse
from appliance.storage.silver_duckdb.registry import Silvers as Files
from appliance.storage.silver_duckdb.store import DuckDbSilver

if TYPE_CHECKING:
    from appliance.storage.silver_postgres.registry import Silvers as Schemas
    from appliance.storage.silver_postgres.standbys import Standbys

FOLDER: Final = "silver"
REPLICA_SECS: Final = 1.0  # the longest that a read waits for a connection to a replica, before the primary is asked


class Silvers(Protocol):
    """The stores of all organisations. Safe to ask from any thread."""

    def of(self, organisation_id: OrganisationId) -> Transferable:
        """Return the organisation's store; opening it the first time blocks. Raises as the store."""
        ...

    def reading(self) -> ReadState | None:
        """Return who answers those who look; None: there are no replicas."""
        ...

    def connected(self) -> list[Connected]:
        """Return the connections to a server; none where rows are in files."""
        ...

    def losses(self) -> list[str]:
        """Return what was set aside since the start, in words: its rows are to be refined again."""
        ...

    def incidents(self) -> list[str]:
        """Return what happened to the stores since the start, in words."""
        ...

    def remove(self, organisation_id: OrganisationId) -> None:
        """Remove the store of an organisation that has no pipelines; blocking. There is none: nothing happens."""
        ...

    def close(self) -> None:
        """Close every store; a second call does nothing."""
        ...


def open_silvers(settings: Settings, number: Partition = ALONE) -> Silvers:
    """Return the stores, as the node with partition ``number`` uses them; each is opened when it is first asked for."""
    return silvers_in(settings, access_of(settings) or settings.server.data_dir / FOLDER, number)


def silvers_in(settings: Settings, place: Access | Path, number: Partition = ALONE) -> Silvers:
    """Return the stores in a database, or in a folder that is made when the first is asked for."""
    if isinstance(place, Access):
        return _schemas(settings, place, number)
    return Files(place, partial(open_file, settings))


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


def forget_schema(settings: Settings, access: Access, organisation_id: OrganisationId) -> None:
    """Remove an organisation's rows from a database that it has been moved out of; blocking."""
    stores = _schemas(settings, access, ALONE)
    try:
        stores.of(organisation_id).leave()
    finally:
        stores.close()


def _schemas(settings: Settings, access: Access, number: Partition) -> "Schemas":
    from appliance.storage.silver_postgres.connections import Connections
    from appliance.storage.silver_postgres.registry import Silvers as Schemas
    from appliance.storage.silver_postgres.store import PostgresSilver, Reading
    from appliance.storage.silver_postgres.timescale_wanted import Wanted

    left = settings.database.connections - access.connections - (1 if settings.database.replicas else 0)
    writing = Connections(_reached(access), size=max(1, left // 2), name="rows")
    reading = Connections(_reached(access), size=max(1, left - left // 2), name="queries")
    standbys = _standbys(settings, access, reading.size) if settings.database.replicas else None
    silver = settings.silver
    timescale = Wanted(
        use=silver.timescale is TimescaleUse.AUTO,
        interval=silver.chunk_interval,
        compress_after=silver.compress_after,
        views=silver.continuous_aggregates,
    )

    def open_schema(name: str) -> PostgresSilver:
        return PostgresSilver(
            writing,
            name,
            reading=Reading(
                reading, silver.query_timeout.total_seconds(), standbys.replicas if standbys is not None else None
            ),
            partition=number,
            timescale=timescale,
            leases=access.schema,
        )

    return Schemas(open_schema, access.schema_of, writing, reading, standbys=standbys)


def _standbys(settings: Settings, access: Access, size: int) -> "Standbys":
    """Return the read replicas, watched. ``size``: reads that each of them may answer at a time."""
    from appliance.storage.silver_postgres.connections import Connections
    from appliance.storage.silver_postgres.replicas import SPARE
    from appliance.storage.silver_postgres.standbys import Standbys

    copies = [
        (
            " or ".join(map(str, one.dsn.endpoints)),
            Connections(
                _reached(one, replica=True), size=size + SPARE, wait_secs=REPLICA_SECS, name=f"replica {number}"
            ),
        )
        for number, one in enumerate(replicas_of(settings), 1)
    ]
    primary = Connections(_reached(access), size=1, name="comparing replicas")
    return Standbys(primary, copies, settings.database.max_replica_lag.total_seconds())


def _reached(access: Access, *, replica: bool = False) -> Callable[[], str]:
    """Return what says how to connect, each time anew: a password may be changed."""
    from psycopg.conninfo import make_conninfo

    from appliance.storage.control.connect import parameters

    return lambda: make_conninfo(**parameters(access, replica=replica))
