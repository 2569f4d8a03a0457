"""What a node has that is ``web``: no events, but eyes for what the ingestors do with theirs."""

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from appliance.components.bronze import BronzeLog
from appliance.engine.elsewhere import Elsewhere
from appliance.engine.onlooker import Onlooker
from appliance.errors import ConfigError, Problem
from appliance.services.live_dashboards import LiveDashboards
from appliance.settings import NodeRole, Settings
from appliance.storage.control.nodes import Nodes

if TYPE_CHECKING:
    from appliance.compose import Appliance


def elsewhere_of(settings: Settings, files: BronzeLog) -> Elsewhere | None:
    """Return what a node knows that keeps no events; None: it keeps them in ``files``, which are open.

    Raises:
        ConfigError: it shall keep none, and there are some: nobody would find them any more.
    """
    if settings.server.role is not NodeRole.WEB:
        return None
    if files.pipelines():
        told = f"{settings.server.data_dir} holds events, and a node that is 'web' keeps none: nobody would find them"
        hint = "start it as an ingestor, or give the web node a data directory of its own with secret.key alone"
        raise ConfigError([Problem("server.role", told, hint)])
    return Elsewhere()


def onlooker_of(it: "Appliance", dashboards: LiveDashboards) -> Onlooker | None:
    """Return who looks at the ingestors for this node; None: it runs pipelines itself."""
    if it.elsewhere is None:
        return None
    return Onlooker(it.engine, it.elsewhere, Nodes(it.plane), dashboards.committed)


async def start_looking(it: "Appliance", onlooker: Onlooker, stack: AsyncExitStack) -> None:
    """Look once, then keep looking until ``stack`` is closed."""
    await onlooker.look()
    stack.callback(asyncio.create_task(onlooker.run(), name="onlooker").cancel)
