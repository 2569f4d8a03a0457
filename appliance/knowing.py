"""Whom to let in, kept beside the events for a start without the database, and looked up then."""

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog
from msgspec import structs

from appliance.domain.database.access import Access
from appliance.errors import ConfigError
from appliance.placing import access_of
from appliance.settings import NodeRole, Settings
from appliance.storage.control import last_known
from appliance.storage.control.last_known import LastKnown
from appliance.storage.control.vault import Vault

if TYPE_CHECKING:
    from appliance.compose import Appliance

LOOK_SECS: Final = 1.0  # how long after a change of a pipeline it is written down, at most
REFINED_SECS: Final = 60.0  # how old it is how far they are refined, at most

log = structlog.get_logger("appliance")


async def keep_known(it: "Appliance") -> None:
    """Write down whom to let in, whenever that has changed, until cancelled."""
    access = access_of(it.settings)
    if access is None or it.events.partition is None:
        return
    data_dir, named, partition = it.settings.server.data_dir, _named(access), it.events.partition
    vault = await asyncio.to_thread(Vault.open, data_dir, create=False)
    kept = await asyncio.to_thread(last_known.recall, data_dir, vault, named)
    again_at = 0.0
    while True:
        now = _seen(it, LastKnown(database=named, partition=partition, pipelines=[], refined={}), kept)
        changed = kept is None or now.pipelines != kept.pipelines
        if changed or (now != kept and time.monotonic() >= again_at):
            try:
                await it.engine.workers.run("control", last_known.keep, data_dir, vault, now)
                kept, again_at = now, time.monotonic() + REFINED_SECS
            except OSError as error:
                log.warning("doors.not_kept", error=str(error))
                again_at = time.monotonic() + REFINED_SECS
        await asyncio.sleep(LOOK_SECS)


def known_of(settings: Settings) -> LastKnown | None:
    """Return by what a node may receive before its database answers; None: by nothing. Blocking."""
    access = access_of(settings)
    if access is None or settings.server.role is NodeRole.WEB:
        return None
    try:
        vault = Vault.open(settings.server.data_dir, create=False)
    except ConfigError:
        return None  # told when the database answers: by then it may be the reason not to start
    return last_known.recall(settings.server.data_dir, vault, _named(access))


def _seen(it: "Appliance", nothing: LastKnown, before: LastKnown | None) -> LastKnown:
    """Return what runs; and what could not be started, as it was: the next start may be luckier."""
    runs, out_of_order = it.engine.runs(), it.engine.receiver.out_of_order()
    left = [one for one in before.pipelines if one.id in out_of_order] if before is not None else []
    return structs.replace(
        nothing,
        pipelines=[*(run.pipeline for run in runs), *left],
        refined={run.pipeline.id: run.refiner.progress.seq for run in runs},
    )


def _named(access: Access) -> str:
    return f"{access.dsn} {access.schema}"
