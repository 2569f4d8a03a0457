"""The stores of all organisations: one DuckDB file each, opened when it is first asked for."""

import threading
from collections.abc import Callable
from pathlib import Path

from appliance.domain.ids import OrganisationId
from appliance.domain.usage import Connected
from appliance.errors import TransientError
from appliance.storage.silver_duckdb.opening import LOSSES
from appliance.storage.silver_duckdb.store import DuckDbSilver


class Silvers:
    """Owns every open store below ``root``; safe to ask from any thread."""

    def __init__(self, root: Path, open_store: Callable[[Path], DuckDbSilver]) -> None:
        self._root, self._open_store = root, open_store
        self._stores: dict[OrganisationId, DuckDbSilver] = {}
        self._opening = threading.Lock()

    def of(self, organisation_id: OrganisationId) -> DuckDbSilver:
        """Return the organisation's store; opening it the first time blocks.

        Raises:
            TransientError, FatalError: it cannot be opened.
        """
        found = self._stores.get(organisation_id)
        if found is not None:
            return found
        with self._opening:
            if organisation_id not in self._stores:
                self._root.mkdir(parents=True, exist_ok=True)
                self._stores[organisation_id] = self._open_store(self._root / f"{organisation_id}.duckdb")
            return self._stores[organisation_id]

    def losses(self) -> list[str]:
        """Return what was set aside since the start, in words: its rows are to be refined again."""
        stores = list(self._stores.values())
        return [str(incident) for store in stores for incident in store.incidents if incident.kind in LOSSES]

    def incidents(self) -> list[str]:
        """Return what happened to the files since the start, in words."""
        return [str(incident) for store in list(self._stores.values()) for incident in store.incidents]

    def connected(self) -> list[Connected]:
        """Return the connections to a server: there are none."""
        return []

    def reading(self) -> None:
        """Return who answers those who look: nobody but the files."""

    def remove(self, organisation_id: OrganisationId) -> None:
        """Remove an organisation's file, with what was set aside of it; there is none: nothing happens; blocking.

        Raises:
            TransientError: it cannot be removed at the moment.
        """
        with self._opening:
            if (store := self._stores.pop(organisation_id, None)) is not None:
                store.close()
            try:
                for file in self._root.glob(f"{organisation_id}.duckdb*"):
                    file.unlink(missing_ok=True)
            except OSError as error:
                raise TransientError(f"removing the rows of {organisation_id} failed: {error}", 5.0) from error

    def close(self) -> None:
        """Close every store; a second call does nothing."""
        for store in self._stores.values():
            store.close()
        self._stores.clear()
