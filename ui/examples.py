"""An event that fits a mapping, for people who want to send one by hand."""

import re
from typing import Any, Final

from appliance.domain.mapping import Field, FieldType, Mapping

DEFAULT: Final[dict[str, Any]] = {"device": "boiler-1", "temp_f": 68.5, "status": "ok"}
_PLAIN_PATH: Final = re.compile(r"\$((?:\.[A-Za-z_][A-Za-z0-9_]*)+)")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\b(?!\s*\()")
_WORDS: Final = frozenset("and or not is null in like case when then else end true false".split())  # noqa: SIM905


def example_event(mapping: Mapping) -> dict[str, Any]:
    """Return an event with a value wherever the mapping reads one by a plain path; time is left to the receipt."""
    event: dict[str, Any] = {}
    if mapping.explode is not None:
        return dict(DEFAULT)
    for field in mapping.fields:
        if field.path is not None and (path := _PLAIN_PATH.fullmatch(field.path)):
            _put(event, path[1][1:].split("."), _value(field))
    for name in _undeclared(mapping):
        event.setdefault(name, 68.5)
    return event or dict(DEFAULT)


def _undeclared(mapping: Mapping) -> list[str]:
    """Return names that formulas read straight from the event."""
    declared = {field.name for field in mapping.fields}
    bare = [re.sub(r"'[^']*'", "", field.expr) for field in mapping.fields if field.expr]
    names = [name for expr in bare for name in _NAME.findall(expr)]
    return [name for name in names if name not in declared and name.lower() not in _WORDS]


def _put(event: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        inner = event.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        event = inner
    event.setdefault(path[-1], value)


def _value(field: Field) -> Any:
    if field.enum:
        return field.enum[0]
    match field.type:
        case FieldType.INTEGER:
            return round(_bounded(field, 3))
        case FieldType.FLOAT | FieldType.DECIMAL:
            return _bounded(field, 21.5)
        case FieldType.BOOLEAN:
            return True
        case FieldType.TIMESTAMP:
            return "2026-01-31T12:00:00Z"
        case FieldType.JSON:
            return {"note": "anything"}
        case FieldType.STRING:
            return f"{field.name}-1"


def _bounded(field: Field, wanted: float) -> float:
    if field.min is not None:
        wanted = max(wanted, field.min)
    return wanted if field.max is None else min(wanted, field.max)
