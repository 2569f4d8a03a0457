"""Where databases differ: the few functions that reading rows needs. One class a database."""

from collections.abc import Sequence
from typing import Protocol

from sqlglot import exp

from appliance.domain.mapping import FieldType
from appliance.storage.sql.statement import column, integer, name

FEW_ROWS = 64  # a group of which the sample has fewer is looked at by itself
WIDEST_BUCKET_US = 10**15 * 30  # some 950 years
LARGEST_EXACT = 10**18  # decimals up to here: 10**11 of them add up without overflow


class Dialect(Protocol):
    """Functions of one database. ``sqlglot_name`` says how the rest of the tree is written, by ``render`` only."""

    @property
    def sqlglot_name(self) -> str: ...

    @property
    def descends_from_null(self) -> bool:
        """Whether an index read backwards gives nulls first; where there are none, an order must say so to use it."""
        ...

    def render(self, tree: exp.Expr) -> str:
        """Return ``tree`` as the driver wants it; with values beside it, even if there are none."""
        ...

    def table(self, told: str, alias: str | None = None) -> exp.Table:
        """Return the table of that name, where this organisation's are."""
        ...

    def physical(self, told: str) -> str:
        """Return what a column of a rows table is called there that ``physical_name`` calls ``told``."""
        ...

    def told(self, physical: str) -> str:
        """Return what ``physical`` was made of, as far as it can be said, in lower case if the database's names are."""
        ...

    def type_name(self, kind: FieldType) -> str:
        """Return the type to cast to."""
        ...

    def comparable(self, value: exp.Expr, kind: FieldType) -> exp.Expr:
        """Return ``value`` as something that can be grouped, counted and told apart: JSON by its text."""
        ...

    def same(self, one: exp.Expr, other: exp.Expr, kind: FieldType) -> exp.Expr:
        """Return whether both are the same, null and null too, such that tables can be joined by it."""
        ...

    def as_text(self, value: exp.Expr, kind: FieldType) -> exp.Expr:
        """Return a value of ``kind`` as text: as JSON would have it, instants by RFC 3339."""
        ...

    def total(self, value: exp.Expr, kind: FieldType) -> exp.Expr:
        """Return the sum: of integers and decimals exact; of floats infinite where it is too large for one.

        Of decimals, ``value`` must be at most ``LARGEST_EXACT``.
        """
        ...

    def extreme(self, how: type[exp.Min | exp.Max], value: exp.Expr, kind: FieldType) -> exp.Expr:
        """Return the least or the greatest value; false is less than true, text is compared by code point."""
        ...

    def row_hash(self, values: Sequence[exp.Expr], salt: int) -> exp.Expr:
        """Return a 64-bit hash of several values, null included; another one for another ``salt``."""
        ...

    def bucket(self, width_us: int) -> exp.Expr:
        """Return what tells the bucket of ``_time`` from others, to group by. One starts at 1970-01-01 UTC."""
        ...

    def bucket_start(self, bucket: exp.Expr, width_us: int) -> exp.Expr:
        """Return the instant at which ``bucket`` starts. Once a group, so it may be slow."""
        ...

    def contains(self, text: exp.Expr, part: exp.Expr) -> exp.Expr:
        """Return whether ``text`` has ``part`` in it, literally and with respect to case."""
        ...

    def looked_up(self, condition: exp.Expr, kind: FieldType) -> exp.Expr:
        """Return a condition on a group of a rollup, a column of ``kind``, such that an index of its finds the rows."""
        ...

    def bounds_of_bins(self, bounds: Sequence[exp.Expr]) -> list[exp.Expr]:
        """Return what else holds wherever ``bounds`` of ``_time`` do, if an index of rows by group has it."""
        ...

    def percentiles(self, value: exp.Expr, shares: Sequence[float], one_in: int) -> exp.Expr:
        """Return an array with the value at each of ``shares`` (0 … 1) of the group.

        ``one_in`` 1: exact. Else, a power of two: from a sample of one row in so many, always the same rows, and from
        at least ``FEW_ROWS`` of each group or all it has. A database that need not keep all values in memory may answer
        exactly all the same.
        """
        ...

    def percentile(self, every: exp.Expr, place: int) -> exp.Expr:
        """Return one of ``percentiles``, counted from 0."""
        ...

    def last(self, value: exp.Expr, kind: FieldType) -> exp.Expr:
        """Return the value, not null, of the row that is the last by (_time, _seq, _item)."""
        ...

    def place(self) -> exp.Expr:
        """Return something of the row that orders like (_time, _seq, _item)."""
        ...

    def latest(self, value: exp.Expr, place: exp.Expr, kind: FieldType) -> exp.Expr:
        """Return the value, not null, where ``place`` is greatest."""
        ...


