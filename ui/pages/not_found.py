"""What is shown at an address that does not exist."""

from collections.abc import Awaitable, Callable

from nicegui import ui
from starlette.requests import Request

from ui.brand import support
from ui.frame import Place, bare, frame
from ui.screens import Screens
from ui.widgets.empty import notice


def not_found(screens: Screens) -> Callable[[Request], Awaitable[None]]:
    """Return the builder of the page; NiceGUI calls it for every unknown address."""

    async def build(request: Request) -> None:
        ui.context.client.status_code = 404
        visit = await screens.visit(request)
        assets, services = screens.assets, screens.services
        with frame(visit, Place("Not found"), assets) if visit else bare(assets, "Not found", services):
            notice(
                "search",
                "There is no such page",
                f"Nothing lives at {request.url.path}. It may have been renamed or removed.",
                ("Go to the start page", "/"),
            )
            if visit:  # others read it below every page
                support(services.branding.now())

    return build
