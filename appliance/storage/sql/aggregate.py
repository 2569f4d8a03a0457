"""Measures over rows, by time bucket and group."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlglot import exp

from appliance.components.silver import Aggregation, Measure, Table
from appliance.domain.mapping import FieldType
from appliance.storage.sql.conditions import where, within
from appliance.storage.sql.dialect import WIDEST_BUCKET_US, Dialect
from appliance.storage.sql.scope import Scope, closest
from appliance.storage.sql.shape import Texts, of_aggregation
from appliance.storage.sql.statement import Statement, column, integer, name
from appliance.storage.sql.sums import mean_of, sum_of

PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_texts = Texts()
_NUMBERS = frozenset({FieldType.INTEGER, FieldType.FLOAT, FieldType.DECIMAL})
_ANY = frozenset(FieldType)
_FITS = {
    "count": _ANY, "sum": _NUMBERS, "avg": _NUMBERS, "last": _ANY, "distinct": _ANY,
    "min": _ANY - {FieldType.JSON}, "max": _ANY - {FieldType.JSON}, **dict.fromkeys(PERCENTILES, _NUMBERS),
}  # fmt: skip


@dataclass(frozen=True)
class Build:
    """What the parts of one statement share. ``one_in``: percentiles come from one row in so many (1: from all)."""

    scope: Scope
    dialect: Dialect
    one_in: int
    shares: dict[str, tuple[float, ...]]  # field → the percentiles wanted of it: one aggregate serves them all


def aggregate(table: Table, source: exp.Expr, query: Aggregation, dialect: Dialect, *, one_in: int = 1) -> Statement:
    """Return the statement that answers ``query``.

    Raises:
        Invalid: a field, measure, operator or value is wrong; every problem, by JSON pointer.
    """
    scope = Scope({field.name: field.type for field in table.columns})
    shape = (source, dialect, table.columns, one_in, of_aggregation(query))
    if (known := _texts.get(shape)) is not None:
        within(scope, query.start, query.end)
        where(scope, query.where, dialect.contains)
        scope.check()
        return Statement(known, scope.values)
    build = Build(scope, dialect, one_in, _shares(query.measures))
    keys = _keys(build, query)
    measures: list[tuple[str, exp.Expr | None]] = [
        (measure.name, _measure(build, measure, f"/measures/{place}")) for place, measure in enumerate(query.measures)
    ]
    _distinct_names(scope, query)
    conditions = within(scope, query.start, query.end) + where(scope, query.where, dialect.contains)
    scope.check()
    shown = [*((told, expression) for told, expression, _ in keys), *measures]
    selected = [exp.alias_(expression, name(told)) for told, expression in shown if expression is not None]
    tree = exp.select(*selected).from_(source).where(*conditions).limit(integer(query.limit))
    if keys:
        tree = tree.group_by(*(grouped for _, _, grouped in keys))
    tree = tree.order_by(*ordered(len(keys), bucketed=query.bucket_us is not None))
    return Statement(_texts.keep(shape, dialect.render(tree)), scope.values)


def count_matching(table: Table, source: exp.Expr, query: Aggregation, dialect: Dialect) -> Statement:
    """Return the statement that counts the rows ``query`` looks at."""
    whole = Aggregation(measures=(Measure("count", None, "n"),), start=query.start, end=query.end, where=query.where)
    return aggregate(table, source, whole, dialect)


def wants_percentiles(query: Aggregation) -> bool:
    """Return whether a measure is a percentile, which costs memory in proportion to the rows."""
    return any(measure.op in PERCENTILES for measure in query.measures)


def _shares(measures: Iterable[Measure]) -> dict[str, tuple[float, ...]]:
    wanted: dict[str, set[float]] = {}
    for measure in measures:
        if measure.op in PERCENTILES and measure.field is not None:
            wanted.setdefault(measure.field, set()).add(PERCENTILES[measure.op])
    return {field: tuple(sorted(shares)) for field, shares in wanted.items()}


def _keys(build: Build, query: Aggregation) -> list[tuple[str, exp.Expr, exp.Expr]]:
    """Return the name, what is shown and what is grouped by."""
    keys: list[tuple[str, exp.Expr, exp.Expr]] = []
    if query.bucket_us is not None:
        width = min(max(1, query.bucket_us), WIDEST_BUCKET_US)
        if width != query.bucket_us:
            told = f"expected a bucket of 1 µs to {WIDEST_BUCKET_US} µs, got {query.bucket_us} µs"
            build.scope.refuse("/bucket", told)
        bucket = build.dialect.bucket(width)
        keys.append(("_time", build.dialect.bucket_start(bucket.copy(), width), bucket))
    for place, field in enumerate(query.group_by):
        kind = build.scope.field(field, f"/group_by/{place}")
        if kind is not None:
            grouped = build.dialect.comparable(column(field), kind)
            keys.append((field, _carried(grouped.copy(), kind), grouped))
    return keys


def _measure(build: Build, measure: Measure, pointer: str) -> exp.Expr | None:
    fits = _FITS.get(measure.op)
    if fits is None:
        hint = closest(measure.op, _FITS) or f"measures are {', '.join(_FITS)}"
        build.scope.refuse(f"{pointer}/op", f"there is no measure {measure.op!r}", hint)
    if measure.field is None:
        if fits is not None and measure.op != "count":
            build.scope.refuse(f"{pointer}/field", f"{measure.op!r} needs a field")
        return exp.Count(this=exp.Star())
    kind = build.scope.field(measure.field, f"{pointer}/field")
    if kind is None or fits is None:
        return None
    if kind not in fits:
        told = f"{measure.op!r} does not fit {measure.field!r}, which is of type {kind.value}"
        build.scope.refuse(f"{pointer}/op", told, f"it needs {' or '.join(sorted(one.value for one in fits))}")
        return None
    expression = _expression(build, measure.op, measure.field, kind)
    if measure.op in ("min", "max", "last"):
        return _carried(build.dialect.comparable(expression, kind), kind)
    return expression


def _carried(value: exp.Expr, kind: FieldType) -> exp.Expr:
    """Return decimals as floats, which JSON can carry; the sum itself is exact."""
    return exp.cast(value, "DOUBLE") if kind is FieldType.DECIMAL else value


def _expression(build: Build, op: str, field: str, kind: FieldType) -> exp.Expr:
    value, dialect = column(field), build.dialect
    if op in PERCENTILES:
        shares = build.shares[field]
        every = dialect.percentiles(value, shares, build.one_in)
        return dialect.percentile(every, shares.index(PERCENTILES[op]))
    match op:
        case "last":
            return dialect.last(value, kind)
        case "distinct":
            return exp.Count(this=exp.Distinct(expressions=[dialect.comparable(value, kind)]))
        case "count":
            return exp.Count(this=value)
        case "sum":
            return sum_of(value, kind, dialect)
        case "avg":
            return mean_of(value, kind, dialect)
    return dialect.extreme(exp.Min if op == "min" else exp.Max, value, kind)


def _distinct_names(scope: Scope, query: Aggregation) -> None:
    if not query.measures:
        scope.refuse("/measures", "expected at least one measure")
    taken = {"_time"} if query.bucket_us is not None else set()
    named = [(f"/group_by/{place}", field) for place, field in enumerate(query.group_by)]
    named += [(f"/measures/{place}/as", measure.name) for place, measure in enumerate(query.measures)]
    for pointer, told in named:
        if told.lower() in taken:
            scope.refuse(pointer, f"two columns of the answer are named {told!r}", "give one another name with 'as'")
        taken.add(told.lower())


def ordered(keys: int, *, bucketed: bool) -> list[exp.Ordered]:
    by_key = [exp.Ordered(this=integer(place + 1), nulls_first=False) for place in range(keys)]
    return by_key if bucketed else [exp.Ordered(this=integer(keys + 1), desc=True, nulls_first=False), *by_key]
