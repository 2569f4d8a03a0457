"""All pipelines: how each is doing, and where its events went."""

from appliance.domain.access import Action
from appliance.services.views import PipelineView
from license.entitlements import Thing
from ui.frame import Place
from ui.markup import icon, link_button, node
from ui.pipeline_draft import SOURCES
from ui.screens import Screens
from ui.session import Visit
from ui.widgets.empty import notice
from ui.widgets.figures import last_event, short, state_badge
from ui.widgets.head import live_mark, page_head
from ui.widgets.ledger_bar import ledger_bar

MOST = 500
SOURCE_NAMES = {kind: label for kind, _, label, _ in SOURCES}


def register(screens: Screens) -> None:
    """Register ``/pipelines``."""

    @screens.page("/pipelines", Place("Pipelines", "pipelines", "sources"))
    async def pipelines(visit: Visit) -> None:
        found = await every_pipeline(visit)
        with page_head("Pipelines", "Where events come in, become rows and are kept."):
            if found:
                live_mark()
            if found and visit.may(Action.PIPELINE_WRITE):
                await full(visit)
                link_button("New pipeline", "/pipelines/new", "primary", glyph="plus")
        if found:
            _toolbar()
            _table(found)
        else:
            _nothing(visit)


async def full(visit: Visit) -> None:
    """Say, beside the button, why there may not be one more pipeline; nothing: there may."""
    refusal = await visit.services.licenses.refusal(visit.who, Thing.PIPELINES)
    if refusal is not None:
        node("p", f"{refusal}.", "beside-button")


async def every_pipeline(visit: Visit) -> list[PipelineView]:
    """Return the organisation's pipelines, at most ``MOST``."""
    page = await visit.services.pipelines.list(visit.who, limit=200)
    found = page.items
    while page.next_cursor and len(found) < MOST:
        page = await visit.services.pipelines.list(visit.who, page.next_cursor, 200)
        found = found + page.items
    return found


def _nothing(visit: Visit) -> None:
    with node("div", css="card"):
        if visit.may(Action.PIPELINE_WRITE):
            whence, steps = "a webhook or an API it polls", [("New pipeline", "/pipelines/new")]
            if visit.who.operates:
                whence = "a webhook, an API it polls or this very host"
                steps.append(("See this host's metrics", "/pipelines/new?source=host_metrics"))
            told = f"A pipeline takes events from {whence}, and turns them into rows you can chart."
            notice("flow", "Create your first pipeline", told, *steps)
        else:
            notice("flow", "No pipelines yet", "An editor or administrator of your organisation can create one.")


def _toolbar() -> None:
    with node("div", css="toolbar", data_live="filter", data_filter="#pipelines", data_filter_empty="#none-match"):
        with node("div", css="search"):
            icon("search")
            node(
                "input",
                css="input",
                type="search",
                placeholder="Filter by name or source",
                aria_label="Filter pipelines",
            )
        with node("div", css="segmented", role="group", aria_label="State"):
            for state, label in (("", "All"), ("running", "Running"), ("paused", "Paused"), ("failed", "Failed")):
                pressed = "true" if state == "" else "false"
                node("button", label, type="button", data_state_filter=state, aria_pressed=pressed)


def _table(found: list[PipelineView]) -> None:
    with node("section", css="card", aria_label="Pipelines"):
        with node("div", css="table-wrap"), node("table", css="table cards"):
            with node("thead"), node("tr"):
                for label, css in (
                    ("Name", ""), ("Source", ""), ("State", ""), ("Events / s", "num"), ("Lag", "num"),
                    ("Last event", ""), ("Ledger", ""),
                ):  # fmt: skip
                    node("th", label, css, scope="col")
            with node("tbody", id="pipelines"):
                for pipeline in found:
                    _row(pipeline)
        with node("div", id="none-match", hidden=True):
            notice("search", "No pipeline matches", "Change the filter to see the others.").classes("slim")


def _row(pipeline: PipelineView) -> None:
    live, kind = pipeline.live, str(pipeline.source.get("type"))
    source = SOURCE_NAMES.get(kind, kind)
    text = f"{pipeline.name} {source} {pipeline.description or ''}".lower()
    with node("tr", data_live="stats", data_topic="pipelines", data_id=pipeline.id, data_text=text):
        with node("td", css="first"), node("div"):
            node("a", pipeline.name, "name", href=f"/pipelines/{pipeline.id}")
            if pipeline.description:
                node("span", pipeline.description, "sub")
            node("span", live.last_error or "", "sub bad", data_slot="error", hidden=live.last_error is None)
        with node("td", data_label="Source"):
            node("span", source, "muted")
        with node("td", css="corner"):
            state_badge(pipeline.state)
        with node("td", css="num", data_label="Events / s"), node("div", css="rate-cell"):
            node("svg", css="spark", data_spark="", aria_hidden="true")
            node("span", short(live.rate_per_sec), data_slot="rate")
        node("td", short(live.lag_events), "num", data_slot="lag", data_label="Lag")
        with node("td", data_label="Last event"):
            last_event(live)
        with node("td", css="full"):
            ledger_bar(live.ledger)
