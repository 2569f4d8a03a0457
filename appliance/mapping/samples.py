"""What samples hold at each path: the values, how often they are there, and the type that reads all of them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from appliance.domain.mapping import FieldType
from appliance.mapping import moments
from appliance.mapping.path import Path, PathError, parse_path

ROOT: Final = Path()
DEEPEST: Final = 4
_MOST_MEMBERS: Final = 40  # of one object: beyond it, if each is rare, its keys are data and it is kept whole
_RARE: Final = 0.25
_WHOLE: Final = re.compile(r"[+-]?(0|[1-9][0-9]{0,17})")
_POINT: Final = re.compile(r"[+-]?(0|[1-9][0-9]{0,28})\.[0-9]{1,9}")
_LARGEST: Final = 2**63
_FARTHEST: Final = 10**300


@dataclass
class Place:
    """The values at one path, in as many of ``of`` samples as there are values; nulls are not among them."""

    path: Path
    of: int
    values: list[Any] = field(default_factory=list)

    @property
    def always(self) -> bool:
        return len(self.values) == self.of

    @property
    def share(self) -> float:
        return len(self.values) / self.of


def places(records: Sequence[Any], at: Path = ROOT) -> Iterator[Place]:
    """Yield the places at which ``records``, found at ``at``, hold values; members of objects one by one."""
    members: dict[str, list[Any]] = {}
    for record in records:
        for name, value in record.items() if isinstance(record, dict) else ():
            members.setdefault(name, []).append(value)
    for name, values in members.items():
        path = Path((*at.steps, name))
        if not _can_be_written(path):
            continue
        found = [value for value in values if value is not None]
        objects = [value for value in found if isinstance(value, dict)]
        if found and len(objects) == len(found) and len(path.steps) < DEEPEST and not _is_dictionary(objects):
            for inner in places(objects, path):
                yield Place(inner.path, len(records), inner.values)
        elif found:
            yield Place(path, len(records), found)


def _can_be_written(path: Path) -> bool:
    try:
        return parse_path(str(path)) == path
    except PathError:
        return False


def _is_dictionary(objects: Sequence[dict[str, Any]]) -> bool:
    names = {name for one in objects for name in one}
    held = sum(len(one) for one in objects) / len(objects)
    return not names or (len(names) > _MOST_MEMBERS and held < _RARE * len(names))


def type_of(values: Sequence[Any]) -> tuple[FieldType, float, str]:
    """Return the type that reads all ``values`` (at least one), how sure that is, and why."""
    kinds = {type(value) for value in values}
    if kinds & {dict, list}:
        sure, told = (0.9, "objects or lists") if len(kinds) == 1 else (0.5, "objects or lists among other values")
        return FieldType.JSON, sure, f"{told}, kept as JSON"
    if kinds == {bool}:
        return FieldType.BOOLEAN, 1.0, "always true or false"
    if kinds == {str}:
        return _type_of_texts(values)
    if kinds <= {int, float}:
        return _type_of_numbers(values)
    return FieldType.STRING, 0.4, "values of several types, which only text can hold"


def _type_of_numbers(values: Sequence[Any]) -> tuple[FieldType, float, str]:
    if any(abs(value) > _FARTHEST for value in values):
        return FieldType.STRING, 0.4, "numbers too large for any type"
    if any(isinstance(value, float) for value in values):
        return FieldType.FLOAT, 1.0, "numbers with a fraction"
    if all(-_LARGEST <= value < _LARGEST for value in values):
        return FieldType.INTEGER, 0.9, "whole numbers"
    return FieldType.FLOAT, 0.5, "whole numbers too large for 64 bits"


def _type_of_texts(values: Sequence[str]) -> tuple[FieldType, float, str]:
    if moments.format_of(values) == "auto":
        return FieldType.TIMESTAMP, 0.95, "times as ISO 8601"
    if set(values) <= {"true", "false"}:
        return FieldType.BOOLEAN, 0.8, "always the text true or false"
    if all(_WHOLE.fullmatch(value) for value in values):
        return FieldType.INTEGER, 0.7, "whole numbers, sent as text"
    if all(_WHOLE.fullmatch(value) or _POINT.fullmatch(value) for value in values):
        return FieldType.DECIMAL, 0.7, "numbers with a fraction, sent as text: all their digits are kept"
    return FieldType.STRING, 1.0, "text"
