"""Taking a backup of a stopped appliance."""

import asyncio

from appliance.backups.keeper import taken_of
from appliance.backups.taking import Told, take
from appliance.compose import opened
from appliance.domain.backup import Backup, Kind
from appliance.settings import Settings
from appliance.storage.backup.repository import Repository


def take_offline(settings: Settings, repository: Repository, kind: Kind | None, told: Told) -> Backup:
    """Take a backup of a stopped appliance; the caller owns the data directory. Raises as ``take``."""

    async def run() -> Backup:
        async with opened(settings) as it:
            taken = taken_of(settings, it.plane, it.bronze, it.silvers, it.node_id)
            return await asyncio.to_thread(take, taken, repository, kind, told)

    return asyncio.run(run())
