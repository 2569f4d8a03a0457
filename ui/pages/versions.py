"""Versions of a pipeline: who changed what and when, what differs, the way back; and history rebuilt by one of them."""

import json
from functools import partial

from nicegui.element import Element

from appliance.domain.access import Action, Principal
from appliance.domain.differences import Change
from appliance.services.views import PipelineView, VersionDiff, VersionView
from ui.frame import Place
from ui.markup import button, node, on
from ui.screens import Screens
from ui.session import Visit
from ui.toast import go
from ui.widgets.card import card
from ui.widgets.dialog import dialog, show
from ui.widgets.figures import moment
from ui.widgets.pipeline_frame import pipeline_frame
from ui.widgets.replay_panel import ReplayPanel


def register(screens: Screens) -> None:
    """Register ``/pipelines/{pipeline_id}/versions``."""

    @screens.page("/pipelines/{pipeline_id}/versions", Place("Versions", "pipelines", "versions"))
    async def versions(visit: Visit) -> None:
        view = await pipeline_frame(visit, "versions")
        found = await visit.services.versions.all(visit.who, view.id)
        with node("div", css="stack"):
            replays = ReplayPanel(visit, view)
            await replays.begin()
            VersionList(visit, view, found, replays).draw()


class VersionList:
    """One row a version, newest first; each says in words what it changed."""

    def __init__(self, visit: Visit, view: PipelineView, found: list[VersionView], replays: ReplayPanel) -> None:
        self._visit, self._view, self._found, self._replays = visit, view, found, replays
        self._editable = visit.may(Action.PIPELINE_WRITE)

    def draw(self) -> None:
        """Draw the list and the dialog that compares."""
        with dialog("What differs") as self._box:
            self._body = node("div", css="dialog-body")
        with card("Versions", tight=True) as (head, _):
            with head:
                node("span", "every change, kept for ever", "sub")
            with node("div", css="table-wrap"), node("table", css="table cards"):
                with node("thead"), node("tr"):
                    for label in ("Version", "Saved", "By", "Note", ""):
                        node("th", label, scope="col", aria_label=label or "Actions")
                with node("tbody"):
                    for one in self._found:
                        self._row(one)

    def _row(self, one: VersionView) -> None:
        with node("tr", id=f"v{one.version}"):
            with node("td", css="first"), node("div", css="row"):
                node("span", f"{one.version}", "name")
                if one.running:
                    node("span", "running", "badge plain ok")
                elif one.candidate:
                    node("span", "candidate", "badge plain accent")
            with node("td", data_label="Saved"):
                moment(one.created_at, "date")
            node("td", one.author, data_label="By")
            with node("td", css="full"):
                node("span", one.note or "–", "" if one.note else "faint")
            with node("td", css="full"), node("div", css="row").style("justify-content:flex-end"):
                self._actions(one)

    def _actions(self, one: VersionView) -> None:
        earlier = next((older.version for older in self._found if older.version < one.version), None)
        if earlier is not None:
            made = button("What changed", "small ghost")
            on(made, "click", self._visit.act(partial(self._compare, earlier, one.version), busy=made))
        if not self._editable:
            return
        if not one.running:
            made = button("Run from now on", "small ghost", title="Save it as a new version that runs; history stays")
            on(made, "click", self._visit.act(partial(self._restore, one), busy=made))
        made = button("Rebuild history…", "small", glyph="refresh")
        on(made, "click", self._visit.act(partial(self._replays.propose, one.version), busy=made))

    async def _compare(self, before: int, after: int, who: Principal) -> None:
        diff = await self._visit.services.versions.diff(who, self._view.id, before, after)
        self._body.clear()
        with self._body:
            draw_diff(diff)
        show(self._box)

    async def _restore(self, one: VersionView, who: Principal) -> None:
        saved = await self._visit.services.versions.restore(who, self._view.id, one.version)
        go(self._visit.client, None, f"Version {saved.version} is running: it is version {one.version} again")


def draw_diff(diff: VersionDiff) -> None:
    """Draw what differs: in words, then place by place with before and after."""
    node("p", f"From version {diff.before} to version {diff.after}", "strong")
    if not diff.changes:
        node("p", "The documents are the same; perhaps a secret was replaced, which is not compared.", "muted")
        return
    with node("ul", css="words"):
        for sentence in diff.words:
            node("li", sentence)
    with node("div", css="diff"):
        for change in diff.changes:
            _change(change)


def _change(change: Change) -> Element:
    with node("div", css="change", data_op=change.op) as made:
        node("code", change.pointer or "/")
        if change.op != "added":
            node("pre", _text(change.before), "before")
        if change.op != "removed":
            node("pre", _text(change.after), "after")
    return made


def _text(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)
