"""What a changed mapping would change over stored events: rows gained, lost and different, dead letters, types."""

import json
from functools import partial
from typing import Any, Final

import msgspec

from appliance.components.comparison import Cause, ChangedRow, Rows
from appliance.domain.access import Principal
from appliance.domain.ids import PipelineId
from appliance.errors import Invalid
from appliance.services.change_views import ChangePreview
from appliance.services.stretches import Stretch
from ui.mapping_draft import MappingDraft
from ui.markup import button, icon, node, on, on_value
from ui.session import Visit
from ui.toast import go
from ui.widgets.dialog import dialog, show
from ui.widgets.figures import event_number
from ui.widgets.form import select_field
from ui.widgets.problem_list import problem_list

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_SHOWN: Final = 8  # examples of each kind
_STRETCHES: Final[dict[str, tuple[str, Stretch]]] = {
    "1000": ("the last 1,000 events", Stretch(last=1_000)),
    "100000": ("the last 100,000 events", Stretch(last=100_000)),
    "1d": ("the last day", Stretch(from_="now-1d")),
    "7d": ("the last 7 days", Stretch(from_="now-7d")),
}


class ChangeDialog:
    """Compares the draft with the mapping that runs, and saves it as a candidate."""

    def __init__(self, visit: Visit, pipeline_id: PipelineId, draft: MappingDraft) -> None:
        self._visit, self._pipeline_id, self._draft = visit, pipeline_id, draft
        self._values = {"stretch": "1000", "note": ""}
        with dialog("Compare with what runs") as self._box:
            with node("div", css="dialog-body"):
                choices = [(key, label) for key, (label, _) in _STRETCHES.items()]
                chosen = select_field("stretch", "Over", choices, value=self._values["stretch"])
                on_value(chosen.control, partial(self._values.__setitem__, "stretch"))
                self._outcome = node("div", css="stack", aria_live="polite")
            with node("div", css="dialog-foot"):
                button("Close", data_close="")
                keep = button("Save as candidate", title="It does not run: rebuild history with it, then it does")
                on(keep, "click", visit.act(self._keep, busy=keep))
                again = button("Compare", "primary")
                on(again, "click", visit.act(self._compare, busy=again))

    async def open(self, who: Principal) -> None:
        """Open the dialog with a first comparison."""
        show(self._box)
        await self._compare(who)

    async def _compare(self, who: Principal) -> None:
        _, stretch = _STRETCHES[self._values["stretch"]]
        try:
            document = self._draft.document()
            found = await self._visit.services.comparisons.compare(who, self._pipeline_id, document, stretch)
        except Invalid as error:
            self._outcome.clear()
            with self._outcome:
                problem_list(error.problems)
            return
        self._outcome.clear()
        with self._outcome:
            if found.comparison is not None:
                draw_change(found.comparison)

    async def _keep(self, who: Principal) -> None:
        view = await self._visit.services.pipelines.get(who, self._pipeline_id)
        running = await self._visit.services.versions.get(who, self._pipeline_id, view.version)
        document = {**running.document, "mapping": self._draft.document()}
        saved = await self._visit.services.versions.save(who, self._pipeline_id, document)
        url = f"/pipelines/{self._pipeline_id}/versions"
        go(self._visit.client, url, f"Version {saved.version} is a candidate: rebuild history with it to make it run")


def draw_change(change: ChangePreview) -> None:
    """Draw a comparison."""
    if not change.events:
        node("p", "There are no events in this stretch.", "muted")
        return
    with node("div", css="tally", role="status"):
        for count, label, look in (
            (change.events, "events", ""),
            (change.added.count, "rows more", "ok"),
            (change.removed.count, "rows less", "bad"),
            (change.changed.count, "rows different", "accent"),
            (change.unchanged, "rows the same", ""),
            (change.dead.new, "new dead letters", "bad"),
            (change.dead.healed, "dead letters healed", "ok"),
        ):
            if count or label == "events":
                node("span", f"{count:,} {label}", f"badge plain {look}".strip())
    if change.stopped:
        with node("div", css="callout warn"):
            icon("alert")
            node("span", change.stopped, "grow")
    _columns(change)
    for label, causes in (("New dead letters", change.dead.new_causes), ("Healed", change.dead.healed_causes)):
        _causes(label, causes)
    for label, rows in (("Different", change.changed), ("More", change.added), ("Less", change.removed)):
        _rows(label, rows)
    looked = f"Compared in {change.took_secs:.2f} s"
    if change.replay_secs is not None:
        looked += (
            f"; rebuilding all {change.stored_events:,} stored events would take about {change.replay_secs:,.0f} s"
        )
    node("p", f"{looked}.", "sub")


def _columns(change: ChangePreview) -> None:
    if not change.columns:
        return
    with node("div", css="table-wrap"), node("table", css="table dense"):
        with node("thead"), node("tr"):
            for label in ("Column", "Now", "Then", "Rows", "What that means"):
                node("th", label, "num" if label == "Rows" else "", scope="col")
        with node("tbody"):
            for one in change.columns:
                with node("tr"):
                    node("td", one.name, "mono")
                    node("td", one.before.value if one.before else "–")
                    node("td", one.after.value if one.after else "–")
                    node("td", f"{one.rows:,}", "num")
                    node("td", one.told, "muted" if not one.needs_replay else "strong")


def _causes(label: str, causes: list[Cause]) -> None:
    if not causes:
        return
    node("p", label, "label")
    for cause in causes[:_SHOWN]:
        with node("div", css="problem" if label != "Healed" else "callout"):
            icon("alert" if label != "Healed" else "check")
            node("span", f"{cause.count:,} × {cause.message}")


def _rows(label: str, rows: Rows) -> None:
    if not rows.count:
        return
    node("p", f"{label}: {rows.count:,} row{'' if rows.count == 1 else 's'}, for example", "label")
    with node("div", css="diff"):
        for one in rows.examples[:_SHOWN]:
            _row(one)


def _row(one: ChangedRow) -> None:
    with node("div", css="change"):
        node("code", f"event {event_number(one.seq)}" + (f" · {', '.join(one.columns)}" if one.columns else ""))
        if one.before is not None:
            node("pre", _text(one.before, one.columns), "before")
        if one.after is not None:
            node("pre", _text(one.after, one.columns), "after")


def _text(row: dict[str, Any], columns: list[str]) -> str:
    """Return what differs of a row; all of it where there is nothing to compare it with."""
    shown = {name: row.get(name) for name in columns} if columns else row
    plain = json.loads(_ENCODER.encode(shown))
    return json.dumps(plain, ensure_ascii=False)
