"""Where backups go, by the settings and by what a command says."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.archiving import access_to
from appliance.components.archive import ArchiveStore, parse_place
from appliance.errors import ConfigError, Problem
from appliance.observe.masking import conceal
from appliance.settings import Settings
from appliance.storage.backup.pruning import prune
from appliance.storage.backup.repository import Repository

if TYPE_CHECKING:
    from appliance.storage.archive.probe import Tried

__all__ = ["Repository", "passphrase", "prune", "repository_of", "store_of", "try_backups", "url_of"]

_LEAST_PASSPHRASE = 12  # characters: whoever has the repository may try as many as they like


def repository_of(
    settings: Settings, place: str | None = None, passphrase_file: Path | None = None, make_at: datetime | None = None
) -> Repository:
    """Return the repository at ``place``, or where the settings say. ``make_at``: it is made if there is none.

    Raises:
        ConfigError: no place is named, or it cannot be used so.
        NotFound: there is no repository.
        TransientError: it cannot be reached.
    """
    store, secret = store_of(settings, place), passphrase(passphrase_file or settings.backup.passphrase_file)
    return Repository.open(store, secret) if make_at is None else Repository.make(store, secret, make_at)


def store_of(settings: Settings, place: str | None = None) -> ArchiveStore:
    """Return the folder or bucket; nothing is asked of it yet. Raises ConfigError."""
    from appliance.storage.archive.opening import open_store

    return open_store(url_of(settings, place), access_to(settings.backup, "backup"))


def url_of(settings: Settings, place: str | None = None) -> str:
    """Return where backups are: ``place`` may be a path too. Raises ConfigError."""
    wanted = place or settings.backup.url
    if wanted is None:
        hint = "set backup.url, such as 'file:///mnt/backup' or 's3://bucket/prefix', or name it: --to or SOURCE"
        raise ConfigError([Problem("backup.url", "it is not said where backups are", hint=hint)])
    if "://" not in wanted:
        wanted = f"file://{Path(wanted).absolute()}"
    try:
        return parse_place(wanted).url
    except ValueError as error:
        raise ConfigError([Problem("backup.url", f"{wanted!r} is no place for backups: {error}")]) from error


def passphrase(path: Path | None) -> bytes | None:
    """Return the first line of a file; None: nothing is encrypted. Raises ConfigError."""
    if path is None:
        return None
    try:
        found = path.read_text("utf-8").split("\n", 1)[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        told = f"{str(path)!r} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}"
        raise ConfigError([Problem("backup.passphrase_file", told, hint="let this user read it")]) from error
    if len(found) < _LEAST_PASSPHRASE:
        told = f"the passphrase in {str(path)!r} has {len(found)} characters, expected {_LEAST_PASSPHRASE} or more"
        hint = "make one: openssl rand -base64 32 > FILE; and keep a copy where the backups are not"
        raise ConfigError([Problem("backup.passphrase_file", told, hint=hint)])
    conceal(found)
    return found.encode()


def try_backups(settings: Settings) -> "list[Tried]":
    """Store, read, list and delete a small object where backups go; nothing where they go nowhere."""
    if settings.backup.url is None:
        return []
    from appliance.storage.archive.probe import try_out

    return list(try_out(store_of(settings), "locks"))
