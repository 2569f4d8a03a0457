"""``where``: conditions on fields become expressions."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlglot import exp

from appliance.components.silver import Condition
from appliance.domain.mapping import FieldType
from appliance.storage.sql.scope import Scope, closest
from appliance.storage.sql.statement import column
from appliance.storage.sql.values import checked

MOST_ALTERNATIVES = 1000
Contains = Callable[[exp.Expr, exp.Expr], exp.Expr]  # a dialect's

_COMPARISONS: dict[str, type[exp.Binary]] = {
    "=": exp.EQ, "<>": exp.NEQ, "<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE,
}  # fmt: skip
_ORDERED = frozenset(FieldType) - {FieldType.JSON, FieldType.BOOLEAN}
_TEXT = frozenset({FieldType.STRING, FieldType.JSON})
OPERATORS = (*_COMPARISONS, "in", "contains", "is_null", "not_null")


def where(scope: Scope, conditions: Sequence[Condition], contains: Contains) -> list[exp.Expr]:
    """Return one expression for each condition; what is wrong is noted in ``scope`` under ``/where/<n>``."""
    built = [_condition(scope, one, f"/where/{place}", contains) for place, one in enumerate(conditions)]
    return [expression for expression in built if expression is not None]


def within(scope: Scope, start: datetime | None, end: datetime | None) -> list[exp.Expr]:
    """Return the bounds on ``_time``: ``start`` inclusive, ``end`` exclusive."""
    bounds: list[exp.Expr] = []
    for pointer, value, comparison in (("/from", start, exp.GTE), ("/to", end, exp.LT)):
        bound = _bound(scope, value, FieldType.TIMESTAMP, pointer) if value is not None else None
        if bound is not None:
            bounds.append(comparison(this=column("_time"), expression=bound))
    return bounds


def _condition(scope: Scope, condition: Condition, pointer: str, contains: Contains) -> exp.Expr | None:
    kind = scope.field(condition.field, f"{pointer}/field")
    if condition.op not in OPERATORS:
        hint = closest(condition.op, OPERATORS) or f"operators are {'  '.join(OPERATORS)}"
        scope.refuse(f"{pointer}/op", f"there is no operator {condition.op!r}", hint)
        return None
    if kind is None or not _allowed(scope, condition, kind, pointer):
        return None
    this = column(condition.field)
    match condition.op:
        case "is_null":
            return exp.Is(this=this, expression=exp.Null())
        case "not_null":
            return exp.Not(this=exp.Is(this=this, expression=exp.Null()))
        case "in":
            return _one_of(scope, this, kind, condition.value, pointer)
    value = _bound(scope, condition.value, kind, f"{pointer}/value")
    if value is None:
        return None
    if condition.op == "contains":
        return contains(this, value)
    return _COMPARISONS[condition.op](this=this, expression=value)


def _allowed(scope: Scope, condition: Condition, kind: FieldType, pointer: str) -> bool:
    op, hint = condition.op, None
    if op in ("is_null", "not_null"):
        return True
    if op == "contains":
        fits, hint = kind in _TEXT, "contains searches text"
    elif op in ("=", "<>", "in"):
        fits, hint = kind is not FieldType.JSON, "JSON can be searched with contains"
    else:
        fits = kind in _ORDERED
    if not fits:
        scope.refuse(f"{pointer}/op", f"{op!r} does not fit {condition.field!r}, which is of type {kind.value}", hint)
    return fits


def _one_of(scope: Scope, this: exp.Column, kind: FieldType, values: Any, pointer: str) -> exp.Expr | None:
    if not isinstance(values, (list, tuple)) or not 1 <= len(values) <= MOST_ALTERNATIVES:
        scope.refuse(f"{pointer}/value", f"'in' expects a list of 1 to {MOST_ALTERNATIVES} values")
        return None
    bound = [_bound(scope, value, kind, f"{pointer}/value/{place}") for place, value in enumerate(values)]
    return exp.In(this=this, expressions=[value for value in bound if value is not None])


def _bound(scope: Scope, value: Any, kind: FieldType, pointer: str) -> exp.Placeholder | None:
    if value is None:
        scope.refuse(pointer, "null equals nothing", "use is_null or not_null")
        return None
    try:
        return scope.bind(checked(value, kind))
    except ValueError as error:
        scope.refuse(pointer, str(error))
        return None
