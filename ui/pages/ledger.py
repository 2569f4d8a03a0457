"""The ledger of a pipeline: where every event went, by day of receipt and by the version that refined it."""

from typing import get_args

from appliance.domain.ledger import Ledger
from appliance.services.ledgers import By, LedgerLine
from appliance.services.views import PipelineView
from ui.frame import Place
from ui.markup import node
from ui.screens import Screens
from ui.session import Visit
from ui.widgets.card import card
from ui.widgets.empty import notice
from ui.widgets.ledger_bar import OUTCOMES, ledger_bar, ledger_sum
from ui.widgets.pipeline_frame import pipeline_frame

LABELS: dict[By, str] = {"day,version": "Day and version", "day": "Day", "version": "Version"}


def register(screens: Screens) -> None:
    """Register ``/pipelines/{pipeline_id}/ledger``."""

    @screens.page("/pipelines/{pipeline_id}/ledger", Place("Ledger", "pipelines", "dead-letters"))
    async def ledger(visit: Visit) -> None:
        view = await pipeline_frame(visit, "ledger")
        by = _by(visit.request.query_params.get("by"))
        lines = await visit.services.ledgers.lines(visit.who, view.id, by)
        with node("div", css="stack"):
            with card("All events"), node("div", data_live="stats", data_topic=f"pipeline:{view.id}"):
                ledger_sum(view.live.ledger)
            if not lines:
                _nothing(view)
                return
            with card("Where they went", tight=True) as (head, _):
                with head, node("div", css="segmented", role="group", aria_label="A line for each"):
                    for kind, label in LABELS.items():
                        href = f"/pipelines/{view.id}/ledger?by={kind}"
                        node("a", label, href=href, aria_current="true" if kind == by else None)
                _table(view, lines, by)


def _by(asked: str | None) -> By:
    found: By | None = next((kind for kind in get_args(By) if kind == asked), None)
    return found or "day,version"


def _nothing(view: PipelineView) -> None:
    with node("div", css="card"):
        text = "Each event that arrives is counted here once, by its day and by the version that refined it."
        notice("inbox", "No events yet", text, ("Send one", f"/pipelines/{view.id}"))


def _table(view: PipelineView, lines: list[LedgerLine], by: By) -> None:
    kinds = by.split(",")
    with node("div", css="table-wrap"), node("table", css="table cards"):
        with node("thead"), node("tr"):
            for label in (*(kind.capitalize() for kind in kinds), "", "Received"):
                node("th", label, "num" if label == "Received" else "", scope="col", aria_label=label or "Shares")
            for kind in OUTCOMES:
                node("th", kind.capitalize(), "num", scope="col")
            node("th", "Rows expired", "num", scope="col", title="Stored events whose rows retention has removed since")
        with node("tbody"):
            for line in lines:
                _line(view, line, kinds)


def _line(view: PipelineView, line: LedgerLine, kinds: list[str]) -> None:
    with node("tr"):
        for place, kind in enumerate(kinds):
            with node("td", css="first" if place == 0 else "corner"):
                if kind == "day":
                    node("span", line.day or "–")
                elif line.version is None:
                    node("span", "not refined yet", "faint")
                else:
                    href = f"/pipelines/{view.id}/versions#v{line.version}"
                    node("a", f"version {line.version}" if line.version else "before versions were noted", href=href)
        with node("td", css="full").style("min-width:160px"):
            counts = {kind: getattr(line, kind) for kind in OUTCOMES}
            ledger_bar(Ledger(received=line.received, **counts))
        for label in ("received", *OUTCOMES, "gone"):
            count = getattr(line, label)
            shown = "Rows expired" if label == "gone" else label.capitalize()
            node("td", f"{count:,}" if count else "–", "num" if count else "num null", data_label=shown)
