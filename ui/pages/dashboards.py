"""All dashboards, and the way in: the start page leads to the first one."""

from nicegui import ui
from starlette.requests import Request
from starlette.responses import RedirectResponse

from ui.frame import Place
from ui.markup import node
from ui.screens import Screens
from ui.session import Visit
from ui.widgets.empty import notice
from ui.widgets.figures import moment
from ui.widgets.head import page_head


def register(screens: Screens) -> None:
    """Register ``/`` and ``/dashboards``."""

    @ui.page("/")
    async def start(request: Request) -> RedirectResponse:
        return RedirectResponse("/dashboards", 303)

    @screens.page("/dashboards", Place("Dashboards", "dashboards", "gold"))
    async def dashboards(visit: Visit) -> None:
        page = await visit.services.dashboards.list(visit.who, limit=200)
        with page_head("Dashboards", "Live charts over your pipelines."):
            pass
        if not page.items:
            with node("div", css="card"):
                notice(
                    "gauge",
                    "No dashboards yet",
                    "A dashboard is a JSON document of charts, numbers and tables. The API creates it: "
                    "POST /api/v1/dashboards.",
                    ("Go to pipelines", "/pipelines"),
                )
            return
        with node("div", css="boards"):
            for board in page.items:
                with node("a", css="board-card", href=f"/dashboards/{board.id}"):
                    node("b", board.name)
                    count = len(board.widgets)
                    node("span", f"{count} widget{'' if count == 1 else 's'}", "muted")
                    with node("span", css="small faint"):
                        node("span", "changed ")
                        moment(board.updated_at)
