"""What a query may name and bind: the fields in reach, the values bound so far, the problems found so far."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from sqlglot import exp

from appliance.domain.mapping import FieldType
from appliance.errors import Invalid, Problem

SYSTEM_FIELDS: Mapping[str, FieldType] = {
    "_time": FieldType.TIMESTAMP,
    "_seq": FieldType.INTEGER,
    "_item": FieldType.INTEGER,
    "_extra": FieldType.JSON,
}


def closest(wanted: str, known: Iterable[str]) -> str | None:
    """Return a hint that names what was probably meant."""
    near = get_close_matches(wanted, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else None


class Scope:
    """Collects every problem instead of stopping at the first; ``check`` raises them together."""

    def __init__(self, fields: Mapping[str, FieldType]) -> None:
        self.fields = {**SYSTEM_FIELDS, **fields}
        self.values: dict[str, Any] = {}
        self._problems: list[Problem] = []

    def bind(self, value: Any) -> exp.Placeholder:
        """Return a placeholder for ``value``."""
        key = f"v{len(self.values)}"
        self.values[key] = value
        return exp.Placeholder(this=key)

    def field(self, wanted: str, pointer: str) -> FieldType | None:
        """Return the field's type; None, with a problem noted, where there is no such field."""
        found = self.fields.get(wanted)
        if found is None:
            hint = closest(wanted, self.fields) or f"fields are {', '.join(self.fields)}"
            self.refuse(pointer, f"there is no field {wanted!r}", hint)
        return found

    def refuse(self, pointer: str, message: str, hint: str | None = None) -> None:
        """Note a problem."""
        self._problems.append(Problem(pointer, message, hint))

    def check(self) -> None:
        """Raise Invalid with every problem noted; without one nothing happens."""
        if self._problems:
            raise Invalid(self._problems)
