"""One pipeline: how it is doing, its ledger, and how to send to it."""

import json
from datetime import UTC, datetime
from typing import Any

from nicegui import ui
from nicegui.element import Element

from appliance.domain.access import Action, Principal
from appliance.domain.ids import PipelineId
from appliance.domain.pipeline import State
from appliance.errors import DashError, NotFound
from appliance.services.views import PipelineView
from ui.commands import PLACEHOLDER, send_command
from ui.examples import example_event
from ui.frame import Place
from ui.markup import button, icon, link_button, node, on
from ui.screens import Screens
from ui.session import Visit
from ui.widgets.card import card
from ui.widgets.code_block import code_block
from ui.widgets.figures import last_event, short
from ui.widgets.ledger_bar import ledger_sum
from ui.widgets.pipeline_frame import pipeline_frame

WINDOW, BUCKET, BUCKET_SECS = "15m", "10s", 10


def register(screens: Screens) -> None:
    """Register ``/pipelines/{pipeline_id}``."""

    @screens.page("/pipelines/{pipeline_id}", Place("Pipeline", "pipelines", "getting-started"))
    async def pipeline(visit: Visit) -> None:
        view = await pipeline_frame(visit, "")
        history = await _history(visit, view)
        with node("div", css="stack"):
            if not view.mapping.fields:
                _unmapped(view)
            _figures(view)
            with node("div", css="split"):
                with card("Events per second"):
                    _chart(view, history)
                with card("Ledger") as (head, _):
                    with head:
                        node("span", "every event, exactly once", "sub")
                    with node("div", data_live="stats", data_topic=f"pipeline:{view.id}"):
                        ledger_sum(view.live.ledger)
            if view.ingest_url:
                await _sending(visit, view)
            else:
                await _definition(visit, view)


def _unmapped(view: PipelineView) -> None:
    with node("div", css="callout"):
        icon("sliders")
        node(
            "p",
            "Events are kept whole in _extra: the mapping has no fields yet, so charts have nothing to show.",
            "grow",
        )
        link_button("Write the mapping", f"/pipelines/{view.id}/mapping", "small")


def _figures(view: PipelineView) -> None:
    live = view.live
    with node("dl", css="stats", data_live="stats", data_topic=f"pipeline:{view.id}"):
        with node("div"):
            node("dt", "Rate")
            with node("dd"):
                node("span", short(live.rate_per_sec), data_slot="rate")
                node("small", " events/s")
        with node("div"):
            node("dt", "Lag")
            node("dd", short(live.lag_events), data_slot="lag")
        with node("div"):
            node("dt", "Stored")
            node("dd", short(live.ledger.stored), data_slot="short", data_kind="stored")
        with node("div"):
            node("dt", "Last event")
            with node("dd"):
                last_event(live)


def _chart(view: PipelineView, history: list[tuple[int, float]]) -> None:
    chart = ui.echart({})
    chart.classes("rate")
    chart.props["data-live"] = "rate-chart"
    chart.props["data-topic"] = f"pipeline:{view.id}"
    chart.props["data-window"] = WINDOW
    chart.props["data-points"] = json.dumps(history)
    chart.props["aria-label"] = f"Events per second, the last {WINDOW}"
    chart.props["role"] = "img"


async def _history(visit: Visit, view: PipelineView) -> list[tuple[int, float]]:
    """Return [(ms since 1970, rows per second)] of the window, from Silver; empty where it cannot be read."""
    measures: list[dict[str, Any]] = [{"op": "count", "as": "n"}]
    question = {"pipeline": view.id, "measures": measures, "bucket": BUCKET, "range": WINDOW}
    try:
        answer = await visit.services.queries.query(visit.who, question)
    except DashError:  # the chart then begins with what the feed says; the page is worth more than its past
        return []
    points = [(_ms(row["_time"]), row["n"] / BUCKET_SECS) for row in answer.rows]
    return points[:-1]  # the last bucket is not full yet


def _ms(at: Any) -> int:
    instant = at if isinstance(at, datetime) else datetime.fromisoformat(str(at))
    return round((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() * 1000)


async def _sending(visit: Visit, view: PipelineView) -> None:
    """Draw the command that sends one event; for those who may see it, with the secret on request."""
    url = str(view.at(str(visit.request.base_url)).ingest_url)
    signed = view.source.get("signature", "standard_webhooks") != "none"
    with card("Send an event") as (head, body):
        if signed and visit.may(Action.PIPELINE_WRITE):
            with head:
                _insert_secret(visit, view, url, body)
        _command(view, url, None, signed=signed)


def _command(view: PipelineView, url: str, secret: str | None, *, signed: bool) -> None:
    with node("div", css="stack tight"):
        text = "Paste it into a shell: it signs the event and sends it." if signed else "Paste it into a shell."
        if view.state is not State.RUNNING:
            text = "This pipeline is not running: it refuses events until you resume it."
        node("p", text, "muted")
        code_block(
            send_command(view.source, url, secret, json.dumps(example_event(view.mapping), ensure_ascii=False)),
            "send-command",
        )
        if signed and secret is None:
            node("p", f"Put the signing secret in place of {PLACEHOLDER}.", "small faint")


def _insert_secret(visit: Visit, view: PipelineView, url: str, body: Element) -> None:
    made = button("Insert the secret", "small", glyph="key", title="Reads the signing secret; the audit trail notes it")

    async def insert(who: Principal) -> None:
        secrets = await visit.services.pipelines.secrets(who, view.id)
        body.clear()
        with body:
            _command(view, url, secrets[0], signed=True)
        made.set_visibility(False)

    on(made, "click", visit.act(insert, busy=made))


async def _definition(visit: Visit, view: PipelineView) -> None:
    with card("Source") as (head, _):
        with head:
            link_button("Settings", f"/pipelines/{view.id}/settings", "small ghost", glyph="sliders")
        with node("dl", css="kv"):
            for name, value in view.source.items():
                node("dt", "Address" if name == "url" else name.replace("_", " ").capitalize())
                with node("dd"):
                    if view.source["type"] == "pipeline" and name in ("pipeline", "pipelines"):
                        await _upstream(visit, [value] if isinstance(value, str) else value)
                    else:
                        node("span", value if isinstance(value, str) else json.dumps(value), "mono")


async def _upstream(visit: Visit, given: list[str]) -> None:
    """Draw the pipelines that are read, by name, whether they were given by name or by id."""
    for one in given:
        try:
            found = await visit.services.pipelines.get(visit.who, PipelineId(one))
        except NotFound:
            node("p", one)
        else:
            with node("p"):
                node("a", found.name, href=f"/pipelines/{found.id}")
