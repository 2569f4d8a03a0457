"""What is shown at an address that does not exist."""

from collections.abc import Awaitable, Callable

from nicegui import ui
from starlette.requests import Request

from ui.frame import Place, bare, frame
from ui.screens import Screens
from ui.widgets.empty import notice


def not_found(screens: Screens) -> Callable[[Request], Awaitable[None]]:
    """Return the builder of the page; NiceGUI calls it for every unknown address."""

    async def build(request: Request) -> None:
        ui.context.client.status_code = 404
        visit = await screens.visit(request)
        with frame(visit, Place("Not found"), screens.assets) if visit else bare(screens.assets, "Not found"):
            notice(
                "search",
                "There is no such page",
                f"Nothing lives at {request.url.path}. It may have been renamed or removed.",
                ("Go to the start page", "/"),
            )

    return build
