"""What a mapping would make of the last real events: rows with their types, dead letters with their reasons."""

import json
from html import escape
from typing import Any, Final

import msgspec
from nicegui import ui

from appliance.domain.quantity import counted
from appliance.services.views import DeadLetter, Preview, PreviewColumn
from ui.markup import icon, node
from ui.widgets.empty import notice
from ui.widgets.figures import event_number

SHOWN_ROWS, SHOWN_DEAD, LONGEST = 15, 8, 80
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def draw_preview(preview: Preview) -> None:
    """Draw the outcome of a preview."""
    if preview.events == 0:
        notice("inbox", "No events to try it on", "Send one: the preview then shows what becomes of it.").classes(
            "slim"
        )
        return
    with node("div", css="tally", role="status"):
        node("span", counted(preview.events, "event"), "badge plain")
        node("span", counted(len(preview.rows), "row"), "badge plain ok")
        if preview.filtered:
            node("span", f"{preview.filtered:,} filtered", "badge plain")
        if preview.dead:
            node("span", counted(len(preview.dead), "dead letter"), "badge plain bad")
    for letter in preview.dead[:SHOWN_DEAD]:
        _letter(letter)
    if len(preview.dead) > SHOWN_DEAD:
        node("p", f"and {len(preview.dead) - SHOWN_DEAD:,} more dead letters", "small faint")
    if preview.rows:
        _rows(preview)


def _letter(letter: DeadLetter) -> None:
    with node("div", css="problem"):
        icon("alert")
        node("span", letter.message)
        value = f" = {_text(letter.value)}" if letter.value is not None else ""
        field = f" · {letter.field}{value}" if letter.field else ""
        node("code", f"event {event_number(letter.seq)} · {letter.reason}{field}")


def _rows(preview: Preview) -> None:
    shown = preview.rows[-SHOWN_ROWS:][::-1]
    # Through JSON, as the API would answer them: decimals, instants and raw JSON columns become plain values.
    rows: list[dict[str, Any]] = msgspec.json.decode(_ENCODER.encode(shown))
    columns = [PreviewColumn("_time", "timestamp"), *preview.columns]
    if any(row.get("_extra") for row in rows):
        columns.append(PreviewColumn("_extra", "json"))
    head = "".join(
        f'<th scope="col">{escape(column.name)}<span class="type">{escape(column.type)}</span></th>'
        for column in columns
    )
    body = "".join(f"<tr>{''.join(_cell(row.get(one.name), one.type) for one in columns)}</tr>" for row in rows)
    # One element, not one a cell: hundreds of them would cost a tenth of a second at each key stroke.
    markup = f'<table class="table dense"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    with node("div", css="card"):
        ui.html(markup, sanitize=False).classes("table-wrap")


def _cell(value: Any, type_: str) -> str:
    """Return a table cell as markup; what stands in it is escaped."""
    if value is None:
        return '<td class="null">–</td>'
    text = escape(_text(value))
    if type_ == "timestamp" and isinstance(value, str):
        return f'<td><time data-live="time" data-style="clock" data-at="{escape(value)}">{text}</time></td>'
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f'<td class="num">{text}</td>' if number else f"<td>{text}</td>"


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    text = f"{value:.9g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
