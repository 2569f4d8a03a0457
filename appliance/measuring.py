"""What this process uses at the moment: read from what is counted anyway, so that asking costs next to nothing."""

import resource
from typing import TYPE_CHECKING

import psutil

from appliance.domain.memory import mapper_share
from appliance.domain.usage import Memory, Queue, Share, Usage
from appliance.observe.machine import memory_bytes
from appliance.settings import Settings
from appliance.settings.declared import declared
from appliance.silvers import files, memory_of

if TYPE_CHECKING:
    from appliance.compose import Appliance


def usage(it: "Appliance") -> Usage:
    """Return it; blocking for less than a millisecond or two."""
    process = psutil.Process()
    with process.oneshot():
        resident, open_files = process.memory_info().rss, process.num_fds()
    control = it.plane.connected()
    return Usage(
        memory=Memory(resident_bytes=resident, most_bytes=memory_bytes(), shares=_shares(it)),
        open_files=open_files,
        most_open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        pools=it.engine.workers.pools(),
        queues=_queues(it),
        connections=[*([control] if control is not None else []), *it.silvers.connected()],
    )


def _shares(it: "Appliance") -> list[Share]:
    found = [Share("mapping, all pipelines together", mapper_share(memory_bytes()))]
    if it.settings.database.url is None:
        count = max(1, len(files(it.settings)))
        found.append(Share(f"rows, {count} file{'s' if count > 1 else ''}", count * memory_of(it.settings)))
    return found


def _queues(it: "Appliance") -> list[Queue]:
    crowd, hub = it.engine.crowd, it.engine.hub
    return [
        Queue("Pipelines that refine", crowd.busy, None, "pipelines"),
        Queue("Replays that rebuild", crowd.rebuilding, None, "replays"),
        Queue("Live subscriptions", sum(map(len, hub.listeners.values())), None, "subscriptions"),
    ]


def shown(settings: Settings) -> dict[str, str]:
    """Return the settings in force as people may see them, with what follows from this machine."""
    found = {one.key: one.show(getattr(getattr(settings, one.section), one.name)) for one in declared()}
    if settings.silver.memory_limit is None:
        found["silver.memory_limit"] += f" ({memory_of(settings) >> 20} MiB)"
    return found
