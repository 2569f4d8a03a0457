"""The head and the tabs that all pages of one pipeline share."""

from collections.abc import Awaitable, Callable

from appliance.domain.access import Action, Principal
from appliance.domain.ids import PipelineId
from appliance.domain.pipeline import State
from appliance.services.views import PipelineView
from ui.brand import page_title
from ui.markup import button, icon, node, on
from ui.session import Visit
from ui.toast import go
from ui.widgets.figures import state_badge
from ui.widgets.head import live_mark, page_head

TABS = (
    ("", "Overview"),
    ("mapping", "Mapping"),
    ("versions", "Versions"),
    ("records", "Records"),
    ("dead-letters", "Dead letters"),
    ("ledger", "Ledger"),
    ("storage", "Storage"),
    ("settings", "Settings"),
)


async def pipeline_frame(visit: Visit, tab: str) -> PipelineView:
    """Draw head and tabs of the pipeline named by the address and return it. Raises NotFound."""
    pipeline_id = PipelineId(visit.params["pipeline_id"])
    pipeline = await visit.services.pipelines.get(visit.who, pipeline_id)
    topic = f"pipeline:{pipeline.id}"
    page_title(visit.services.branding.now(), f"{pipeline.name} · {dict(TABS)[tab]}")
    with node("div", data_live="stats", data_topic=topic):
        with page_head(pipeline.name, pipeline.description or "", ("Pipelines", "/pipelines")) as actions:
            live_mark()
            state_badge(pipeline.state)
            if visit.may(Action.PIPELINE_WRITE):
                with actions:
                    _switch(visit, pipeline)
        with node("nav", css="tabs", aria_label="Pipeline", data_live="tabs"):
            for path, label in TABS:
                href = f"/pipelines/{pipeline.id}" + (f"/{path}" if path else "")
                with node("a", href=href, aria_current="page" if path == tab else None):
                    node("span", label)
                    if path == "dead-letters":
                        _dead_count(pipeline.live.ledger.dead)
        _trouble(pipeline)
    return pipeline


def _dead_count(dead: int) -> None:
    node("span", f"{dead:,}", "count bad", data_slot="count", data_kind="dead", data_hide_zero="", hidden=dead == 0)


def _switch(visit: Visit, pipeline: PipelineView) -> None:
    """Draw the button that pauses or resumes; the page is drawn anew afterwards."""
    running = pipeline.state is State.RUNNING
    pipelines = visit.services.pipelines
    act: Callable[[Principal, PipelineId], Awaitable[PipelineView]] = pipelines.pause if running else pipelines.resume

    async def switch(who: Principal) -> None:
        await act(who, pipeline.id)
        go(visit.client, None, f"{pipeline.name} is {'paused: it refuses new events' if running else 'running again'}")

    made = button("Pause" if running else "Resume", "" if running else "primary", glyph="pause" if running else "play")
    on(made, "click", visit.act(switch, busy=made))


def _trouble(pipeline: PipelineView) -> None:
    with node(
        "div", css="callout bad", data_slot="error", hidden=pipeline.live.last_error is None, role="alert"
    ) as box:
        icon("alert")
        node("span", pipeline.live.last_error or "", "grow", data_text="")
        node("a", "What to do", href="/docs/runbook#a-pipeline-says-an-error", target="_blank")
    box.style("margin-bottom:16px")
