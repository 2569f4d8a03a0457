"""The contract of whoever keeps the backups of an installation."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from appliance.domain.backup import Backup, Kind, Pruned, Verdict
from appliance.domain.backup_keeping import Keeping

Told = Callable[[int, int | None, str], None]  # bytes done, bytes in all, of what; may raise to stop


class KeptBackups(msgspec.Struct, frozen=True, kw_only=True):
    """What there is. ``broken``: backups whose manifests do not read, with why."""

    place: str
    encrypted: bool
    backups: list[Backup]
    verdicts: dict[str, Verdict]
    broken: list[str]


class BackupKeeper(Protocol):
    """Takes, proves and prunes backups of this node. All blocking: call from a thread.

    Any may raise ConfigError (there is no place, or it cannot be used so) and TransientError (it cannot be reached).
    """

    @property
    def place(self) -> str | None:
        """Where backups go, as people may see it; None: nowhere."""
        ...

    def kept(self) -> KeptBackups:
        """Return all backups, oldest first; none where nobody has taken one."""
        ...

    def take(self, kind: Kind | None, told: Told) -> Backup:
        """Take a backup, while receiving goes on. Raises Conflict too: somebody prunes."""
        ...

    def prove(self, backup_id: str, told: Told) -> Verdict:
        """Read one whole and open what it holds. Raises NotFound too."""
        ...

    def prune(self, keeping: Keeping) -> Pruned:
        """Remove what is not to be kept. Raises Conflict too: somebody takes a backup."""
        ...
