"""Removing backups, and the objects that no backup needs any more."""

from collections.abc import Iterable, Iterator
from typing import Final

from appliance.domain.backup import Backup, Pruned
from appliance.domain.backup_keeping import Keeping, to_remove
from appliance.domain.clock import Clock, utc_now
from appliance.errors import Conflict
from appliance.storage.backup.locks import Held, locked
from appliance.storage.backup.repository import Repository

_AT_A_TIME: Final = 200  # objects removed between two looks at the lock


def prune(repository: Repository, keeping: Keeping, *, dry_run: bool = False, clock: Clock = utc_now) -> Pruned:
    """Remove the backups that ``keeping`` does not keep, then every object that none of the others lists.

    A backup under way is never cut short: nobody may write meanwhile, and an object goes only after the manifests of
    all that remain were read.

    Raises:
        Conflict: somebody writes at present or prunes; or a manifest does not read, so that it is not known what it
            needs: nothing was removed.
    """
    with locked(repository.store, "pruning backups", alone=True, clock=clock) as lock:
        if broken := repository.broken():
            hint = "nothing is removed while it is not known what they need; remove their manifests by hand to go on"
            raise Conflict(f"pruning {repository.place}: backups do not read ({'; '.join(broken)}); {hint}")
        backups = repository.backups()
        doomed = to_remove(backups, keeping)
        gone = {one.id for one in doomed}
        kept = [one for one in backups if one.id not in gone]
        objects = repository.objects()
        needed = set(_needed(repository, kept))
        unneeded = [name for name in objects if name not in needed]
        if not dry_run:
            _remove(repository, lock, [one.id for one in doomed], unneeded)
    return Pruned(
        backups=[one.id for one in doomed],
        kept=len(kept),
        objects=len(unneeded),
        bytes=sum(objects[name] for name in unneeded),
    )


def _needed(repository: Repository, backups: Iterable[Backup]) -> Iterator[str]:
    for backup in backups:
        for piece in backup.catalog:
            yield repository.name(piece)
        for entry in repository.catalog(backup):
            for piece in entry.pieces:
                yield repository.name(piece)


def _remove(repository: Repository, lock: Held, backups: list[str], objects: list[str]) -> None:
    """Manifests first: what is listed is whole at every moment."""
    for one in backups:
        lock.check()
        repository.remove(one)
    for at in range(0, len(objects), _AT_A_TIME):
        lock.check()
        repository.remove_objects(objects[at : at + _AT_A_TIME])
