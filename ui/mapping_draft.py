"""A mapping while it is being edited: tolerant of half-written fields, turned into a document when asked."""

import json
from typing import Any

ORIGINS = ("path", "expr")
_NUMBERS = ("min", "max")
_UNSET: tuple[Any, ...] = (None, "", [], "keep")


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

    def take(self, suggested: dict[str, Any]) -> int:
        """Add what a suggested mapping has and this one lacks; return how many fields that were.

        Options (time, explode) are taken over only where no field stands yet: they change what every path means.
        """
        if not self.fields:
            self.load({**suggested, **{name: value for name, value in self.options.items() if value not in _UNSET}})
            return len(self.fields)
        paths, names = ({field.get(key) for field in self.fields} for key in ("path", "name"))
        wanted = suggested.get("fields", [])
        added = [field for field in wanted if field.get("path") not in paths and field["name"] not in names]
        self.fields += [dict(field) for field in added]
        return len(added)


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
