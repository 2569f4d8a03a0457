"""How one pipeline's rows are kept: their chunks and columns, by what rules, and for how long."""

from appliance.components.chunks import Chunk
from appliance.domain.access import Action
from appliance.services.chunks import ChunksView
from appliance.services.views import PipelineView
from ui.frame import Place
from ui.markup import icon, link_button, node
from ui.screens import Screens
from ui.session import Visit
from ui.widgets.card import card
from ui.widgets.chunks_form import ChunksForm
from ui.widgets.empty import notice
from ui.widgets.figures import moment, size
from ui.widgets.pipeline_frame import pipeline_frame

_SHOWN = 12


def register(screens: Screens) -> None:
    """Register ``/pipelines/{pipeline_id}/storage``."""

    @screens.page("/pipelines/{pipeline_id}/storage", Place("Storage", "pipelines", "storage"))
    async def pipeline_storage(visit: Visit) -> None:
        view = await pipeline_frame(visit, "storage")
        chunks = await visit.services.chunks.get(visit.who, view.id)
        with node("div", css="stack"):
            if chunks.missing is not None:
                with card("Chunks and columns"):
                    notice("disk", "Rows are not cut into chunks", chunks.missing).classes("slim")
            else:
                _figures(chunks)
            for note in chunks.notes:
                with node("div", css="callout"):
                    icon("alert")
                    node("p", note, "grow")
            with node("div", css="split"):
                if chunks.missing is None:
                    ChunksForm(visit, view, chunks).draw()
                _retention(visit, view, chunks)
            if chunks.newest:
                _newest(chunks)


def _figures(chunks: ChunksView) -> None:
    with node("dl", css="stats"):
        with node("div"):
            node("dt", "Chunks")
            with node("dd"):
                node("span", f"{chunks.count:,}")
                node("small", f" new ones of {chunks.width}" if chunks.width else "")
        with node("div"):
            node("dt", "In columns")
            with node("dd"):
                node("span", f"{chunks.columnar:,}")
                node("small", "" if chunks.share_left is None else f" {chunks.share_left:.0%} of their size is left")
        with node("div"):
            node("dt", "On disk")
            with node("dd"):
                node("span", size(chunks.bytes))
                node("small", f" TimescaleDB {chunks.version}")
        with node("div"):
            node("dt", "Due for columns")
            with node("dd"):
                node("span", f"{chunks.due:,}")
                node("small", " in the next rounds")


def _retention(visit: Visit, view: PipelineView, chunks: ChunksView) -> None:
    with card("How long rows are kept") as (head, _):
        with head:
            link_button("Settings", f"/pipelines/{view.id}/settings", "small ghost", glyph="sliders")
        with node("div", css="stack tight"):
            node("p", "For ever" if chunks.kept == "forever" else f"Rows go at the age of {chunks.kept}", "strong")
            own = "as this pipeline's document says (retention.silver)"
            node("p", own if view.retention.silver else "as the organisation says, on the page Storage", "sub")
            if chunks.next_round is not None:
                with node("p", css="sub"):
                    node("span", "Next round of retention: ")
                    moment(chunks.next_round, "date")
            if chunks.missing is None:
                node("p", "A chunk that is too old as a whole is dropped; what is left over goes row by row.", "muted")
            if visit.may(Action.STORAGE_MANAGE):
                with node("p"):
                    node("a", "What the organisation keeps, and all that is stored", href="/storage")


def _newest(chunks: ChunksView) -> None:
    with card("Newest chunks", tight=True) as (head, _):
        with head:
            node("span", f"{min(_SHOWN, chunks.count):,} of {chunks.count:,}", "sub")
        with node("div", css="table-wrap"), node("table", css="table cards"):
            with node("thead"), node("tr"):
                for label in ("From", "Until", "On disk", "As rows", ""):
                    numbers = label in ("On disk", "As rows")
                    node("th", label, "num" if numbers else "", scope="col", aria_label=label or "State")
            with node("tbody"):
                for one in chunks.newest[:_SHOWN]:
                    _chunk(one)


def _chunk(one: Chunk) -> None:
    with node("tr"):
        node("td", f"{one.start:%Y-%m-%d %H:%M} UTC", "first")
        node("td", f"{one.end:%Y-%m-%d %H:%M} UTC", data_label="Until")
        node("td", size(one.bytes), "num", data_label="On disk")
        node("td", size(one.as_rows_bytes) if one.columnar else "–", "num", data_label="As rows")
        with node("td", css="full"):
            node("span", "columns" if one.columnar else "rows", f"badge plain {'ok' if one.columnar else ''}".strip())
            if one.grown:
                node("span", "changed since", "badge plain accent")
