"""The form of a mapping: a table of fields and the options below it. Problems stand in the cell they are about."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from nicegui.element import Element

from appliance.domain.mapping import FieldType, Unmapped
from appliance.errors import Problem
from ui.mapping_draft import MappingDraft, origin_of, parse_values
from ui.markup import Text, button, icon, node, on, on_value
from ui.widgets.form import select

ORIGIN_LABELS = (("path", "Path"), ("expr", "Formula"))
MORE = (("min", "Least"), ("max", "Most"), ("unit", "Unit"), ("enum", "Allowed values"), ("description", "Description"))
LONGEST_HINT = 80
_CODE = ("path", "expr", "where", "explode", "key", "format")
CONTRACT_LABELS = (
    ("", "Misfits are dead letters"),
    ("evolve", "Evolve: keep all of it"),
    ("freeze", "Freeze: stop and wait"),
    ("discard_row", "Discard the row"),
    ("discard_value", "Discard the value"),
)
UNMAPPED_LABELS = {
    Unmapped.KEEP: "Keep in _extra",
    Unmapped.DROP: "Drop",
    Unmapped.REJECT: "Reject the event",
}


class MappingForm:
    """Edits ``draft`` in place and calls ``changed`` after each edit."""

    def __init__(self, draft: MappingDraft, changed: Callable[[], None], *, editable: bool) -> None:
        self._draft, self._changed, self._editable = draft, changed, editable
        self._places: dict[str, tuple[Element, Text]] = {}
        self._open: set[int] = set()
        with node("div", css="stack"):
            self._table = node("div")
            self._options = node("div")
        self.show()

    def show(self) -> None:
        """Draw the draft after somebody else changed it."""
        self._open.clear()
        self._draw()

    def _draw(self) -> None:
        self._places.clear()
        self._table.clear()
        with self._table:
            self._draw_table()
        self._options.clear()
        with self._options:
            self._draw_options()

    def tell(self, problems: Sequence[Problem]) -> list[Problem]:
        """Show each problem in its cell, and return those that have none."""
        for control, error in self._places.values():
            if error.text:
                error.text = ""
                control.props.pop("aria-invalid", None)
        rest = []
        for problem in problems:
            place = self._place(problem.pointer)
            if place is None:
                rest.append(problem)
                continue
            control, error = place
            hint = problem.hint if problem.hint and len(problem.hint) <= LONGEST_HINT else None
            said = problem.message.partition("\n")[0]
            error.text = " ".join(filter(None, (error.text, said, hint and f"({hint})")))
            error.props["title"] = problem.hint or ""
            control.props["aria-invalid"] = "true"
        return rest

    def _place(self, pointer: str) -> tuple[Element, Text] | None:
        """Return the cell of the longest known beginning of ``pointer``."""
        pointer = pointer.removeprefix("/mapping")
        while pointer:
            if pointer in self._places:
                return self._places[pointer]
            pointer = pointer.rpartition("/")[0]
        return None

    def _draw_table(self) -> None:
        if not self._draft.fields:
            node("p", "No fields yet: events are kept as they are. Add one, or have some suggested.", "muted")
        else:
            with node("table", css="fields"):
                with node("thead"), node("tr"):
                    for label in ("Field", "Comes from", "Type", "Required", ""):
                        node("th", label, scope="col")
                with node("tbody"):
                    for place, field in enumerate(self._draft.fields):
                        self._draw_field(place, field)
        if self._editable:
            with node("div", css="row").style("margin-top:10px"):
                on(button("Add field", "small", glyph="plus"), "click", lambda _: self._edit(self._draft.add))

    def _draw_field(self, place: int, field: dict[str, Any]) -> None:
        at, origin = f"/fields/{place}", origin_of(field)
        put = partial(self._put, field)
        with node("tr", css="one"):
            with node("td", css="wide"):
                self._places[at] = self._input(f"{at}/name", field.get("name"), partial(put, "name"), "Field name")
            with node("td", css="wide"), node("div", css="origin"):
                chosen = self._select(ORIGIN_LABELS, origin, "Comes from")
                on_value(chosen, lambda value: self._edit(lambda: self._draft.set_origin(place, value)))
                with node("div"):
                    label = "Formula" if origin == "expr" else "Path"
                    self._input(f"{at}/{origin}", field.get(origin), partial(put, origin), label)
            with node("td"):
                types = [(kind.value, kind.value) for kind in FieldType]
                kind = self._select(types, str(field.get("type", "string")), "Type")
                on_value(kind, partial(put, "type"))
                self._error(f"{at}/type", kind)
            with node("td", css="mid"):
                box = node("input", type="checkbox", aria_label="Required", disabled=not self._editable)
                box.props[".checked"] = bool(field.get("required"))
                on_value(box, partial(put, "required"), checked=True)
            with node("td"), node("div", css="row nowrap"):
                self._row_buttons(place, more=any(field.get(name) not in (None, "") for name, _ in MORE))
        if place in self._open:
            self._draw_more(at, field)

    def _row_buttons(self, place: int, *, more: bool) -> None:
        if not self._editable:
            return
        for glyph, label, act in (
            ("sliders", "Limits, unit and description", lambda: self._open.symmetric_difference_update({place})),
            ("trash", "Remove this field", lambda: self._remove(place)),
        ):
            css = "icon-btn bad" if glyph == "trash" else "icon-btn marked" if more else "icon-btn"
            with node("button", css=css, type="button", aria_label=label, title=label) as made:
                icon(glyph)
            on(made, "click", self._editing(act))

    def _draw_more(self, at: str, field: dict[str, Any]) -> None:
        with node("tr", css="more"), node("td", colspan=5), node("div", css="more-grid"):
            for name, label in MORE:
                self._draw_option(f"{at}/{name}", label, field.get(name), partial(self._put, field, name), "")

    def _draw_options(self) -> None:
        options, option = self._draft.options, self._draw_option
        time = options.get("time") or {}
        put = partial(partial, self._put, options)
        with node("div", css="form-grid"):
            option("/time/path", "Time of the event", time.get("path"), self._put_time_path, "empty: when received")
            option("/time/format", "Format of the time", time.get("format"), self._put_time_format, "auto, unix_ms …")
            option("/where", "Only events where", options.get("where"), put("where"), "status <> 'test'")
            option("/explode", "A row for each element of", options.get("explode"), put("explode"), "$.items")
            option("/key", "Key: of equal ones the last wins", options.get("key"), self._put_key, "device, ts")
            with node("label", css="field"):
                node("span", "What no field reads", "label")
                kinds = [(kind.value, label) for kind, label in UNMAPPED_LABELS.items()]
                chosen = self._select(kinds, str(options.get("unmapped", "keep")), "What no field reads")
                on_value(chosen, put("unmapped"))
            with node("label", css="field"):
                node("span", "Where events drift", "label")
                chosen = self._select(CONTRACT_LABELS, str(options.get("contract") or ""), "Where events drift")
                on_value(chosen, put("contract"))

    def _draw_option(self, pointer: str, label: str, value: Any, put: Callable[[Any], None], example: str) -> None:
        with node("label", css="field"):
            node("span", label, "label")
            self._input(pointer, value, put, label, example)

    def _input(
        self, pointer: str, value: Any, put: Callable[[Any], None], label: str, placeholder: str = ""
    ) -> tuple[Element, Text]:
        mono = "mono" if pointer.rpartition("/")[2] in _CODE else ""
        control = node(
            "input", css=f"input compact {mono}", aria_label=label, placeholder=placeholder or None, spellcheck="false",
            autocomplete="off", disabled=not self._editable,
        )  # fmt: skip
        control.props[".value"] = _shown(value)
        on_value(control, put)
        return self._error(pointer, control)

    def _error(self, pointer: str, control: Element) -> tuple[Element, Text]:
        error = Text("span", "")
        error.classes("cell-error")
        self._places[pointer] = (control, error)
        return self._places[pointer]

    def _select(self, options: Sequence[tuple[str, str]], value: str, label: str) -> Element:
        return select(options, value, "input compact", aria_label=label, disabled=not self._editable)

    def _put(self, target: dict[str, Any], name: str, value: Any) -> None:
        target[name] = parse_values(value) if name == "enum" else value
        self._changed()

    def _put_key(self, value: str) -> None:
        self._put(self._draft.options, "key", [part.strip() for part in value.split(",") if part.strip()])

    def _put_time_path(self, value: str) -> None:
        self._draft.set_time(value, (self._draft.options.get("time") or {}).get("format", "auto"))
        self._changed()

    def _put_time_format(self, value: str) -> None:
        self._draft.set_time((self._draft.options.get("time") or {}).get("path", ""), value)
        self._changed()

    def _remove(self, place: int) -> None:
        del self._draft.fields[place]
        self._open = {other - (other > place) for other in self._open if other != place}

    def _editing(self, act: Callable[[], object]) -> Callable[[object], None]:
        return lambda _: self._edit(act)

    def _edit(self, act: Callable[[], object]) -> None:
        act()
        self._draw()
        self._changed()


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
