"""PostgreSQL 14 or newer, and what makes it answer what DuckDB answers.

A session has ``TimeZone`` UTC, ``DateStyle`` ISO and ``extra_float_digits`` 1 or more; the database has encoding UTF8.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlglot import exp

from appliance.domain.mapping import FieldType
from appliance.storage.sql.dialect import call
from appliance.storage.sql.statement import column, integer, name

_INDEXED: Final = 64  # characters of a text, of which eight fit into a row of an index
LONGEST_NAME: Final = 63  # in bytes; the server cuts off what is longer, and then two names may be one
PLACE_DIGITS: Final = 48
PLACE_OFFSET: Final = 1 << 62  # makes instants in µs numbers of 19 digits, in every year there is
SEQ_DIGITS: Final = 19
ITEM_DIGITS: Final = 10
ROWS_BIN_US: Final = 600_000_000  # by which rows are found beside their group; rows of a bin share an entry of a tree
_LARGEST: Final = (2 - 2.0**-52) * 2.0**1023
_LEAST: Final = 2.0**-1074
_OF_TWO: Final = 2.0**-1  # of floats that are subtracted: the difference is a float too
_OF_MANY: Final = 2.0**-64  # of floats that are added up, so many as there can be
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BEFORE_ALL: Final = 62_200_000_000_000_000  # in µs: so long before 1970 is before the year 1
_TYPES: Final = {
    FieldType.STRING: "TEXT",
    FieldType.INTEGER: "BIGINT",
    FieldType.FLOAT: "DOUBLE PRECISION",
    FieldType.DECIMAL: "NUMERIC(38,9)",
    FieldType.BOOLEAN: "BOOLEAN",
    FieldType.TIMESTAMP: "TIMESTAMPTZ",
    FieldType.JSON: "JSON",  # not JSONB: what was sent stays as it was written
}
_ZEROS: Final = {
    FieldType.STRING: "", FieldType.INTEGER: "0", FieldType.FLOAT: "0", FieldType.DECIMAL: "0",
    FieldType.BOOLEAN: "false", FieldType.TIMESTAMP: "epoch",
}  # fmt: skip
_SYSTEM_COLUMNS: Final = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


@dataclass(frozen=True)
class PostgreSql:
    """``schema``: where the organisation's tables are; None: where the session's search path finds them.

    What is rendered is for psycopg, which binds on the server: values are ``%(v0)s``, every other ``%`` is doubled.
    Of answers: JSON comes as text, and whatever comes as NUMERIC is a whole number.
    """

    schema: str | None = None

    sqlglot_name = "postgres"
    descends_from_null = True

    def render(self, tree: exp.Expr) -> str:
        if any(_as_sent(node) != node.name for node in tree.find_all(exp.Identifier, exp.Literal)):
            tree = tree.copy()  # a part of it may be in another tree too
            for node in tree.find_all(exp.Identifier, exp.Literal):
                node.set("this", _as_sent(node))
        return tree.sql(self.sqlglot_name)

    def table(self, told: str, alias: str | None = None) -> exp.Table:
        schema = name(self.schema) if self.schema is not None else None
        return exp.Table(this=name(told), db=schema, alias=exp.TableAlias(this=name(alias)) if alias else None)

    def quoted(self, told: str) -> str:
        """Return the name of a table as SQL; for statements that are not trees."""
        return ".".join(quoted(one) for one in (self.schema, told) if one is not None)

    def physical(self, told: str) -> str:
        """Lower case, because names that differ by case alone are one column; never one of the server's own."""
        lower = told.lower()
        return fitted(f"{lower}#" if lower in _SYSTEM_COLUMNS else lower)

    def told(self, physical: str) -> str:
        return physical.removesuffix("#")

    def type_name(self, kind: FieldType) -> str:
        return _TYPES[kind]

    def column_type(self, kind: FieldType) -> str:
        """Return the type to make a column with: text is compared and ordered by code point, as DuckDB does."""
        return f'{_TYPES[kind]} COLLATE "C"' if kind is FieldType.STRING else _TYPES[kind]

    def comparable(self, value: exp.Expr, kind: FieldType) -> exp.Expr:
        return _collated(_text(value)) if kind is FieldType.JSON else value

    def same(self, one: exp.Expr, other: exp.Expr, kind: FieldType) -> exp.Expr:
        # IS NOT DISTINCT FROM can be joined by comparing each with each only
        zero = exp.cast(exp.Literal.string(_ZEROS[kind]), _TYPES[kind], dialect="postgres")
        values = [exp.Coalesce(this=value, expressions=[zero.copy()]) for value in (one, other)]
        nulls = [exp.paren(exp.Is(this=value.copy(), expression=exp.Null())) for value in (one, other)]
        return exp.and_(*(exp.EQ(this=left, expression=right) for left, right in (values, nulls)))

    def as_text(self, value: exp.Expr, kind: FieldType) -> exp.Expr:
        if kind is FieldType.TIMESTAMP:
            local = exp.AtTimeZone(this=value, zone=exp.Literal.string("UTC"))
            text = call("to_char", local, exp.Literal.string('YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
        elif kind is FieldType.FLOAT:
            text = _float_text(_text(value))
        elif kind is FieldType.DECIMAL:  # always nine places: 1.500000000
            text = call("rtrim", call("rtrim", _text(value), exp.Literal.string("0")), exp.Literal.string("."))
        else:
            text = _text(value)
        return _collated(text)

    def total(self, value: exp.Expr, kind: FieldType) -> exp.Expr:
        if kind is not FieldType.FLOAT:
            return exp.Sum(this=value)
        return _unscaled(exp.Sum(this=_scaled(value, _OF_MANY)), _OF_MANY)

    def extreme(self, how: type[exp.Min | exp.Max], value: exp.Expr, kind: FieldType) -> exp.Expr:
        if kind is FieldType.BOOLEAN:
            return call("bool_and" if how is exp.Min else "bool_or", value)
        return how(this=value)

    def row_hash(self, values: Sequence[exp.Expr], salt: int) -> exp.Expr:
        """Another one than DuckDB's: it is compared with others of the same server only."""
        row = call("row", *(value.copy() for value in values))
        return call("hash_record_extended", row, integer(salt))

    def bucket(self, width_us: int) -> exp.Expr:
        """Where it starts: twenty times as fast as to compute with ``extract``, which makes a NUMERIC."""
        return binned(column("_time"), width_us)

    def bucket_start(self, bucket: exp.Expr, width_us: int) -> exp.Expr:
        return bucket

    def instant(self, us: int) -> exp.Expr:
        """Return the moment so many microseconds after 1970-01-01 UTC."""
        return _instant(us)

    def contains(self, text: exp.Expr, part: exp.Expr) -> exp.Expr:
        return exp.GT(this=call("strpos", _text(text), part), expression=integer(0))

    def looked_up(self, condition: exp.Expr, kind: FieldType) -> exp.Expr:
        if kind is not FieldType.STRING or not isinstance(condition, (exp.EQ, exp.In)):
            return condition
        beginnings = condition.copy()
        for part in (*beginnings.find_all(exp.Column), *beginnings.find_all(exp.Placeholder)):
            part.replace(beginning(part.copy()))
        return exp.and_(beginnings, condition)

    def bounds_of_bins(self, bounds: Sequence[exp.Expr]) -> list[exp.Expr]:
        every = [bound for bound in bounds if isinstance(bound, (exp.GTE, exp.LT))]
        return [
            (exp.GTE if isinstance(one, exp.GTE) else exp.LTE)(
                this=binned(one.this.copy(), ROWS_BIN_US), expression=binned(one.expression.copy(), ROWS_BIN_US)
            )
            for one in every
        ]

    def percentiles(self, value: exp.Expr, shares: Sequence[float], one_in: int) -> exp.Expr:
        """Always exact: the server sorts on disk what its ``work_mem`` does not hold."""
        array = exp.Array(expressions=[exp.Literal.number(share) for share in shares])
        wanted = exp.cast(array, "DOUBLE PRECISION[]", dialect="postgres")
        order = exp.Order(
            expressions=[exp.Ordered(this=_scaled(exp.cast(value, "DOUBLE"), _OF_TWO), nulls_first=False)]
        )
        return exp.WithinGroup(this=call("percentile_cont", wanted), expression=order)

    def percentile(self, every: exp.Expr, place: int) -> exp.Expr:
        return _unscaled(exp.Bracket(this=exp.paren(every), expressions=[integer(place)], offset=0), _OF_TWO)

    def last(self, value: exp.Expr, kind: FieldType) -> exp.Expr:
        return self.latest(value, self.place(), kind)

    def place(self) -> exp.Expr:
        """As text of one width: the greatest text is found while hashing, the greatest row by sorting all of them."""
        micros = exp.cast(exp.paren(_epoch(column("_time")) * integer(1_000_000)), "BIGINT")
        seq = call("lpad", _text(column("_seq")), integer(SEQ_DIGITS), _zero())
        item = call("lpad", _text(column("_item")), integer(ITEM_DIGITS), _zero())
        return _collated(
            exp.DPipe(this=exp.DPipe(this=_text(micros + integer(PLACE_OFFSET)), expression=seq), expression=item)
        )

    def latest(self, value: exp.Expr, place: exp.Expr, kind: FieldType) -> exp.Expr:
        greatest = exp.Max(this=exp.DPipe(this=place, expression=_text(value)))
        return exp.cast(call("substr", greatest, integer(PLACE_DIGITS + 1)), _TYPES[kind], dialect="postgres")


def _scaled(value: exp.Expr, by: float) -> exp.Expr:
    """Return a float so small that what is computed of such is a float too.

    Where it is not, the server refuses to answer, or answers infinity. Scaling by a power of two changes no digit, but
    of what is next to the least float: that loses some, or becomes zero, for the server refuses to answer there too.
    """
    vanishes = exp.LT(this=exp.Abs(this=value.copy()), expression=_number(_LEAST / by))
    return exp.Case().when(vanishes, _number(0.0)).else_(exp.paren(value.copy()) * _number(by))


def _unscaled(scaled: exp.Expr, by: float) -> exp.Expr:
    """Return what is not scaled any more; infinite where it is too large for a float."""
    beyond = exp.GT(this=exp.Abs(this=scaled.copy()), expression=_number(_LARGEST * by))
    infinite = exp.Sign(this=scaled.copy()) * _number_told("Infinity")
    return exp.Case().when(beyond, infinite).else_(scaled * _number(1 / by))


def binned(instant: exp.Expr, width_us: int) -> exp.Expr:
    """Return where the stretch of that width starts that an instant is in."""
    width = exp.cast(exp.Literal.string(f"{width_us} microseconds"), "INTERVAL")
    # before its origin, date_bin() of some versions takes the start of a bucket for the end of the one before
    return call("date_bin", width, instant, _instant(-_BEFORE_ALL // width_us * width_us))


def beginning(text: exp.Expr) -> exp.Expr:
    """Return as much of a text as an index can hold of it: more than 2.7 kB of a row would make inserting fail."""
    return call("left", text, integer(_INDEXED))


def fitted(told: str) -> str:
    """Return a name that the server can tell from others: one that is too long ends with a digest of all of it."""
    encoded = told.encode()
    if len(encoded) <= LONGEST_NAME:
        return told
    digest = hashlib.blake2b(encoded, digest_size=6).hexdigest()
    return f"{encoded[: LONGEST_NAME - 13].decode(errors='ignore')}~{digest}"


def quoted(told: str) -> str:
    """Return ``told`` as an identifier, whatever characters it has, and fitted."""
    return '"' + fitted(told).replace('"', '""') + '"'


def _as_sent(node: exp.Expr) -> str:
    told = fitted(node.name) if isinstance(node, exp.Identifier) else node.name
    return told.replace("%", "%%")


def _instant(us: int) -> exp.Expr:
    """Return a moment as a literal. Python's years begin with 1: what is before is told by the years BC."""
    cycles = max(0, -(us + 62_135_596_800_000_000) // 12_622_780_800_000_000 + 1)  # of 400 years, which are all alike
    moment = _EPOCH + timedelta(microseconds=us + cycles * 12_622_780_800_000_000)
    year = moment.year - 400 * cycles
    told = f"{year if year > 0 else 1 - year:04d}{moment:-%m-%d %H:%M:%S.%f}+00{'' if year > 0 else ' BC'}"
    return exp.cast(exp.Literal.string(told), "TIMESTAMPTZ")


def _float_text(text: exp.Expr) -> exp.Expr:
    """Return a float's text as DuckDB and JSON have it: 1.0 instead of 1, and no exponent below 1e+16."""
    whole = exp.RegexpLike(this=text.copy(), expression=exp.Literal.string("^-?[0-9]+$"))
    large = exp.RegexpLike(this=text.copy(), expression=exp.Literal.string("e[+]15$"))
    digits = _text(exp.cast(text.copy(), "DECIMAL"))
    pointed = exp.Case().when(
        exp.GT(this=call("strpos", digits, exp.Literal.string(".")), expression=integer(0)), digits.copy()
    )
    point = exp.Literal.string(".0")
    return (
        exp.Case()
        .when(whole, exp.DPipe(this=text.copy(), expression=point))
        .when(large, pointed.else_(exp.DPipe(this=digits.copy(), expression=point.copy())))
        .else_(text)
    )


def _epoch(value: exp.Expr) -> exp.Expr:
    return exp.Extract(this=exp.var("EPOCH"), expression=value)


def _text(value: exp.Expr) -> exp.Expr:
    return exp.cast(value, "TEXT")


def _collated(text: exp.Expr) -> exp.Expr:
    return exp.paren(exp.Collate(this=exp.paren(text), expression=name("C")))


def _number(value: float) -> exp.Expr:
    return _number_told(repr(value))


def _number_told(told: str) -> exp.Expr:
    return exp.cast(exp.Literal.string(told), "DOUBLE")


def _zero() -> exp.Expr:
    return exp.Literal.string("0")
