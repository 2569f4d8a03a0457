"""Events that could not become rows: why, which field, what stood there, and where the event lies."""

from functools import partial

from nicegui.element import Element

from appliance.components.silver import DeadLetterQuery
from appliance.domain.access import Principal
from appliance.services.views import DeadLetter, PipelineView
from ui.frame import Place
from ui.markup import link_button, node, on
from ui.pages.records import show_event
from ui.screens import Screens
from ui.session import Visit
from ui.widgets.card import card
from ui.widgets.dialog import dialog
from ui.widgets.empty import notice
from ui.widgets.figures import moment
from ui.widgets.pipeline_frame import pipeline_frame

SHOWN = 100


def register(screens: Screens) -> None:
    """Register ``/pipelines/{pipeline_id}/dead-letters``."""

    @screens.page("/pipelines/{pipeline_id}/dead-letters", Place("Dead letters", "pipelines"))
    async def dead_letters(visit: Visit) -> None:
        view = await pipeline_frame(visit, "dead-letters")
        asked = visit.request.query_params
        reason, before = asked.get("reason"), asked.get("before", "")
        query = DeadLetterQuery(reason=reason, before_seq=int(before) if before.isdecimal() else None, limit=SHOWN)
        found = await visit.services.dead_letters.newest(visit.who, view.id, query)
        if not found:
            _nothing(view, reason)
            return
        with dialog("Event") as box:
            body = node("div", css="dialog-body")
        with card("Dead letters", tight=True) as (head, _):
            with head:
                _reasons(view, found, reason)
            _table(visit, view, found, (box, body))
            if len(found) == SHOWN:
                _older(view, found[-1].seq, reason)


def _nothing(view: PipelineView, reason: str | None) -> None:
    with node("div", css="card"):
        if reason:
            here = f"/pipelines/{view.id}/dead-letters"
            notice("inbox", "None of this kind", f"No dead letter has the reason “{reason}”.", ("Show all", here))
        else:
            notice(
                "check",
                "No dead letters",
                "Every event was mapped. One that breaks a rule of the mapping would stand here with its reason.",
                ("Look at the mapping", f"/pipelines/{view.id}/mapping"),
            )


def _reasons(view: PipelineView, found: list[DeadLetter], chosen: str | None) -> None:
    here = f"/pipelines/{view.id}/dead-letters"
    with node("div", css="row"):
        if chosen:
            link_button(f"Reason: {chosen}", here, "small", glyph="close", title="Show all reasons")
            return
        for reason in sorted({letter.reason for letter in found}):
            node("a", reason, "badge plain", href=f"{here}?reason={reason}")


def _table(visit: Visit, view: PipelineView, found: list[DeadLetter], place: tuple[Element, Element]) -> None:
    async def open_event(who: Principal, seq: int) -> None:
        await show_event(visit, who, view.id, seq, place)

    with node("div", css="table-wrap"), node("table", css="table hover cards"):
        with node("thead"), node("tr"):
            for label in ("Received", "Reason", "Field", "Value", "What is wrong", "Event"):
                node("th", label, "num" if label == "Event" else "", scope="col")
        with node("tbody"):
            for letter in found:
                with node("tr", tabindex="0", title="Show the event") as row:
                    with node("td", css="first", data_label="Received"):
                        moment(letter.received_at, "clock")
                    with node("td", css="corner"):
                        node("span", letter.reason, "badge plain bad")
                    node("td", letter.field or "–", "mono", data_label="Field")
                    node("td", letter.value if letter.value is not None else "–", "mono cut", data_label="Value")
                    with node("td", css="full"), node("span"):
                        node("span", letter.message)
                        if len(letter.problems) > 1:
                            more = len(letter.problems) - 1
                            node("span", f"and {more} more problem{'' if more == 1 else 's'}", "sub")
                    node("td", f"{letter.seq:,}", "num", data_label="Event")
                opened = visit.act(partial(open_event, seq=letter.seq))
                on(row, "click", opened)
                on(row, "keydown.enter", opened)


def _older(view: PipelineView, seq: int, reason: str | None) -> None:
    kept = f"&reason={reason}" if reason else ""
    with node("div", css="row").style("justify-content:center;padding:10px"):
        link_button("Older dead letters", f"/pipelines/{view.id}/dead-letters?before={seq}{kept}", "small")
