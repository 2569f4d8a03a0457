"""One dashboard: the page is built once, then every widget is drawn in the browser from the feed."""

import json
from typing import Any

from nicegui import ui
from nicegui.element import Element

from appliance.domain.ids import DashboardId
from appliance.services.live_dashboards import RANGES
from appliance.services.views import DashboardView
from ui.brand import page_title
from ui.frame import Place
from ui.markup import node
from ui.screens import Screens
from ui.session import Visit
from ui.widgets.empty import notice
from ui.widgets.head import live_mark, page_head
from ui.widgets.point_dialog import PointDialog

SPANS = {"timeseries": 2, "stat": 1, "table": 2}


def register(screens: Screens) -> None:
    """Register ``/dashboards/{dashboard_id}``."""

    @screens.page("/dashboards/{dashboard_id}", Place("Dashboard", "dashboards", "gold"))
    async def dashboard(visit: Visit) -> None:
        board = await visit.services.dashboards.get(visit.who, DashboardId(visit.params["dashboard_id"]))
        page_title(visit.services.branding.now(), board.name)
        asked = visit.request.query_params.get("range")
        chosen = asked if asked in RANGES else None
        with page_head(board.name, crumb=("Dashboards", "/dashboards")) as actions:
            live_mark()
            with actions:
                _ranges(board, chosen)
        if not board.widgets:
            with node("div", css="card"):
                notice("gauge", "This dashboard is empty", "Give it widgets by the API: PUT /api/v1/dashboards/…")
            return
        behind = PointDialog(visit)
        with node("div", css="board"):
            for widget in board.widgets:
                drawn = _widget(board, widget, chosen)
                if widget["type"] == "timeseries":
                    behind.opens_from(drawn, _question(widget, chosen))


def _ranges(board: DashboardView, chosen: str | None) -> None:
    own = {str(widget.get("query", {}).get("range", "")) for widget in board.widgets if widget["type"] == "timeseries"}
    current = chosen or (own.pop() if len(own) == 1 else None)
    with node("div", css="segmented", role="group", aria_label="Time range"):
        for name in RANGES:
            href = f"/dashboards/{board.id}?range={name}"
            node("a", name, href=href, aria_current="true" if name == current else None)


def _question(widget: dict[str, Any], chosen: str | None) -> dict[str, Any]:
    """Return the query of ``widget`` as it is shown: over the range that was chosen for the page."""
    query = dict(widget.get("query", {}))
    return query | {"range": chosen, "bucket": _bucket(widget, chosen)} if chosen else query


def _widget(board: DashboardView, widget: dict[str, Any], chosen: str | None) -> Element:
    kind = str(widget["type"])
    topic = f"dashboard:{board.id}" + (f"@{chosen}" if chosen else "")
    span = int(widget.get("span") or SPANS.get(kind, 2))
    with node(
        "section", css=f"widget {kind}", aria_label=str(widget["title"]), data_live="widget", data_topic=topic,
        data_range=chosen,
        data_bucket=_bucket(widget, chosen), data_widget=json.dumps(widget),
    ).style(f"--span:{span}") as made:  # fmt: skip
        with node("div", css="widget-head"):
            node("h2", str(widget["title"]))
            node("span", "", "now", data_now="")
        with node("div", css="widget-body tight" if kind == "table" else "widget-body"):
            node("div", css="skeleton")
            match kind:
                case "timeseries":
                    node("div", css="legend", data_legend="")
                    ui.echart({}).props["role"] = "img"
                case "stat":
                    _stat()
                case _:
                    node("div", data_table="")
    return made


def _bucket(widget: dict[str, Any], chosen: str | None) -> str | None:
    bucket = widget.get("query", {}).get("bucket")
    return RANGES[chosen] if bucket and chosen else bucket


def _stat() -> None:
    with node("div", css="stat-body"):
        node("div", "", "stat-value", data_value="")
        with node("div", css="stat-foot"):
            node("span", "", data_delta="")
            node("svg", css="spark", data_spark="", aria_hidden="true")
