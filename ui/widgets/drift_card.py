"""How a pipeline's events differ from what they used to look like, and taking note of it."""

from functools import partial

from appliance.domain.access import Action, Principal
from appliance.domain.ids import PipelineId
from appliance.services.drift import DriftView, FindingView
from ui.markup import button, node, on
from ui.session import Visit
from ui.toast import go
from ui.widgets.card import card
from ui.widgets.figures import moment


async def drift_card(visit: Visit, pipeline_id: PipelineId) -> None:
    """Draw the findings; nothing where there is none."""
    view = await visit.services.drift.show(visit.who, pipeline_id)
    if not view.findings:
        return
    with card("Drift", tight=True) as (head, _):
        with head, node("div", css="row"):
            node("span", f"of {view.events:,} events looked at", "sub")
            if visit.may(Action.PIPELINE_WRITE):
                made = button("Take note of all", "small", title="They become part of what is expected")
                on(made, "click", visit.act(partial(_acknowledge, visit, pipeline_id, None), busy=made))
        _table(visit, pipeline_id, view)


def _table(visit: Visit, pipeline_id: PipelineId, view: DriftView) -> None:
    with node("div", css="table-wrap"), node("table", css="table cards"):
        with node("thead"), node("tr"):
            for label in ("Path", "What", "Events", "Since", ""):
                node("th", label, "num" if label == "Events" else "", scope="col", aria_label=label or "Actions")
        with node("tbody"):
            for finding in view.findings:
                _row(visit, pipeline_id, finding)


def _row(visit: Visit, pipeline_id: PipelineId, finding: FindingView) -> None:
    with node("tr"):
        node("td", finding.path, "mono first")
        node("td", finding.told, "full")
        node("td", f"{finding.count:,}", "num", data_label="Events")
        with node("td", data_label="Since"):
            moment(finding.first_at)
        with node("td", css="corner"):
            if visit.may(Action.PIPELINE_WRITE):
                made = button("Take note", "small ghost", aria_label=f"Take note of {finding.path}")
                on(made, "click", visit.act(partial(_acknowledge, visit, pipeline_id, [finding.id]), busy=made))


async def _acknowledge(visit: Visit, pipeline_id: PipelineId, findings: list[str] | None, who: Principal) -> None:
    await visit.services.drift.acknowledge(who, pipeline_id, findings)
    go(visit.client, None, "Noted: that is expected from now on")
