"""Where the rows that a page asks for may be: a rollup tells in which buckets there are none.

It never tells too little. Every row is counted in it, and where a row's value is above a threshold, so is the greatest
value of its bucket.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlglot import exp

from appliance.components.silver import Column, Condition, Order, RecordQuery, Table
from appliance.domain.mapping import FieldType
from appliance.storage.sql.conditions import where, within
from appliance.storage.sql.dialect import Dialect
from appliance.storage.sql.gold import ROWS, Gold, Op, Part, State
from appliance.storage.sql.scope import Scope
from appliance.storage.sql.shape import Texts, of_conditions, of_range
from appliance.storage.sql.source import ALIAS
from appliance.storage.sql.statement import Statement, column, descending, integer

_texts = Texts()
_TOLD: Final = {
    ">": ((Op.MAX, ">"),), ">=": ((Op.MAX, ">="),), "<": ((Op.MIN, "<"),), "<=": ((Op.MIN, "<="),),
    "=": ((Op.MIN, "<="), (Op.MAX, ">=")),
}  # fmt: skip
_THERE: Final = exp.NEQ(this=column("_part"), expression=integer(Part.KEPT.value))  # others tell of rows that are gone
_UNORDERED: Final = frozenset({FieldType.BOOLEAN, FieldType.JSON})


@dataclass(frozen=True)
class Likely:
    """A rollup, and what holds for its groups and for its states wherever there is a row that is asked for."""

    gold: Gold
    of_groups: tuple[Condition, ...]
    of_states: tuple[Condition, ...]


def likely(table: Table, query: RecordQuery, golds: Sequence[Gold]) -> Likely | None:
    """Return the rollup that tells most about where the rows are, the finest of those; None: no one tells at a glance.

    That is: by an index, so that what is looked through is less than the rows. ``query`` is known to be right.
    Rows of certain events are found by their numbers instead.
    """
    if any(one.field == "_seq" for one in query.where):
        return None
    columns = {one.name: Column(one.name, one.type) for one in table.columns}
    found = [one for gold in golds if (one := _told(gold, query, columns)) is not None]
    return max(found, key=lambda one: len(one.of_groups) + len(one.of_states), default=None)


def select_buckets(
    of: Likely, query: RecordQuery, between: tuple[datetime | None, datetime | None], most: int, dialect: Dialect
) -> Statement:
    """Return the statement that answers buckets in the order of ``query``, and how many rows each may have at most.

    A bucket may come more than once. ``between``: when they start, the end exclusive.
    """
    fields = {state.name: state.field.type for state in of.gold.main.states if state.field}
    scope = Scope({**fields, **{group.name: group.type for group in of.gold.groups}})
    conditions = within(scope, *between)
    grouped = where(scope, of.of_groups, dialect.contains)
    measured = where(scope, of.of_states, dialect.contains)
    limit = scope.bind(most)
    asked = (of_conditions(of.of_groups), of_conditions(of.of_states), of_range(*between), query.order)
    shape: Hashable = (of.gold.main.name, dialect, asked)
    if (known := _texts.get(shape)) is not None:
        return Statement(known, scope.values)
    kinds = [scope.fields[one.field] for one in of.of_groups]
    looked_up = [dialect.looked_up(one, kind) for one, kind in zip(grouped, kinds, strict=True)]
    tree = exp.select(column("_time"), column(ROWS.name)).from_(dialect.table(of.gold.main.name, ALIAS))
    tree = tree.where(*conditions, *looked_up, *measured, _THERE).limit(limit).order_by(_ordered(query.order, dialect))
    return Statement(_texts.keep(shape, dialect.render(tree)), scope.values)


def _told(gold: Gold, query: RecordQuery, columns: dict[str, Column]) -> Likely | None:
    names = {group.name for group in gold.groups}
    of_groups = tuple(one for one in query.where if one.field in names)
    of_states = tuple(state for one in query.where for state in _of_states(gold, one, columns))
    if not any(one.op == "=" for one in of_groups) and (names or not of_states):
        return None
    return Likely(gold, of_groups, of_states)


def _of_states(gold: Gold, condition: Condition, columns: dict[str, Column]) -> Iterator[Condition]:
    field = columns.get(condition.field)
    if field is None or field.type in _UNORDERED:
        return
    for op, comparison in _TOLD.get(condition.op, ()):
        state = State(op, field)
        if state in gold.main.states:
            yield Condition(state.name, comparison, condition.value)


def _ordered(order: Order, dialect: Dialect) -> exp.Ordered:
    if order is Order.DESC:
        return descending(column("_time"), null_first=dialect.descends_from_null)
    return exp.Ordered(this=column("_time"), desc=False, nulls_first=False)
