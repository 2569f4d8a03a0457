"""A mapping, understood: every value with its type, where it comes from and what it is computed from."""

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.domain.mapping import Contract, Field, FieldType, Unmapped
from appliance.mapping.expression import Expression
from appliance.mapping.path import Path

MOMENT = "moment"  # SQL name of the event's time


@dataclass(frozen=True)
class Formula:
    """A checked expression as DuckDB SQL. ``inputs``: SQL name → name as written; ``held``: DuckDB's type of it."""

    expression: Expression
    sql: str
    inputs: dict[str, str]
    held: str

    @property
    def text(self) -> str:
        return self.expression.text


@dataclass(frozen=True)
class Value:
    """One value of a row: a declared field, or a top-level name of the event that an expression or the key uses.

    ``column`` is its SQL name; exactly one of ``path`` and ``formula`` is there.
    """

    name: str
    column: str
    type: FieldType
    path: Path | None = None
    formula: Formula | None = None
    rules: Field | None = None  # None: not declared, not a column of the table


@dataclass(frozen=True)
class Moment:
    """Where the event's time stands and how it is written."""

    path: Path
    form: str


@dataclass(frozen=True)
class Plan:
    """``values``: fields in the order of the document, then undeclared names. ``levels``: computed values, each level
    needing only earlier ones. ``key``: SQL names; empty: rows are not keyed. ``unmapped``: as the contract has it."""

    values: tuple[Value, ...]
    levels: tuple[tuple[Value, ...], ...]
    time: Moment | None
    explode: Path | None
    where: Formula | None
    key: tuple[str, ...]
    unmapped: Unmapped
    contract: Contract | None = None

    @property
    def fields(self) -> tuple[Value, ...]:
        return tuple(value for value in self.values if value.rules is not None)

    def needed_by(self, formula: Formula) -> frozenset[str]:
        """Return the SQL names of all values that ``formula`` needs, directly or through other formulas."""
        return self._closure(formula.inputs)

    @property
    def indispensable(self) -> frozenset[str]:
        """Return the SQL names of what no row can do without: required fields, and what key and ``where`` need."""
        required = {value.column for value in self.fields if value.rules is not None and value.rules.required}
        return self._closure({*required, *self.key, *(self.where.inputs if self.where else ())})

    def _closure(self, columns: Iterable[str]) -> frozenset[str]:
        """Return ``columns`` and whatever their formulas need."""
        formulas = {value.column: value.formula for value in self.values}
        found: set[str] = set()
        pending = list(columns)
        while pending:
            column = pending.pop()
            inner = formulas.get(column)
            if column not in found:
                found.add(column)
                pending.extend(inner.inputs if inner else ())
        return frozenset(found)
