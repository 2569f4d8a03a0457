"""What TimescaleDB does for an organisation's rows, as a card."""

from collections.abc import Mapping

from appliance.components.upkeep import Chunking, RowChunks
from appliance.domain.ids import PipelineId
from ui.markup import node
from ui.widgets.card import card
from ui.widgets.empty import notice
from ui.widgets.figures import size

_HOUR, _DAY = 3600, 86_400


def chunking_card(chunking: Chunking, pipelines: Mapping[PipelineId, str]) -> None:
    """Draw it. ``pipelines``: their names."""
    with card("TimescaleDB", tight=True) as (head, _):
        with head:
            node("span", f"{chunking.version}, {chunking.edition} edition", "badge plain")
        with node("div", css="card-body"), node("div", css="stack tight"):
            node("p", f"{told(chunking)} A pipeline may say otherwise, on its page Storage.", "muted")
            for note in chunking.notes:
                node("p", note, "sub")
            if chunking.views:
                node(
                    "p",
                    f"Views for other tools, fresh with every round of retention: {', '.join(chunking.views)}.",
                    "sub",
                )
            for policy in chunking.policies:
                node("p", f"The database has a job of its own, which this appliance did not make: {policy}.", "sub")
        if not chunking.pipelines:
            notice("disk", "No chunks yet", "Rows go into chunks from the first replay on.").classes("slim")
            return
        with node("div", css="table-wrap"), node("table", css="table cards"):
            with node("thead"), node("tr"):
                for label in ("Pipeline", "Chunks", "In columns", "On disk", "Saved"):
                    node("th", label, "" if label == "Pipeline" else "num", scope="col")
            with node("tbody"):
                for pipeline_id, one in chunking.pipelines.items():
                    _pipeline(pipeline_id, pipelines.get(pipeline_id, pipeline_id), one)


def told(chunking: Chunking) -> str:
    """Return in a sentence what is done, and which settings say so."""
    if not chunking.in_use:
        return "It is not used for new rows."
    kept = f"Rows are kept in chunks of {span(chunking.width_secs)} (silver.chunk_interval)"
    if not chunking.columnstore or chunking.compress_after_secs is None:
        return f"{kept}. They stay rows."
    after = span(chunking.compress_after_secs)
    return f"{kept}; {after} after its end a chunk goes into the columnstore (silver.compress_after)."


def span(secs: int) -> str:
    """Return a length of time in the widest unit that tells it exactly."""
    for unit, length in (("day", _DAY), ("hour", _HOUR), ("minute", 60), ("second", 1)):
        if secs % length == 0:
            count = secs // length
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return f"{secs} seconds"


def _pipeline(pipeline_id: PipelineId, name: str, one: RowChunks) -> None:
    saved = one.as_rows_bytes - one.columnar_bytes
    share = f" ({100 * one.columnar_bytes / one.as_rows_bytes:.0f} % left)" if one.as_rows_bytes else ""
    with node("tr"):
        with node("td", css="first full"):
            node("a", name, "name", href=f"/pipelines/{pipeline_id}/storage")
        for label, shown in (
            ("Chunks", f"{one.chunks:,} of {span(one.width_secs)}"),
            ("In columns", f"{one.columnar:,}"),
            ("On disk", size(one.bytes)),
            ("Saved", f"{size(saved)}{share}" if one.columnar else "–"),
        ):
            node("td", shown, "num", data_label=label)
