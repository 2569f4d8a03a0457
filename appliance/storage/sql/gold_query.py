"""Measures from partial counts: those of rollups and, where these do not reach, of rows counted on the way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from appliance.components.silver import Aggregation, Column, Measure, Table
from appliance.domain.mapping import FieldType
from appliance.storage.sql.aggregate import PERCENTILES, ordered
from appliance.storage.sql.by_group import by_group
from appliance.storage.sql.conditions import where, within
from appliance.storage.sql.dialect import Dialect
from appliance.storage.sql.gold import BIN, ROWS, Op, Sheet, State, bins_sheet
from appliance.storage.sql.gold_partials import BUCKET, Counting, as_they_are, count_bins, count_rows, merged, union
from appliance.storage.sql.gold_route import Route, Stretch
from appliance.storage.sql.scope import Scope
from appliance.storage.sql.shape import Texts, of_aggregation, of_range
from appliance.storage.sql.sketch import value_at
from appliance.storage.sql.source import ALIAS
from appliance.storage.sql.statement import Statement, column, integer, name
from appliance.storage.sql.sums import either, mean

_MEASURED = "m"
_texts = Texts()


@dataclass(frozen=True)
class _Build:
    """What the parts of one statement share. ``rows``: where rows are read from, under the alias ``r``."""

    query: Aggregation
    route: Route
    rows: exp.Expr
    dialect: Dialect
    scope: Scope

    @property
    def counting(self) -> Counting:
        return Counting(self.dialect, self.query.bucket_us)

    @property
    def keys(self) -> list[str]:
        """The columns that tell groups apart while partial counts are added up."""
        bucket = [BUCKET] if self.query.bucket_us is not None else []
        return [*bucket, *(group.name for group in self.route.wanted.groups)]


def aggregate_gold(table: Table, rows: exp.Expr, query: Aggregation, route: Route, dialect: Dialect) -> Statement:
    """Return the statement that answers ``query`` by ``route``: the same columns as ``aggregate`` answers."""
    scope = Scope({field.name: field.type for field in table.columns})
    build = _Build(query, route, rows, dialect, scope)
    stretches = tuple((one.gold and one.gold.main.name, *of_range(one.start, one.end)) for one in route.stretches)
    shape = (rows, dialect, table.columns, of_aggregation(query), stretches)
    if (known := _texts.get(shape)) is not None:
        for _ in range(1 + len(route.wanted.sketched)):
            for stretch in route.stretches:
                _bound(build, stretch)
        return Statement(known, scope.values)
    return Statement(_texts.keep(shape, dialect.render(_tree(build, table))), scope.values)


def _tree(build: _Build, table: Table) -> exp.Select:
    query, wanted = build.query, build.route.wanted
    sketches = {field.name: f"p{place}" for place, field in enumerate(wanted.sketched)}
    tree = (
        exp.select(*_shown(build, table, sketches)).from_(name(_MEASURED)).with_(name(_MEASURED), as_=_measured(build))
    )
    for field in wanted.sketched:
        told = sketches[field.name]
        tree = tree.with_(name(told), as_=_percentiles(build, field)).join(
            exp.Table(this=name(told)), on=_same_group(build, told), join_type="left"
        )
    tree = tree.order_by(*ordered(len(build.keys), bucketed=query.bucket_us is not None)).limit(integer(query.limit))
    build.scope.check()
    return tree


def _measured(build: _Build) -> exp.Select:
    """Return the states of each group, added up."""
    wanted = build.route.wanted
    sheet = Sheet("", wanted.groups, wanted.states)

    def part(stretch: Stretch, conditions: list[exp.Expr]) -> exp.Query:
        if stretch.gold is None:
            return count_rows(build.counting, sheet, build.rows.copy(), conditions)
        return as_they_are(build.counting, sheet, build.dialect.table(stretch.gold.main.name, ALIAS), conditions)

    states = [exp.alias_(merged(build.dialect, state), name(state.name)) for state in wanted.states]
    return _grouped(build.keys, states).from_(_every(build, part))


def _percentiles(build: _Build, field: Column) -> exp.Select:
    """Return the percentiles wanted of ``field``, by group."""
    sheet = bins_sheet("", build.route.wanted.groups)
    own = exp.EQ(this=column(sheet.keys[-2].name), expression=exp.Literal.string(field.name))

    def part(stretch: Stretch, conditions: list[exp.Expr]) -> exp.Query:
        if stretch.gold is None:
            return count_bins(build.counting, sheet, (field,), build.rows.copy(), conditions)
        return as_they_are(
            build.counting, sheet, build.dialect.table(stretch.gold.bins.name, ALIAS), [*conditions, own.copy()]
        )

    added = exp.Sum(this=column(ROWS.name))
    bins = _grouped([*build.keys, BIN.name], [exp.alias_(added, name("n"))]).from_(_every(build, part))
    group = [column(key) for key in build.keys]
    upto = exp.Window(
        this=exp.Sum(this=column("n")), partition_by=group, order=exp.Order(expressions=[column(BIN.name)])
    )
    total = exp.Window(this=exp.Sum(this=column("n")), partition_by=[key.copy() for key in group])
    ranked = exp.select(*(key.copy() for key in group), column(BIN.name)).select(
        exp.alias_(upto, name("upto")), exp.alias_(total, name("total"))
    )
    wanted = {
        measure.op for measure in build.query.measures if measure.field == field.name and measure.op in PERCENTILES
    }
    values = [exp.alias_(value_at(PERCENTILES[op]), name(op)) for op in sorted(wanted)]
    return _grouped(build.keys, values).from_(_read(ranked.from_(_read(bins))))


def _every(build: _Build, part: Callable[[Stretch, list[exp.Expr]], exp.Query]) -> exp.Expr:
    """Return the partial counts of all stretches together, under the alias ``r``."""
    parts = []
    for stretch in build.route.stretches:
        parts.append(part(stretch, _conditions(build, stretch)))
    return _read(union(parts))


def _bound(build: _Build, stretch: Stretch) -> tuple[list[exp.Expr], list[exp.Expr]]:
    """Return the bounds of a stretch, and the conditions of the question; binds the values."""
    bounds = within(build.scope, stretch.start, stretch.end)
    return bounds, where(build.scope, build.query.where, build.dialect.contains)


def _conditions(build: _Build, stretch: Stretch) -> list[exp.Expr]:
    """Return what holds for the rows or counts of a stretch; binds the values."""
    bounds, conditions = _bound(build, stretch)
    wanted = [(asked.field, one) for asked, one in zip(build.query.where, conditions, strict=True)]
    if stretch.gold is None:  # and every field that is asked for is a group of the rollups used
        return by_group(bounds, wanted, build.scope.fields, build.dialect)
    kinds = {group.name: group.type for group in stretch.gold.groups}
    return bounds + [build.dialect.looked_up(one, kinds[field]) for field, one in wanted]


def _grouped(keys: Sequence[str], values: Sequence[exp.Expr]) -> exp.Select:
    named = [exp.alias_(column(key), name(key)) for key in keys]
    return exp.select(*named, *values).group_by(*(column(key) for key in keys))


def _same_group(build: _Build, told: str) -> exp.Expr:
    kinds = {group.name: group.type for group in build.route.wanted.groups}
    same = [
        build.dialect.same(_of(_MEASURED, key), _of(told, key), kinds[key])
        if key in kinds
        else exp.EQ(this=_of(_MEASURED, key), expression=_of(told, key))
        for key in build.keys
    ]
    return exp.and_(*same) if same else exp.true()


def _shown(build: _Build, table: Table, sketches: dict[str, str]) -> list[exp.Expr]:
    """Return the columns of the answer."""
    kinds = {field.name: field.type for field in table.columns}
    shown: list[exp.Expr] = []
    if (bucket_us := build.query.bucket_us) is not None:
        start = build.dialect.bucket_start(_of(_MEASURED, BUCKET), bucket_us)
        shown.append(exp.alias_(start, name("_time")))
    for group in build.route.wanted.groups:
        own = build.dialect.comparable(_of(_MEASURED, group.name), group.type)
        shown.append(exp.alias_(_carried(own, group.type), name(group.name)))
    for measure in build.query.measures:
        kind = kinds[measure.field] if measure.field is not None else None
        if measure.op in PERCENTILES:
            value: exp.Expr = _of(sketches[str(measure.field)], measure.op)
        else:
            value = _value(build, measure, kind)
        shown.append(exp.alias_(value, name(measure.name)))
    return shown


def _value(build: _Build, measure: Measure, kind: FieldType | None) -> exp.Expr:
    def state(op: Op) -> exp.Column:
        field = Column(measure.field, kind) if measure.field is not None and kind is not None else None
        return _of(_MEASURED, State(op, field).name)

    match measure.op:
        case "count":
            counted = state(Op.COUNT) if measure.field is not None else state(Op.ROWS)
            return exp.Coalesce(this=counted, expressions=[integer(0)])
        case "sum" | "avg":
            total: exp.Expr = state(Op.SUM)
            if kind is FieldType.DECIMAL:
                total = either(exp.cast(total, "DOUBLE"), state(Op.REST))
            return total if measure.op == "sum" else mean(total, state(Op.COUNT))
    found: exp.Expr = state(Op(measure.op))
    return _carried(found if kind is None else build.dialect.comparable(found, kind), kind)


def _carried(value: exp.Expr, kind: FieldType | None) -> exp.Expr:
    return exp.cast(value, "DOUBLE") if kind is FieldType.DECIMAL else value


def _read(query: exp.Query) -> exp.Expr:
    return exp.Subquery(this=query, alias=exp.TableAlias(this=name(ALIAS)))


def _of(source: str, field: str) -> exp.Column:
    return exp.Column(this=name(field), table=name(source))
