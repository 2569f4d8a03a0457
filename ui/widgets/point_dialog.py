"""From a point on a chart to the records behind it, and from each of them to its raw bytes."""

from functools import partial
from typing import Any

from nicegui.element import Element
from nicegui.events import GenericEventArguments

from appliance.domain.access import Principal
from appliance.domain.ids import PipelineId
from appliance.services.lineage_views import PointLineage
from ui.markup import button, node, on
from ui.session import Visit
from ui.widgets.dialog import dialog, show
from ui.widgets.figures import event_number, moment
from ui.widgets.lineage import draw_lineage


class PointDialog:
    """One dialog for all charts of a page."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        with dialog("Behind this point") as self._box:
            self._body = node("div", css="dialog-body")

    def opens_from(self, widget: Element, query: dict[str, Any]) -> None:
        """Open when ``widget`` says ``point``: the keys of one row of the answer to ``query``."""

        def chosen(event: GenericEventArguments) -> object:
            return self._visit.act(partial(self._records, {**query, "point": event.args}))(event)

        widget.on("point", chosen, js_handler="(e) => emit(e.detail)")

    async def _records(self, question: dict[str, Any], who: Principal) -> None:
        found = await self._visit.services.points.records(who, question)
        self._body.clear()
        with self._body:
            _list(self._visit, found, self._lineage)
        show(self._box)

    async def _lineage(self, pipeline_id: PipelineId, seq: int, who: Principal) -> None:
        lineage = await self._visit.services.lineages.of(who, pipeline_id, seq)
        self._body.clear()
        with self._body:
            draw_lineage(lineage)


def _list(visit: Visit, found: PointLineage, lineage: Any) -> None:
    if not found.records:
        node("p", "No record is behind this point any more: retention may have removed it.", "muted")
        return
    count = len(found.records)
    more = "The first " if found.more else ""
    node("p", f"{more}{count:,} record{'' if count == 1 else 's'}: each leads to its raw event.", "muted")
    with node("ul", css="picks"):
        for one in found.records:
            with node("li"):
                made = button(f"Event {event_number(one.seq)}", "ghost small")
                on(made, "click", visit.act(partial(lineage, found.pipeline, one.seq), busy=made))
                moment(one.time, "clock")
