"""Records of a pipeline: live, or of a time range; the raw event behind each; exports."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from nicegui.element import Element
from nicegui.events import GenericEventArguments

from appliance.domain.access import Principal
from appliance.domain.ids import PipelineId
from appliance.domain.partition import understood
from appliance.errors import NotFound
from appliance.services.views import PipelineView
from ui.documents import indented
from ui.frame import Place
from ui.markup import icon, node
from ui.screens import Screens
from ui.session import Visit
from ui.widgets.card import card
from ui.widgets.dialog import dialog, show
from ui.widgets.lineage import draw_lineage
from ui.widgets.pipeline_frame import pipeline_frame

RANGES = {"15m": timedelta(minutes=15), "1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7)}
FORMATS = (
    ("CSV", "csv", "csv"),
    ("NDJSON", "ndjson", "ndjson"),
    ("Parquet", "parquet", "parquet"),
    ("Arrow", "arrow", "arrows"),
)


def register(screens: Screens) -> None:
    """Register ``/pipelines/{pipeline_id}/records``."""

    @screens.page("/pipelines/{pipeline_id}/records", Place("Records", "pipelines", "api#rows"))
    async def records(visit: Visit) -> None:
        view = await pipeline_frame(visit, "records")
        chosen = visit.request.query_params.get("range", "live")
        with dialog("Event") as box:
            body = node("div", css="dialog-body")
        start = datetime.now(UTC) - RANGES[chosen] if chosen in RANGES else None
        with card("Records", tight=True) as (head, _):
            with head, node("div", css="row"):
                _finder(visit, view, (box, body))
                _ranges(view, chosen)
                _exports(view, start)
            holder = _range(view, start) if start else _live(view)
            opens_events(visit, view.id, holder, box, body)


def _finder(visit: Visit, view: PipelineView, place: tuple[Element, Element]) -> None:
    """Draw a field that shows the event whose number is typed into it."""
    field = node("input", css="input", type="search", placeholder="Event number", aria_label="Event number")
    field.style("width:9rem")

    def entered(event: GenericEventArguments) -> object:
        text = str(event.args)

        async def open_event(who: Principal) -> None:
            try:
                seq = understood(text)
            except ValueError as error:
                raise NotFound(str(error)) from error
            await show_event(visit, who, view.id, seq, place)

        return visit.act(open_event)(event)

    field.on("keydown.enter", entered, js_handler="(e) => emit(e.target.value)")


def _ranges(view: PipelineView, chosen: str) -> None:
    with node("div", css="segmented", role="group", aria_label="Time range"):
        for name in ("live", *RANGES):
            href = f"/pipelines/{view.id}/records" + ("" if name == "live" else f"?range={name}")
            current = name == chosen or (name == "live" and chosen not in RANGES)
            node("a", name.capitalize(), href=href, aria_current="true" if current else None)


def _exports(view: PipelineView, start: datetime | None) -> None:
    """Draw links to the API: the whole range as a file, streamed."""
    query = {"from": start.isoformat()} if start else {}
    with node("details", css="menu"):
        with node("summary", css="btn small"):
            icon("download")
            node("span", "Export")
        with node("div", css="menu-list"):
            for label, name, ending in FORMATS:
                href = f"/api/v1/pipelines/{view.id}/records?{urlencode({**query, 'format': name})}"
                with node("a", href=href, download=f"{view.name}.{ending}"):
                    node("span", label)
                    node("span", f".{ending}", "faint")


def _live(view: PipelineView) -> Element:
    empty = "They appear here the moment the first event is mapped. The overview has a command that sends one."
    with node("div", data_live="rows", data_topic=f"pipeline:{view.id}", data_empty=empty) as holder:
        _loading()
    return holder


def _range(view: PipelineView, start: datetime) -> Element:
    with node("div", data_live="records", data_id=view.id, data_from=start.isoformat()) as holder:
        with node("div", data_list=""):
            _loading()
        with node("div", data_more="", hidden=True, css="row").style("justify-content:center;padding:10px"):
            node("button", "Show older records", "btn small", type="button")
    return holder


def _loading() -> None:
    for _ in range(8):
        node("div", css="skeleton").style("height:16px;margin:13px 16px")


def opens_events(visit: Visit, pipeline_id: PipelineId, holder: Element, box: Element, body: Element) -> None:
    """Show the raw event in the dialog ``box`` when ``holder`` says ``row`` with a sequence number."""

    def chosen(event: GenericEventArguments) -> object:
        seq = int(event.args)

        async def open_event(who: Principal) -> None:
            await show_event(visit, who, pipeline_id, seq, (box, body))

        return visit.act(open_event)(event)

    holder.on("row", chosen, js_handler="(e) => emit(e.detail)")


async def show_event(
    visit: Visit, who: Principal, pipeline_id: PipelineId, seq: int, place: tuple[Element, Element]
) -> None:
    """Fill and open the dialog ``place`` (box, body) with the whole way of one event. Raises NotFound."""
    lineage = await visit.services.lineages.of(who, pipeline_id, seq)
    box, body = place
    body.clear()
    with body:
        draw_lineage(lineage)
    show(box)


def readable(payload: bytes, most: int = 20_000) -> str:
    """Return the payload indented where it is JSON of a sensible size, else as it is."""
    if len(payload) > most:
        return f"{payload.decode('utf-8', 'replace')[:most]}\n… {len(payload):,} bytes in all"
    return indented(payload)
