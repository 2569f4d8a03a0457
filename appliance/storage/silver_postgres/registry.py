"""The stores of all organisations in one database: a schema each, opened when it is first asked for."""

import threading
from collections.abc import Callable

import structlog

from appliance.domain.database.replicas import ReadState
from appliance.domain.ids import OrganisationId
from appliance.domain.usage import Connected
from appliance.errors import ConfigError
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.standbys import Standbys
from appliance.storage.silver_postgres.store import PostgresSilver

log = structlog.get_logger("silver")


class Silvers:
    """Owns every open store and the connections that they share; safe to ask from any thread.

    ``open_store`` is given the name of a schema, which ``schema_of`` tells of an organisation. ``standbys``: of this
    database, if it has any.
    """

    def __init__(
        self,
        open_store: Callable[[str], PostgresSilver],
        schema_of: Callable[[str], str],
        *connections: Connections,
        standbys: Standbys | None = None,
    ) -> None:
        self._open_store, self._schema_of, self._connections = open_store, schema_of, connections
        self._standbys = standbys
        self._stores: dict[OrganisationId, PostgresSilver] = {}
        self._opening = threading.Lock()

    def of(self, organisation_id: OrganisationId) -> PostgresSilver:
        """Return the organisation's store; opening it the first time blocks.

        Raises:
            TransientError, FatalError, ConfigError: it cannot be opened.
        """
        found = self._stores.get(organisation_id)
        if found is not None:
            return found
        with self._opening:
            if organisation_id not in self._stores:
                self._stores[organisation_id] = self._open_store(self._schema_of(organisation_id))
            return self._stores[organisation_id]

    def losses(self) -> list[str]:
        """Return what was set aside since the start: nothing ever is."""
        return []

    def incidents(self) -> list[str]:
        """Return what happened to the files since the start: none are ours, the database server has its own log."""
        return []

    def connected(self) -> list[Connected]:
        """Return the connections to the primary."""
        return [one.connected() for one in self._connections]

    def reading(self) -> ReadState | None:
        """Return who answers those who look; None: nobody but the primary."""
        return self._standbys.replicas.state() if self._standbys is not None else None

    def remove(self, organisation_id: OrganisationId) -> None:
        """Remove an organisation's tables and its schema; blocking.

        Where the schema is missing and may not be made, there is nothing to remove.
        """
        try:
            self.of(organisation_id).leave(whole=True)
        except ConfigError as error:
            log.warning("silver.schema_left", schema=self._schema_of(organisation_id), told=str(error))
        with self._opening:
            if (store := self._stores.pop(organisation_id, None)) is not None:
                store.close()

    def close(self) -> None:
        """Close every store, and the connections; a second call does nothing."""
        if self._standbys is not None:
            self._standbys.close()
        for store in self._stores.values():
            store.close()
        self._stores.clear()
        for connections in self._connections:
            connections.close()
