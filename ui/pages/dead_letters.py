"""Events that could not become rows: what they have in common, each of them, and what can be done about them."""

from datetime import datetime
from functools import partial
from typing import Final
from urllib.parse import urlencode

from nicegui.element import Element

from appliance.components.silver import DeadLetterQuery
from appliance.domain.access import Action, Principal
from appliance.services.letter_documents import LetterCause, LetterChoice
from appliance.services.paging import cursor_of, place_of
from appliance.services.views import DeadLetter, PipelineView
from ui.frame import Place
from ui.markup import icon, link_button, node, on, on_value
from ui.pages.records import show_event
from ui.screens import Screens
from ui.session import Visit
from ui.widgets.card import card
from ui.widgets.dialog import dialog
from ui.widgets.empty import notice
from ui.widgets.figures import event_number, moment
from ui.widgets.letter_actions import LetterActions
from ui.widgets.pipeline_frame import pipeline_frame

SHOWN: Final = 100


def register(screens: Screens) -> None:
    """Register ``/pipelines/{pipeline_id}/dead-letters``."""

    @screens.page("/pipelines/{pipeline_id}/dead-letters", Place("Dead letters", "pipelines", "dead-letters"))
    async def dead_letters(visit: Visit) -> None:
        view = await pipeline_frame(visit, "dead-letters")
        asked = visit.request.query_params
        choice = LetterChoice(reason=asked.get("reason"), field=asked.get("field"))
        causes = await visit.services.dead_letters.causes(visit.who, view.id, LetterChoice())
        before = asked.get("before")
        query = DeadLetterQuery(
            reason=choice.reason,
            field=choice.field,
            before=place_of(before, tuple[datetime, int]) if before else None,
            limit=SHOWN,
        )
        found = await visit.services.dead_letters.newest(visit.who, view.id, query)
        if not found:
            _nothing(view, choice)
            return
        with node("div", css="stack"):
            _causes(view, causes, choice)
            _letters(visit, view, (choice, _events(causes, choice)), found)


def _events(causes: list[LetterCause], choice: LetterChoice) -> int:
    """Return how many events the choice names, as far as causes are listed."""
    return sum(
        cause.events
        for cause in causes
        if choice.reason in (None, cause.reason) and (choice.field is None or choice.field == cause.field)
    )


def _nothing(view: PipelineView, choice: LetterChoice) -> None:
    with node("div", css="card"):
        if choice.reason:
            here = f"/pipelines/{view.id}/dead-letters"
            notice(
                "inbox", "None of this kind", f"No dead letter has the reason “{choice.reason}”.", ("Show all", here)
            )
        else:
            notice(
                "check",
                "No dead letters",
                "Every event was mapped. One that breaks a rule of the mapping would stand here with its reason.",
                ("Look at the mapping", f"/pipelines/{view.id}/mapping"),
            )


def _causes(view: PipelineView, causes: list[LetterCause], choice: LetterChoice) -> None:
    """Draw one row a cause; each leads to its dead letters alone."""
    with card("Causes", tight=True) as (head, _):
        if choice.reason:
            with head:
                told = " · ".join(filter(None, (choice.reason, choice.field)))
                here = f"/pipelines/{view.id}/dead-letters"
                link_button(told, here, "small", glyph="close", title="Show all causes")
        with node("div", css="table-wrap"), node("table", css="table cards"):
            with node("thead"), node("tr"):
                for label in ("Reason", "Field", "Events", "Oldest", "For example"):
                    node("th", label, "num" if label == "Events" else "", scope="col")
            with node("tbody"):
                for cause in causes:
                    _cause(view, cause, chosen=(cause.reason, cause.field) == (choice.reason, choice.field))


def _cause(view: PipelineView, cause: LetterCause, *, chosen: bool) -> None:
    asked = {"reason": cause.reason} | ({"field": cause.field} if cause.field else {})
    with node("tr", aria_selected="true" if chosen else None):
        with node("td", css="first"):
            node("a", cause.reason, "badge plain bad", href=f"/pipelines/{view.id}/dead-letters?{urlencode(asked)}")
        node("td", cause.field or "–", "mono", data_label="Field")
        node("td", f"{cause.events:,}", "num corner")
        with node("td", data_label="Oldest"):
            moment(cause.oldest)
        with node("td", css="full"):
            node("span", cause.example, "sub")


def _letters(visit: Visit, view: PipelineView, chosen: tuple[LetterChoice, int], found: list[DeadLetter]) -> None:
    choice, events = chosen
    with dialog("Event") as box:
        body = node("div", css="dialog-body")
    with card("Dead letters", tight=True) as (head, _):
        actions = None
        if visit.may(Action.PIPELINE_WRITE):
            with head:
                actions = LetterActions(visit, view.id, choice, events)
        _table(visit, view, found, (box, body), actions)
        if len(found) == SHOWN:
            _older(view, found[-1], choice)


def _table(
    visit: Visit,
    view: PipelineView,
    found: list[DeadLetter],
    place: tuple[Element, Element],
    actions: LetterActions | None,
) -> None:
    with node("div", css="table-wrap"), node("table", css="table hover cards"):
        with node("thead"), node("tr"):
            if actions is not None:
                node("th", "", scope="col", aria_label="Chosen")
            for label in ("Received", "Reason", "Field", "Value", "What is wrong", "Event"):
                node("th", label, "num" if label == "Event" else "", scope="col")
        with node("tbody"):
            for letter in found:
                _row(visit, view, letter, place, actions)


def _row(
    visit: Visit, view: PipelineView, letter: DeadLetter, place: tuple[Element, Element], actions: LetterActions | None
) -> None:
    async def open_event(who: Principal) -> None:
        await show_event(visit, who, view.id, letter.seq, place)

    opened = visit.act(open_event)
    with node("tr"):
        if actions is not None:
            with node("td", css="pick"):
                box = node("input", type="checkbox", aria_label=f"Choose event {event_number(letter.seq)}")
                on_value(box, partial(actions.choose, letter.seq), checked=True)
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
        with node("td", css="num", data_label="Event"):
            with node("button", css="btn ghost small", type="button", title="Show the event") as shown:
                node("span", event_number(letter.seq))
                icon("search")
            on(shown, "click", opened)


def _older(view: PipelineView, last: DeadLetter, choice: LetterChoice) -> None:
    kept = {"before": cursor_of([last.received_at, last.seq])} | {
        name: value for name, value in (("reason", choice.reason), ("field", choice.field)) if value
    }
    with node("div", css="row").style("justify-content:center;padding:10px"):
        link_button("Older dead letters", f"/pipelines/{view.id}/dead-letters?{urlencode(kept)}", "small")
