"""Checks one field's own statements: its name, where it comes from, its limits."""

import math
import re
from collections.abc import Iterator
from typing import Any

from appliance.domain.mapping import Field, FieldType
from appliance.errors import Problem
from appliance.mapping.inference import NUMBERS

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_ENUM_TYPES: dict[FieldType, tuple[type, ...]] = {
    FieldType.STRING: (str,),
    FieldType.INTEGER: (int,),
    FieldType.FLOAT: (int, float),
    FieldType.DECIMAL: (int, float),
    FieldType.BOOLEAN: (bool,),
}
_MOST_VALUES = 1_000


def field_problems(field: Field, pointer: str) -> Iterator[Problem]:
    """Yield what is wrong with ``field`` alone; ``pointer`` is its place in the document."""
    if not _NAME.fullmatch(field.name):
        yield Problem(f"{pointer}/name", _name_message(field.name), _name_hint(field.name))
    if (field.path is None) == (field.expr is None):
        told = "has both 'path' and 'expr'" if field.path is not None else "has neither 'path' nor 'expr'"
        yield Problem(pointer, f"the field {field.name!r} {told}", "give one: where to read it, or how to compute it")
    yield from _limit_problems(field, pointer)
    if field.enum is not None:
        yield from _enum_problems(field, field.enum, f"{pointer}/enum")


def _name_message(name: str) -> str:
    if name.startswith("_"):
        return f"the field name {name!r} begins with '_', which is kept for Dash's own columns"
    return f"the field name {name!r} is no column name: a letter, then up to 62 letters, digits or '_'"


def _name_hint(name: str) -> str | None:
    near = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")[:63]
    return f"{near!r} would be one; the path may hold any key" if _NAME.fullmatch(near) else None


def _limit_problems(field: Field, pointer: str) -> Iterator[Problem]:
    for name, limit in (("min", field.min), ("max", field.max)):
        if limit is None:
            continue
        if field.type not in NUMBERS:
            yield Problem(f"{pointer}/{name}", f"{name!r} is for numbers and {field.name!r} is a {field.type.value}")
        elif not math.isfinite(limit):
            yield Problem(f"{pointer}/{name}", f"{name!r} of {field.name!r} must be a finite number, got {limit!r}")
    if field.min is not None and field.max is not None and field.min > field.max:
        told = f"'min' of {field.name!r} is {field.min:.15g} and 'max' is {field.max:.15g}: no value is between them"
        yield Problem(f"{pointer}/min", told, "exchange them")


def _enum_problems(field: Field, values: list[Any], pointer: str) -> Iterator[Problem]:
    allowed = _ENUM_TYPES.get(field.type)
    if allowed is None:
        yield Problem(pointer, f"'enum' is not for fields of the type {field.type.value}", "use string or a number")
        return
    if not values:
        yield Problem(pointer, f"'enum' of {field.name!r} is empty, so that no value would be allowed", "leave it out")
    if len(values) > _MOST_VALUES:
        told = f"'enum' of {field.name!r} has {len(values):,} values and at most {_MOST_VALUES:,} are allowed"
        yield Problem(pointer, told)
    for place, value in enumerate(values[:_MOST_VALUES]):
        if not _is_of(value, allowed):
            told = f"{value!r} in 'enum' of {field.name!r} is no {field.type.value}"
            yield Problem(f"{pointer}/{place}", told)


def _is_of(value: Any, allowed: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in allowed
    if isinstance(value, str):
        return str in allowed and "\0" not in value
    return isinstance(value, int | float) and isinstance(value, allowed) and math.isfinite(value)
