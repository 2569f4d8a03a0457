"""Counting rows into partial counts, and adding partial counts up. All of it reads from something named ``r``."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from appliance.components.silver import Column
from appliance.domain.mapping import FieldType
from appliance.storage.sql.dialect import Dialect, only
from appliance.storage.sql.gold import BIN, Op, Part, Sheet, State
from appliance.storage.sql.sketch import bin_of
from appliance.storage.sql.statement import column, integer, name
from appliance.storage.sql.sums import exact_sum, sum_of_rest

BUCKET = "_bucket"
_EXTREMES: dict[Op, type[exp.Min | exp.Max]] = {Op.MIN: exp.Min, Op.MAX: exp.Max}


@dataclass(frozen=True)
class Counting:
    """How rows, or partial counts, are put together.

    ``bucket_us``: the width of buckets; None: all in one. ``part``: what they are; None: ``_bucket``, the number of the
    bucket, is selected instead of ``_time`` and ``_part``, for adding up further.
    """

    dialect: Dialect
    bucket_us: int | None
    part: Part | None = None


def count_rows(of: Counting, sheet: Sheet, source: exp.Expr, conditions: Sequence[exp.Expr]) -> exp.Select:
    """Return the partial counts of rows."""
    return _grouped(of, sheet.keys, [_alias(_counted(of.dialect, one), one.name) for one in sheet.states]).from_(
        source
    ).where(*conditions)  # fmt: skip


def count_bins(
    of: Counting, sheet: Sheet, fields: Sequence[Column], source: exp.Expr, conditions: Sequence[exp.Expr]
) -> exp.Query:
    """Return the counts of the bins of ``fields``, which are numbers."""
    return union([_bins(of, sheet, field, source, conditions) for field in fields])


def add_up(of: Counting, sheet: Sheet, source: exp.Expr, conditions: Sequence[exp.Expr]) -> exp.Select:
    """Return partial counts added up to those of ``sheet``, whose keys and states ``source`` has."""
    selected = [_alias(merged(of.dialect, one), one.name) for one in sheet.states]
    return _grouped(of, sheet.keys, selected).from_(source).where(*conditions)


def as_they_are(of: Counting, sheet: Sheet, source: exp.Expr, conditions: Sequence[exp.Expr]) -> exp.Select:
    """Return partial counts by bucket number, not added up yet."""
    bucket = of.dialect.bucket(of.bucket_us) if of.bucket_us else integer(0)
    names = [*(key.name for key in sheet.keys), *(state.name for state in sheet.states)]
    named = [_alias(column(one), one) for one in names]
    return exp.select(_alias(bucket, BUCKET), *named).from_(source).where(*conditions)


def merged(dialect: Dialect, state: State) -> exp.Expr:
    """Return the aggregate that adds up a state; null where it is of no rows."""
    value, kind = column(state.name), state.field.type if state.field else FieldType.INTEGER
    match state.op:
        case Op.LAST:
            return dialect.latest(value, column(State(Op.PLACE, state.field).name), kind)
        case Op.MIN | Op.MAX:
            return dialect.extreme(_EXTREMES[state.op], value, kind)
        case Op.PLACE | Op.SEQ:
            return exp.Max(this=value)
        case Op.SUM:
            return dialect.total(value, kind)
    return exp.Sum(this=value)


def union(parts: Sequence[exp.Query]) -> exp.Query:
    """Return the rows of all ``parts``, at least one."""
    first, *others = parts
    return exp.union(first, *others, distinct=False, copy=False) if others else first


def _grouped(of: Counting, keys: Sequence[Column], states: Sequence[exp.Expr]) -> exp.Select:
    groups = [column(key.name) for key in keys]
    named = [_alias(group.copy(), key.name) for group, key in zip(groups, keys, strict=True)]
    bucket = of.dialect.bucket(of.bucket_us) if of.bucket_us else None
    if of.part is None:
        own = [_alias(bucket.copy() if bucket else integer(0), BUCKET)]
    else:
        start = of.dialect.bucket_start(bucket.copy(), of.bucket_us) if bucket and of.bucket_us else exp.Null()
        own = [_alias(start, "_time"), _alias(integer(of.part.value), "_part")]
    grouping = [bucket, *groups] if bucket else groups
    return exp.select(*own, *named, *states).group_by(*grouping)


def _counted(dialect: Dialect, state: State) -> exp.Expr:
    if state.field is None:
        return exp.Count(this=exp.Star()) if state.op is Op.ROWS else exp.Max(this=column("_seq"))
    value, kind = column(state.field.name), state.field.type
    match state.op:
        case Op.LAST:
            return dialect.last(value, kind)
        case Op.PLACE:
            return only(exp.Max(this=dialect.place()), exp.Not(this=exp.Is(this=value, expression=exp.Null())))
        case Op.SUM if kind is FieldType.DECIMAL:
            return exact_sum(value, dialect)
        case Op.REST:
            return sum_of_rest(value)
        case Op.SUM:
            return dialect.total(value, kind)
        case Op.MIN | Op.MAX:
            return dialect.extreme(_EXTREMES[state.op], value, kind)
    return exp.Count(this=value)


def _bins(of: Counting, sheet: Sheet, field: Column, source: exp.Expr, conditions: Sequence[exp.Expr]) -> exp.Select:
    value = column(field.name)
    groups = sheet.keys[:-2]
    known = exp.Not(this=exp.Is(this=value, expression=exp.Null()))
    own = [
        _alias(exp.Literal.string(field.name), sheet.keys[-2].name),
        _alias(bin_of(value), BIN.name),
        *(_alias(_counted(of.dialect, one), one.name) for one in sheet.states),
    ]
    return _grouped(of, groups, own).from_(source).where(*conditions, known).group_by(bin_of(value))


def _alias(value: exp.Expr, told: str) -> exp.Expr:
    aliased: exp.Expr = exp.alias_(value, name(told))
    return aliased
