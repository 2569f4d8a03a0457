"""Whom to let in, kept beside the events for a start without the database, and looked up then."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import structlog
from msgspec import structs

from appliance.domain.database.access import Access
from appliance.domain.partition import Partition
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


class Doors:
    """Those of a node that has a database and keeps events: what of them is written down, and when."""

    def __init__(self, it: "Appliance", access: Access, partition: Partition) -> None:
        self._it, self._data_dir = it, it.settings.server.data_dir
        self._nothing = LastKnown(database=_named(access), partition=partition, pipelines=[], refined={})
        self._vault = Vault.open(self._data_dir, create=False)
        self._kept = last_known.recall(self._data_dir, self._vault, self._nothing.database)
        self._again_at = 0.0

    async def run(self) -> None:
        """Write down what has changed, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECS)

    async def look(self, *, last: bool = False) -> None:
        """Write it down if other pipelines run than were, or it is time to; ``last``: if anything has changed."""
        now, kept = self._seen(), self._kept
        changed = kept is None or now.pipelines != kept.pipelines
        if not changed and (now == kept or (not last and time.monotonic() < self._again_at)):
            return
        self._again_at = time.monotonic() + REFINED_SECS
        try:
            await self._it.engine.workers.run("control", last_known.keep, self._data_dir, self._vault, now)
            self._kept = now
        except OSError as error:
            log.warning("doors.not_kept", error=str(error))

    def _seen(self) -> LastKnown:
        """Return what runs; and what could not be started, as it was: the next start may be luckier."""
        runs, out_of_order = self._it.engine.runs(), self._it.engine.receiver.out_of_order()
        before = self._kept.pipelines if self._kept is not None else []
        return structs.replace(
            self._nothing,
            pipelines=[*(run.pipeline for run in runs), *(one for one in before if one.id in out_of_order)],
            refined={run.pipeline.id: run.refiner.progress.seq for run in runs},
        )


async def keep_doors(it: "Appliance", stack: AsyncExitStack) -> None:
    """Write down whom to let in until ``stack`` is closed, and once more then."""
    access, partition = access_of(it.settings), it.events.partition
    if access is None or partition is None:
        return
    doors = await asyncio.to_thread(Doors, it, access, partition)
    stack.push_async_callback(doors.look, last=True)
    stack.callback(asyncio.create_task(doors.run(), name="doors").cancel)


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


def _named(access: Access) -> str:
    return f"{access.dsn} {access.schema}"
