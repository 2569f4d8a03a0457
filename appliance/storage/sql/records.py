"""Rows of a time range, a page at a time."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from sqlglot import exp

from appliance.components.silver import Order, RecordQuery, Table
from appliance.domain.mapping import FieldType
from appliance.storage.sql.by_group import by_group
from appliance.storage.sql.conditions import where, within
from appliance.storage.sql.dialect import Dialect
from appliance.storage.sql.scope import SYSTEM_FIELDS, Scope
from appliance.storage.sql.shape import Texts, of_page
from appliance.storage.sql.statement import Statement, column, descending, name

NO_GROUPS: Final[Mapping[str, FieldType]] = MappingProxyType({})
_texts = Texts()
_PLACE = ("_time", "_seq", "_item")
_OFFERED = ("_time", "_seq", "_item", "_extra")


def select_records(
    table: Table, source: exp.Expr, query: RecordQuery, dialect: Dialect, groups: Mapping[str, FieldType] = NO_GROUPS
) -> Statement:
    """Return the statement that answers ``query``: system columns without ``_key``, then the table's columns.

    ``groups``: the fields by which rows may be found, with their types; it is answered alike without.

    Raises:
        Invalid: a field, an operator or a value is wrong; every problem, by JSON pointer.
    """
    scope = Scope({field.name: field.type for field in table.columns})
    bounds, asked = within(scope, query.start, query.end), where(scope, query.where, dialect.contains)
    beyond = _beyond(scope, query.after, query.order) if query.after is not None else []
    scope.check()
    limit = scope.bind(query.limit)
    shape = (source, dialect, table.columns, of_page(query), tuple(groups))
    if (known := _texts.get(shape)) is not None:
        return Statement(known, scope.values)
    named = [(condition.field, one) for condition, one in zip(query.where, asked, strict=True)]
    conditions = by_group(bounds, named, groups, dialect) + beyond
    tree = _tree(table, source, query.order, dialect).where(*conditions).limit(limit)
    return Statement(_texts.keep(shape, dialect.render(tree)), scope.values)


def _tree(table: Table, source: exp.Expr, order: Order, dialect: Dialect) -> exp.Select:
    shown = [(field, dialect.comparable(column(field), kind)) for field, kind in field_types(table).items()]
    selected = [exp.alias_(value, name(field)) for field, value in shown]
    return exp.select(*selected).from_(source).order_by(*(_ordered(column(one), order, dialect) for one in _PLACE))


def _ordered(value: exp.Expr, order: Order, dialect: Dialect) -> exp.Ordered:
    if order is Order.DESC:
        return descending(value, null_first=dialect.descends_from_null)
    return exp.Ordered(this=value, desc=False, nulls_first=False)


def _beyond(scope: Scope, after: tuple[datetime, int, int], order: Order) -> list[exp.Expr]:
    """Return the conditions for rows that come after ``after``; the first of them alone lets zone maps skip blocks."""
    strictly, loosely = (exp.LT, exp.LTE) if order is Order.DESC else (exp.GT, exp.GTE)
    time, seq, item = (scope.bind(part) for part in after)
    later_item = exp.and_(_compare(exp.EQ, "_seq", seq), _compare(strictly, "_item", item))
    later_seq = exp.and_(_compare(exp.EQ, "_time", time), exp.or_(_compare(strictly, "_seq", seq), later_item))
    return [_compare(loosely, "_time", time), exp.or_(_compare(strictly, "_time", time), later_seq)]


def _compare(comparison: type[exp.Binary], field: str, value: exp.Placeholder) -> exp.Binary:
    return comparison(this=column(field), expression=value.copy())


def field_types(table: Table) -> dict[str, FieldType]:
    """Return the type of every column that ``select_records`` answers, in order."""
    return {**{field: SYSTEM_FIELDS[field] for field in _OFFERED}, **{one.name: one.type for one in table.columns}}
