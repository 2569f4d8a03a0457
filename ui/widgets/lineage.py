"""The way of one event: what became of it, by which version, its raw bytes, every pipeline it came through."""

from typing import Any, Final

import msgspec

from appliance.services.lineage_views import Fate, Hop, Lineage
from ui.documents import indented
from ui.markup import icon, node
from ui.widgets.code_block import code_block
from ui.widgets.figures import event_number, moment

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_LONGEST: Final = 20_000  # characters of a payload on screen
_LOOKS: Final = {"stored": "ok", "dead": "bad", "pending": "warn"}


def draw_lineage(lineage: Lineage) -> None:
    """Draw the event itself, then each pipeline that it came through, back to the raw bytes."""
    _hop(lineage, "raw-event", first=True)
    for number, hop in enumerate(lineage.upstream, 1):
        with node("div", css="hop"):
            icon("down")
            node("span", "made from a row of")
            node("a", hop.name or hop.pipeline, href=f"/pipelines/{hop.pipeline}")
        _hop(hop, f"raw-event-{number}", first=False)
    if lineage.downstream:
        with node("p", css="sub"):
            told = [f"{one.name} {'has read it' if one.read else 'has not read it yet'}" for one in lineage.downstream]
            node("span", f"Read by: {', '.join(told)}")


def _hop(hop: Hop, name: str, *, first: bool) -> None:
    with node("div", css="stack tight"):
        _facts(hop, first=first)
        if hop.told:
            with node("div", css="callout warn"):
                icon("alert")
                node("span", hop.told, "grow")
        for letter in hop.dead_letters:
            with node("div", css="problem"):
                icon("alert")
                node("span", letter.message)
        if hop.rows:
            node(
                "p",
                "Became" if len(hop.rows) == 1 else f"Became {len(hop.rows)}{'+' if hop.more_rows else ''} rows",
                "label",
            )
            code_block(_shown(hop.rows[0] if len(hop.rows) == 1 else hop.rows), f"{name}-rows", wrap=True)
        if hop.correction is not None:
            _correction(hop)
        if hop.event is not None:
            node("p", "Received, verbatim", "label")
            code_block(_shown(hop.event.payload), name, wrap=True)


def _facts(hop: Hop, *, first: bool) -> None:
    with node("dl", css="kv"):
        node("dt", "Event")
        with node("dd", css="row"):
            node("span", event_number(hop.seq))
            if hop.outcome:
                node("span", hop.outcome, f"badge plain {_LOOKS.get(hop.outcome, '')}".strip())
            if hop.fate is not Fate.HELD:
                node("span", hop.fate.value, "badge plain warn")
        if hop.refined is not None:
            node("dt", "Refined by")
            with node("dd"):
                href = f"/pipelines/{hop.pipeline}/versions#v{hop.refined.version}"
                node("a", f"version {hop.refined.version}", href=href)
                if hop.refined.author:
                    node("span", f" of {hop.refined.author}")
        if hop.event is not None:
            _received(hop, first=first)


def _received(hop: Hop, *, first: bool) -> None:
    event = hop.event
    if event is None:
        return
    node("dt", "Received")
    with node("dd"):
        moment(event.received_at, "clock" if first else "date")
    node("dt", "From")
    node("dd", " · ".join(filter(None, (event.source, event.remote))))
    if event.delivery_id:
        node("dt", "Delivery id")
        node("dd", event.delivery_id, "mono")
    for header, value in event.headers.items():
        node("dt", header, "mono small")
        node("dd", value, "mono")
    node("dt", "Place in Bronze")
    node("dd", f"{event.segment}, line {event.line:,}", "mono")


def _correction(hop: Hop) -> None:
    made = hop.correction
    if made is None:
        return
    with node("div", css="callout"):
        icon("sliders")
        verb = "Dropped by hand" if made.payload is None else "Corrected by hand"
        with node("span", css="grow"):
            node("span", f"{verb} by {made.by}: {made.reason} · ")
            moment(made.at)
    if made.payload is not None:
        code_block(_shown(made.payload), f"correction-{hop.seq}", wrap=True)


def _shown(value: Any) -> str:
    """Return ``value`` as indented JSON, shortened where it is very long."""
    encoded = _ENCODER.encode(value)
    text = indented(encoded)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n… {len(encoded):,} bytes in all"