class DuckDb:
    """DuckDB 2.0."""

    sqlglot_name = "duckdb"
    descends_from_null = False
    _TYPES = {
        FieldType.STRING: "VARCHAR",
        FieldType.INTEGER: "BIGINT",
        FieldType.FLOAT: "DOUBLE",
        FieldType.DECIMAL: "DECIMAL(38,9)",
        FieldType.BOOLEAN: "BOOLEAN",
        FieldType.TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
        FieldType.JSON: "JSON",
    }

    def render(self, tree: exp.Expr) -> str:
        return tree.sql(self.sqlglot_name)

    def table(self, told: str, alias: str | None = None) -> exp.Table:
        return exp.Table(this=name(told), alias=exp.TableAlias(this=name(alias)) if alias else None)

    def physical(self, told: str) -> str:
        return told

    def told(self, physical: str) -> str:
        return physical

    def type_name(self, kind: FieldType) -> str:
        return self._TYPES[kind]

    def comparable(self, value: exp.Expr, kind: FieldType) -> exp.Expr:
        return value

    def same(self, one: exp.Expr, other: exp.Expr, kind: FieldType) -> exp.Expr:
        return exp.NullSafeEQ(this=one, expression=other)

    def as_text(self, value: exp.Expr, kind: FieldType) -> exp.Expr:
        if kind is FieldType.TIMESTAMP:
            return call("strftime", value, exp.Literal.string("%Y-%m-%dT%H:%M:%S.%fZ"))
        text = exp.cast(value, "VARCHAR", dialect="duckdb")
        if kind is FieldType.DECIMAL:  # always nine places: 1.500000000
            return call("rtrim", call("rtrim", text, exp.Literal.string("0")), exp.Literal.string("."))
        return text

    def total(self, value: exp.Expr, kind: FieldType) -> exp.Expr:
        return exp.Sum(this=value)

    def extreme(self, how: type[exp.Min | exp.Max], value: exp.Expr, kind: FieldType) -> exp.Expr:
        return how(this=value)

    def row_hash(self, values: Sequence[exp.Expr], salt: int) -> exp.Expr:
        return call("hash", integer(salt), *(value.copy() for value in values))

    def bucket(self, width_us: int) -> exp.Expr:
        # three times as fast as time_bucket(), which asks ICU for every TIMESTAMPTZ; // rounds towards zero
        instant, width = call("epoch_us", column("_time")), integer(width_us)
        before = exp.LT(this=instant, expression=integer(0))
        down = exp.IntDiv(this=exp.paren(instant - integer(width_us - 1)), expression=width)
        return exp.Case().when(before, down).else_(exp.IntDiv(this=instant.copy(), expression=width.copy()))

    def bucket_start(self, bucket: exp.Expr, width_us: int) -> exp.Expr:
        return call("make_timestamptz", exp.paren(bucket) * integer(width_us))

    def contains(self, text: exp.Expr, part: exp.Expr) -> exp.Expr:
        return call("contains", exp.cast(text, "VARCHAR", dialect="duckdb"), part)

    def looked_up(self, condition: exp.Expr, kind: FieldType) -> exp.Expr:
        return condition

    def bounds_of_bins(self, bounds: Sequence[exp.Expr]) -> list[exp.Expr]:
        return []

    def percentiles(self, value: exp.Expr, shares: Sequence[float], one_in: int) -> exp.Expr:
        # not reservoir_quantile(): in 2.0 its sample is the first rows; not approx_quantile(): slower than exact
        wanted = exp.Array(expressions=[exp.Literal.number(share) for share in shares])
        number = exp.cast(value, "DOUBLE", dialect="duckdb")
        exact = call("quantile_cont", number, wanted)
        if one_in == 1:
            return exact
        chance = call("hash", column("_seq"), column("_item"))
        chosen = exp.paren(exp.BitwiseAnd(this=chance, expression=integer(one_in - 1))).eq(integer(0))
        least = call("arg_min", number, chance, integer(FEW_ROWS))  # passes over nulls
        enough = exp.GTE(this=only(exp.Count(this=number), chosen), expression=integer(FEW_ROWS))
        few = call("list_aggregate", least, exp.Literal.string("quantile_cont"), wanted)
        return exp.Case().when(enough, only(exact, chosen)).else_(few)

    def percentile(self, every: exp.Expr, place: int) -> exp.Expr:
        return exp.Bracket(this=exp.paren(every), expressions=[integer(place)], offset=0)

    def last(self, value: exp.Expr, kind: FieldType) -> exp.Expr:
        return self.latest(value, self.place(), kind)

    def place(self) -> exp.Expr:
        # one HUGEINT compares four times as fast as a row of three: 2^63 time + 2^20 seq + item
        instant = exp.cast(call("epoch_us", column("_time")), "HUGEINT", dialect="duckdb")
        seq = exp.cast(column("_seq"), "HUGEINT", dialect="duckdb") * integer(1 << 20)
        item = call("least", column("_item"), integer((1 << 20) - 1))
        return instant * integer(1 << 63) + seq + item

    def latest(self, value: exp.Expr, place: exp.Expr, kind: FieldType) -> exp.Expr:
        return call("arg_max", value, place)


def only(aggregate: exp.Expr, condition: exp.Expr) -> exp.Expr:
    """Return the aggregate of those rows for which ``condition`` holds."""
    return exp.Filter(this=aggregate.copy(), expression=exp.Where(this=condition.copy()))


def call(function: str, *arguments: exp.Expr) -> exp.Expr:
    """Call a function by the name the database knows it under (sqlglot would translate the ones it knows)."""
    return exp.Anonymous(this=function, expressions=list(arguments))
