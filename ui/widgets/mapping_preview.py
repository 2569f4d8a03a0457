"""What a mapping would make of the last real events: rows with their types, dead letters with their reasons."""

from typing import Any

from appliance.services.views import DeadLetter, Preview
from ui.markup import icon, node
from ui.widgets.empty import notice

SHOWN_ROWS, SHOWN_DEAD, LONGEST = 15, 8, 80


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
        value = f" = {_cell(letter.value)}" if letter.value is not None else ""
        node("code", f"event {letter.seq:,} · {letter.reason}" + (f" · {letter.field}{value}" if letter.field else ""))


def _rows(preview: Preview) -> None:
    with node("div", css="card"), node("div", css="table-wrap"), node("table", css="table dense"):
        with node("thead"), node("tr"):
            for column in preview.columns:
                with node("th", scope="col"):
                    node("span", column.name)
                    node("span", column.type, "type")
        with node("tbody"):
            for row in preview.rows[-SHOWN_ROWS:][::-1]:
                with node("tr"):
                    for column in preview.columns:
                        value = row.get(column.name)
                        node("td", _cell(value), _css(value))


def _css(value: Any) -> str:
    if value is None:
        return "null"
    return "num" if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    text = f"{value:.9g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
