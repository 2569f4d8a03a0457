"""The backups of a running appliance: what its services and jobs are handed.

What takes, proves and prunes is imported when it is wanted: most of the time nobody does, and it takes memory.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from appliance.components.backups import BackupKeeper, KeptBackups, Told
from appliance.domain.backup import Backup, Kind, Pruned, Verdict
from appliance.domain.backup_keeping import Keeping
from appliance.domain.clock import utc_now
from appliance.domain.ids import NodeId, OrganisationId
from appliance.errors import Conflict, NotFound
from appliance.settings import Settings
from appliance.silvers import Silvers
from appliance.storage.bronze.log import FileBronzeLog
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.vault import Vault
from appliance.storage.silver_duckdb.store import DuckDbSilver

if TYPE_CHECKING:
    from appliance.backups.taking import Taken
    from appliance.storage.backup.repository import Repository

T = TypeVar("T")


class Keeper:
    """One node's. ``taken``: what a backup is taken of."""

    def __init__(self, settings: Settings, taken: "Callable[[], Taken]") -> None:
        self._settings, self._taken = settings, taken
        self._open: Repository | None = None
        self._taking = Lock()

    @property
    def place(self) -> str | None:
        if self._settings.backup.url is None:
            return None
        from appliance.backups.opening import url_of

        return url_of(self._settings)

    def kept(self) -> KeptBackups:
        from appliance.backups.opening import url_of

        encrypted = self._settings.backup.passphrase_file is not None
        try:
            repository = self._repository()
        except NotFound:
            return KeptBackups(
                place=url_of(self._settings), encrypted=encrypted, backups=[], verdicts={}, broken=[]
            )  # fmt: skip
        return KeptBackups(
            place=repository.place,
            encrypted=repository.encrypted,
            backups=repository.backups(),
            verdicts=repository.verdicts(),
            broken=repository.broken(),
        )

    def take(self, kind: Kind | None, told: Told) -> Backup:
        from appliance.backups.opening import repository_of
        from appliance.backups.taking import take

        if not self._taking.acquire(blocking=False):
            raise Conflict("taking a backup: one of this node is under way; this one is taken when that has ended")
        try:
            self._open = None  # what it is sealed with, and the keys to it, are read anew
            repository = self._open = repository_of(self._settings, make_at=utc_now())
            return _behind(take, self._taken(), repository, kind, told)
        finally:
            self._taking.release()

    def prove(self, backup_id: str, told: Told) -> Verdict:
        from appliance.backups.proving import prove

        repository = self._repository()
        return _behind(prove, repository, repository.backup(backup_id), self._scratch(), told)

    def prune(self, keeping: Keeping) -> Pruned:
        from appliance.storage.backup import pruning

        return pruning.prune(self._repository(), keeping)

    def _repository(self) -> "Repository":
        """Return it opened once: stretching a passphrase takes a third of a second on purpose."""
        if self._open is None:
            from appliance.backups.opening import repository_of

            self._open = repository_of(self._settings)
        return self._open

    def _scratch(self) -> Path:
        return self._settings.server.data_dir


def _behind(work: Callable[..., T], *arguments: Any) -> T:
    """Return what ``work`` answers, done in a thread that lets others have the processor first."""
    from appliance.storage.backup.packing import step_back

    with ThreadPoolExecutor(1, "backup", initializer=step_back) as pool:
        return pool.submit(work, *arguments).result()


def taken_of(
    settings: Settings, plane: ControlPlane, bronze: FileBronzeLog, silvers: Silvers, node_id: NodeId
) -> "Taken":
    """Return what a backup is taken of."""
    from appliance.backups.taking import Taken

    data_dir, url = settings.server.data_dir, settings.database.url

    def file(organisation_id: OrganisationId) -> DuckDbSilver:
        store = silvers.of(organisation_id)
        assert isinstance(store, DuckDbSilver)  # noqa: S101 - no database is set
        return store

    return Taken(
        data_dir=data_dir,
        plane=plane,
        bronze=bronze,
        node_id=node_id,
        key=Vault.open(data_dir, create=False).fingerprint,
        silver_of=file if url is None else None,
        database=None if url is None else str(url),
        spare=settings.disk.stop_free + settings.disk.reserve,
    )


_: type[BackupKeeper] = Keeper
