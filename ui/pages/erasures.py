"""Erasing somebody's events: what to look for, a dry run that counts, and every erasure with how far it is."""

import json
from functools import partial
from typing import Any, Final

from nicegui import ui
from nicegui.element import Element

from appliance.domain.access import Action, Principal, require
from appliance.domain.erasure import ErasureState
from appliance.errors import DashError, Invalid, Problem
from appliance.services.erasure_documents import ErasureView
from appliance.services.views import PipelineView
from ui.frame import Place
from ui.markup import button, icon, node, on, on_value
from ui.screens import Screens
from ui.session import Visit
from ui.toast import toast
from ui.widgets.card import card
from ui.widgets.dialog import close, dialog, show
from ui.widgets.empty import notice
from ui.widgets.figures import moment
from ui.widgets.form import Field, select_field, text_field
from ui.widgets.head import page_head
from ui.widgets.problem_list import problem_list

SHOWN: Final = 50
LOOK_SECS: Final = 3.0


def register(screens: Screens) -> None:
    """Register ``/erasures``."""

    @screens.page("/erasures", Place("Erasures", "storage", "storage#erasing-somebodys-events"))
    async def erasures(visit: Visit) -> None:
        require(visit.who, Action.DATA_ERASE)
        pipelines = (await visit.services.pipelines.list(visit.who, limit=500)).items
        lead = "Events of one person or thing, removed for good: from Bronze and from everything made of them"
        with page_head("Erasures", lead, ("Storage", "/storage")):
            pass
        with node("div", css="split"):
            board = Board(visit, {one.id: one.name for one in pipelines})
            await board.draw()
            ErasureForm(visit, pipelines, board).draw()
        ui.timer(LOOK_SECS, board.look)


class Board:
    """The list, drawn anew when something in it changed."""

    def __init__(self, visit: Visit, names: dict[str, str]) -> None:
        self._visit, self._names = visit, names
        self._place = node("div")
        self._drawn: list[ErasureView] = []

    async def draw(self) -> None:
        """Draw the list as it is now."""
        self._drawn = (await self._visit.services.erasures.list(self._visit.who, limit=SHOWN)).items
        self._place.clear()
        with self._place:
            _list(self._drawn, self._names)

    async def look(self) -> None:
        """Show what has changed since."""
        try:
            await self._visit.principal()
            found = (await self._visit.services.erasures.list(self._visit.who, limit=SHOWN)).items
        except DashError:
            return
        if found != self._drawn:
            await self.draw()


