"""Builds the archive of Bronze from its settings, and does what commands ask of it. Compose's hand for that.

Imports what it uses when it is asked: most appliances archive nothing.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from appliance.domain.ids import NodeId
from appliance.errors import ConfigError, Problem
from appliance.settings import Addressing, ObjectStorage, Settings

if TYPE_CHECKING:
    from appliance.components.archive import ArchiveState, Restored
    from appliance.storage.archive.opening import Access
    from appliance.storage.archive.probe import Tried
    from appliance.storage.bronze.archive.log_archive import Archiving, LogArchive

ARCHIVE_FILE = "archive.json"  # who this data directory is in the archive


def archiving(settings: Settings, name: str | None = None) -> "Archiving | None":
    """Return where Bronze is archived; None: nowhere. ``name``: the one to restore from, taken for this machine's own.

    Raises:
        ConfigError: it cannot be so with this data directory.
    """
    it = settings.archive
    if it.url is None:
        return None
    from appliance.storage.archive.opening import open_store
    from appliance.storage.bronze.archive.claim import identity
    from appliance.storage.bronze.archive.log_archive import Archiving
    from appliance.storage.control.identity import known_node

    who, node = identity(settings.server.data_dir / ARCHIVE_FILE, name or it.name), known_node(settings.server.data_dir)
    store = open_store(it.url, access_to(settings.archive))
    return Archiving(store=store, who=who, node=node, local_cache=it.local_cache, keep=it.keep)


def archive_state(settings: Settings) -> "ArchiveState":
    """Return what of a stopped appliance is archived; the caller owns the data directory. Raises ConfigError."""
    with _archived_log(settings) as archive:
        return archive.state()


def restore(settings: Settings, name: str | None, pipelines: Sequence[str]) -> "Iterator[Restored]":
    """Make the logs of ``pipelines`` (none: of all) again, and yield how far it is; the caller owns the data directory.

    Raises:
        ConfigError: there is no archive, or it is not known under which name.
        DashError: as ``Restoration.steps``.
    """
    if name is None and settings.archive.name is None and not (settings.server.data_dir / ARCHIVE_FILE).exists():
        hint = f"say --from NAME: the folder in {settings.archive.url} that holds its pipelines"
        raise ConfigError([Problem("--from", "it is not known under which name the lost machine archived", hint)])
    from appliance.storage.control.identity import become

    with _archived_log(settings, name) as archive:
        if (node := archive.node()) is not None:
            become(settings.server.data_dir, NodeId(node))
        here = settings.server.data_dir / "bronze"
        for one in pipelines or [one for one in archive.pipelines() if not (here / one).exists()]:
            yield from archive.restoration(one).steps()


def take_over(settings: Settings) -> str:
    """Archive under the name of this data directory, whoever did until now; return the place."""
    from appliance.storage.control.identity import node_id

    node_id(settings.server.data_dir)
    with _archived_log(settings) as archive:
        archive.take_over()
        return archive.place


def try_archive(settings: Settings) -> "Iterator[Tried]":
    """Store, read, list and delete a small object in the archive; nothing where there is none."""
    if settings.archive.url is not None:
        from appliance.storage.archive.opening import open_store
        from appliance.storage.archive.probe import try_out

        yield from try_out(
            open_store(settings.archive.url, access_to(settings.archive)), settings.archive.name or "doctor"
        )


@contextmanager
def _archived_log(settings: Settings, name: str | None = None) -> "Iterator[LogArchive]":
    """Give the archive of a stopped appliance's log; the caller owns the data directory. ``name``: see ``archiving``.

    Raises:
        ConfigError: there is no archive.
    """
    terms = archiving(settings, name)
    if terms is None:
        hint = "say where it is, such as archive.url = 's3://bucket/prefix'"
        raise ConfigError([Problem("archive.url", "there is no archive", hint=hint)])
    from appliance.storage.bronze import FileBronzeLog

    bronze = FileBronzeLog(settings.server.data_dir / "bronze", archive=terms)
    assert bronze.archive is not None  # noqa: S101 - it was given one
    bronze.open()
    try:
        yield bronze.archive
    finally:
        asyncio.run(bronze.close())


def access_to(it: ObjectStorage, section: str = "archive") -> "Access":
    """Return how the bucket of ``section`` of the settings is reached."""
    from appliance.storage.archive.opening import Access

    return Access(
        endpoint=it.endpoint, region=it.region, path_style=it.addressing is Addressing.PATH, access_key=it.access_key,
        secret_key=it.secret_key, credentials_file=it.credentials_file, ca_file=it.ca_file,
        section=section,
    )  # fmt: skip
