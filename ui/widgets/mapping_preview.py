"""What a mapping would make of the last real events: rows with their types, dead letters with their reasons."""

import json
from datetime import datetime
from typing import Any, Final

import msgspec

from appliance.services.views import DeadLetter, Preview, PreviewColumn
from ui.markup import icon, node
from ui.widgets.empty import notice
from ui.widgets.figures import moment

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
        node("span", f"{preview.events:,} events", "badge plain")
        node("span", f"{len(preview.rows):,} rows", "badge plain ok")
        if preview.filtered:
            node("span", f"{preview.filtered:,} filtered", "badge plain")
        if preview.dead:
            node("span", f"{len(preview.dead):,} dead letters", "badge plain bad")
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
        node("code", f"event {letter.seq:,} · {letter.reason}" + (f" · {letter.field}{value}" if letter.field else ""))


def _rows(preview: Preview) -> None:
    shown = preview.rows[-SHOWN_ROWS:][::-1]
    # Through JSON, as the API would answer them: decimals, instants and raw JSON columns become plain values.
    rows: list[dict[str, Any]] = msgspec.json.decode(_ENCODER.encode(shown))
    columns = [PreviewColumn("_time", "timestamp"), *preview.columns]
    if any(row.get("_extra") for row in rows):
        columns.append(PreviewColumn("_extra", "json"))
    with node("div", css="card"), node("div", css="table-wrap"), node("table", css="table dense"):
        with node("thead"), node("tr"):
            for column in columns:
                with node("th", scope="col"):
                    node("span", column.name)
                    node("span", column.type, "type")
        with node("tbody"):
            for row in rows:
                with node("tr"):
                    for column in columns:
                        _value(row.get(column.name), column.type)


def _value(value: Any, type_: str) -> None:
    if type_ == "timestamp" and isinstance(value, str):
        with node("td"):
            moment(datetime.fromisoformat(value), "clock")
    elif value is None:
        node("td", "–", "null")
    else:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        node("td", _text(value), "num" if number else "")


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    text = f"{value:.9g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
