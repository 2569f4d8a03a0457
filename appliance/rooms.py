"""The rooms on a node's port, by its role; those that it does not have say where to go."""

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, NamedTuple

from appliance import __version__, handbook
from appliance.api.app import build_api
from appliance.api.closed import NoIngest, NoScreens
from appliance.api.feed import Feed
from appliance.api.handbook import Handbook
from appliance.api.ingest import Bounds, Ingest
from appliance.life import Life
from appliance.observe.metrics import Metrics
from appliance.server import App, Dispatcher, Goodbyes
from appliance.services.live_dashboards import LiveDashboards
from appliance.settings import NodeRole
from appliance.settings.sections import Server
from appliance.vitals import Vitals

if TYPE_CHECKING:
    from appliance.compose import Appliance


SCREENS: Final = "screens"  # what they may write to, in the data directory


class Shown(NamedTuple):
    """What rooms show beside the services."""

    metrics: Metrics
    dashboards: LiveDashboards
    vitals: Vitals


def import_rooms(server: Server) -> None:
    """Import what screens are made of, which takes seconds: in a thread, where events are received meanwhile."""
    if server.role is not NodeRole.INGESTOR:
        from ui.mount import import_screens

        import_screens(server.data_dir / SCREENS)


async def open_rooms(it: "Appliance", stack: AsyncExitStack, life: Life, shown: Shown) -> Dispatcher:
    """Build all rooms, their lifespans entered."""
    metrics, dashboards, vitals = shown
    api = build_api(it.services, health=vitals, metrics=metrics.render, hub=it.engine.hub, stopping=life.stopping)
    await stack.enter_async_context(api.lifespan())
    return Dispatcher(
        ingest=NoIngest() if it.elsewhere is not None else _ingest(it, metrics),
        feed=Goodbyes(Feed(it.engine, it.services, dashboards, life.stopping)),
        api=api,
        screens=await _screens(it, stack),
        handbook=Handbook(handbook.find, it.services.branding.now),
        internal=it.events.room,
    )


def _ingest(it: "Appliance", metrics: Metrics) -> App:
    ingest = it.settings.ingest
    room = Ingest(it.engine.receiver, Bounds(ingest.max_body, ingest.max_inflight_bytes), metrics.request)
    it.services.resources.bodies = room.under_way
    return room


async def _screens(it: "Appliance", stack: AsyncExitStack) -> App:
    server = it.settings.server
    if server.role is NodeRole.INGESTOR:
        return NoScreens(server.base_url or "")
    from ui.mount import build_ui

    scratch = server.data_dir / SCREENS
    screens = build_ui(it.services, storage_path=scratch, data_dir=server.data_dir, version=__version__)
    await stack.enter_async_context(screens.router.lifespan_context(screens))
    return Goodbyes(screens)
