"""A mapping while it is being edited: tolerant of half-written fields, turned into a document when asked."""

import json
import re
from typing import Any

ORIGINS = ("path", "expr")
_NUMBERS = ("min", "max")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_SUGGESTED = 40


class MappingDraft:
    """Fields and options as typed. ``fields``: dicts with the keys of a field document; "" stands for not set."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.fields: list[dict[str, Any]] = []
        self.options: dict[str, Any] = {}
        self.load(document)

    def load(self, document: dict[str, Any]) -> None:
        """Take over a document; parts of the wrong shape are left for the check to complain about."""
        fields = document.get("fields")
        self.fields = [dict(field) for field in fields if isinstance(field, dict)] if isinstance(fields, list) else []
        self.options = {name: value for name, value in document.items() if name != "fields"}

    def document(self) -> dict[str, Any]:
        """Return the mapping document: what is not set is left out."""
        fields = [_field(field) for field in self.fields]
        options = {name: value for name, value in self.options.items() if value not in (None, "", [])}
        return {**options, "fields": fields}

    def add(self, **values: Any) -> None:
        """Add a field at the end."""
        self.fields.append({"name": "", "type": "string", "path": "$.", **values})

    def move(self, place: int, step: int) -> None:
        """Move a field up (-1) or down (1); at the end nothing happens."""
        other = place + step
        if 0 <= other < len(self.fields):
            self.fields[place], self.fields[other] = self.fields[other], self.fields[place]

    def set_origin(self, place: int, origin: str) -> None:
        """Let a field be read from a ``path`` or computed by an ``expr``."""
        field = self.fields[place]
        for name in ORIGINS:
            field.pop(name, None)
        field[origin] = "$." + str(field.get("name", "")) if origin == "path" else ""

    def set_time(self, path: str, format_: str) -> None:
        """Say where the event's own time stands; an empty path: the moment of receipt."""
        self.options["time"] = {"path": path, "format": format_ or "auto"} if path else None

    def suggest(self, event: Any) -> int:
        """Add a field for each top-level value of ``event`` (and one level below) that no field reads yet."""
        known = {field.get("path") for field in self.fields}
        names = {field.get("name") for field in self.fields}
        added = 0
        for path, value in _leaves(event):
            name = "_".join(_IDENTIFIER.findall(path)).lower()[:63]
            if path in known or name in names or not name or added == _MOST_SUGGESTED:
                continue
            self.fields.append({"name": name, "type": _type(value), "path": path})
            names.add(name)
            added += 1
        return added


def origin_of(field: dict[str, Any]) -> str:
    """Return where a field comes from: ``path`` or ``expr``."""
    return "expr" if field.get("expr") is not None and field.get("path") is None else "path"


def parse_values(text: str) -> list[Any] | None:
    """Return the values of an ``enum`` as typed: a JSON array, or words between commas; None for nothing."""
    if not text.strip():
        return None
    try:
        values = json.loads(text)
    except ValueError:
        values = [part.strip() for part in text.split(",") if part.strip()]
    return values if isinstance(values, list) else [values]


def _field(field: dict[str, Any]) -> dict[str, Any]:
    out = {name: value for name, value in field.items() if value is not False and value not in (None, "")}
    for name in _NUMBERS:
        if isinstance(out.get(name), str):
            out[name] = _number(out[name])
    return {"name": "", **out}


def _number(text: str) -> float | str:
    try:
        number = float(text.replace("−", "-"))
    except ValueError:
        return text  # the check names it
    return int(number) if number.is_integer() else number


def _leaves(event: Any, path: str = "$", depth: int = 0) -> list[tuple[str, Any]]:
    if isinstance(event, dict) and depth < 2:
        return [leaf for name, value in event.items() for leaf in _leaves(value, path + _step(name), depth + 1)]
    return [(path, event)] if depth else []


def _step(name: str) -> str:
    return f".{name}" if _IDENTIFIER.fullmatch(name) else "[" + json.dumps(name) + "]"


def _type(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "float"
        case str() if re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", value):
            return "timestamp"
        case dict() | list():
            return "json"
        case _:
            return "string"