class ErasureForm:
    """Says whose events; they are counted first, and erased only when that was asked for and said once more."""

    def __init__(self, visit: Visit, pipelines: list[PipelineView], board: Board) -> None:
        self._visit, self._pipelines, self._board = visit, pipelines, board
        first = pipelines[0].id if pipelines else ""
        self._values = {"pipeline": first, "path": "", "value": "", "reason": ""}
        self._fields: dict[str, Field] = {}

    def draw(self) -> None:
        """Draw the form."""
        with card("Whose events"), node("div", css="form"):
            if not self._pipelines:
                notice("flow", "No pipelines", "There is nothing to erase yet.", ("New", "/pipelines/new"))
                return
            node("p", "Pipelines that read the one you name follow by themselves.", "muted")
            options = [(one.id, one.name) for one in self._pipelines]
            chosen = select_field("pipeline", "Pipeline", options, value=self._values["pipeline"])
            path = text_field("path", "Where the event has", placeholder="$.user.email", spellcheck="false")
            value = text_field("value", "the value", placeholder="ada@example.org", autocomplete="off")
            reason = text_field("reason", "Reason", placeholder="request 4711", hint="The audit trail keeps it.")
            self._fields = {"pipeline": chosen, "path": path, "value": value, "reason": reason}
            for name, field in self._fields.items():
                on_value(field.control, partial(self._values.__setitem__, name))
            self._told = node("div")
            with node("div", css="callout warn"):
                icon("alert")
                node("span", "What is erased cannot be brought back. Count first.", "grow")
            with node("div", css="form-foot"):
                count = button("Count", "primary")
                erase = button("Erase", "danger")
            on(count, "click", self._visit.act(partial(self._ask, dry_run=True), busy=count))
            on(erase, "click", self._visit.act(self._sure, busy=erase))
        self._confirm()

    def _confirm(self) -> None:
        with dialog("Erase for good") as self._box:
            with node("div", css="dialog-body"):
                self._whose = node("div")
                node("p", "It cannot be brought back: neither the events nor what was made of them.", "muted")
            with node("div", css="dialog-foot"):
                button("Cancel", data_close="")
                sure = button("Erase for good", "danger")
        on(sure, "click", self._visit.act(partial(self._ask, dry_run=False), busy=sure))

    def _is_filled(self) -> bool:
        """Return whether everything was said; what was not is marked."""
        lacking = [name for name, said in self._values.items() if not said.strip()]
        for name, field in self._fields.items():
            field.complain("Please fill this in." if name in lacking else "")
        return not lacking

    async def _sure(self, _: Principal) -> None:
        if not self._is_filled():
            return
        given = self._values
        name = next((one.name for one in self._pipelines if one.id == given["pipeline"]), "")
        self._whose.clear()
        with self._whose:
            node("p", f"Events of {name} where {given['path'] or '–'} is {given['value'] or '–'}.")
        show(self._box)

    async def _ask(self, who: Principal, *, dry_run: bool) -> None:
        if not self._is_filled():
            return
        given = self._values
        document = {
            "pipelines": [given["pipeline"]],
            "payload": [{"path": given["path"].strip(), "value": _value(given["value"])}],
            "reason": given["reason"].strip(),
            "dry_run": dry_run,
        }
        if not dry_run:
            close(self._box)
        try:
            await self._visit.services.erasures.request(who, document)
        except Invalid as error:
            self._complain(error.problems)
            return
        self._complain(())
        await self._board.draw()
        toast(self._visit.client, "Counting: the list says how far it is" if dry_run else "Erasing has begun")

    def _complain(self, problems: tuple[Problem, ...]) -> None:
        rest = []
        for problem in problems:
            field = self._fields.get(problem.pointer.rpartition("/")[2])
            if field is None:
                rest.append(problem)
            else:
                field.complain(problem.message)
        self._told.clear()
        with self._told:
            problem_list(rest)


def _value(text: str) -> Any:
    """Return a number, true or false where that is what was typed, else the text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float | bool) else text


def _list(found: list[ErasureView], names: dict[str, str]) -> None:
    with card("Erasures", tight=True):
        if not found:
            notice("check", "None yet", "What was asked for stands here, with how far it is.").classes("slim")
            return
        with node("div", css="table-wrap"), node("table", css="table cards"):
            with node("thead"), node("tr"):
                for label in ("Asked", "State", "Reason", "Events", "Rows"):
                    node("th", label, "num" if label in ("Events", "Rows") else "", scope="col")
            with node("tbody"):
                for one in found:
                    _row(one, names)


def _row(one: ErasureView, names: dict[str, str]) -> Element:
    with node("tr") as made:
        with node("td", css="first"):
            moment(one.created_at)
            node("span", one.created_by, "sub")
        with node("td", css="corner"):
            state = "counted" if one.state is ErasureState.FOUND else one.state.value
            node("span", state, f"badge plain {'ok' if one.state is ErasureState.DONE else 'accent'}")
        with node("td", css="full"):
            node("span", one.reason)
            where = ", ".join(names.get(each.pipeline_id, each.pipeline_id) for each in one.pipelines)
            if where:
                node("span", f"in {where}", "sub")
            waits = [f"waits for {each.name}, which has its part to do: {each.told}" for each in one.waits_for]
            for told in (*waits, *one.notes, *([one.error] if one.error else [])):
                node("span", told, "sub")
        if one.searched_events < one.total_events:
            node("td", f"{one.searched_events:,} of {one.total_events:,} searched", "num", data_label="Events")
        else:
            node("td", f"{sum(each.events for each in one.pipelines):,}", "num", data_label="Events")
        node("td", f"{sum(each.rows for each in one.pipelines):,}", "num", data_label="Rows")
    return made
