"""A commit's rows counted here, by DuckDB over Arrow; only what comes of it is sent to the database.

The database neither groups nor hashes, it takes some rows more: see decision 0017 for the figures.
"""

import atexit
from functools import cache, lru_cache
from typing import Final

import duckdb
import pyarrow as pa
from sqlglot import exp

from appliance.domain.mapping import FieldType
from appliance.storage.silver_postgres import binary
from appliance.storage.silver_postgres import gold_sheets as sheets
from appliance.storage.sql.dialect import DuckDb, call
from appliance.storage.sql.gold import Gold, Op, Part, Sheet, State
from appliance.storage.sql.gold_partials import Counting, count_bins, count_rows
from appliance.storage.sql.postgresql import ITEM_DIGITS, PLACE_OFFSET, SEQ_DIGITS, quoted
from appliance.storage.sql.source import ALIAS
from appliance.storage.sql.statement import column, integer, name

_ROWS: Final = "batch_rows"
_ITEMS: Final = 1 << 32  # in a place as one number; above are 31 bits of the event, counted from the batch's first
_INSTANTS: Final = 1 << 63
_FIRST: Final = exp.Placeholder(this="first_seq")


class _Here(DuckDb):
    """DuckDB, where a place is a number of the batch only: events may be of any partition, and items many."""

    def place(self) -> exp.Expr:
        instant = exp.cast(call("epoch_us", column("_time")) + integer(PLACE_OFFSET), "HUGEINT", dialect="duckdb")
        event = exp.paren(column("_seq") - exp.cast(_FIRST.copy(), "BIGINT"))
        return instant * integer(_INSTANTS) + event * integer(_ITEMS) + column("_item")


_DIALECT: Final = _Here()


def count_here(cursor: sheets.Cursor, gold: Gold, rows: pa.Table, first_seq: int) -> None:
    """Append the partial counts of ``rows``, which are of events from ``first_seq`` on."""
    with _engine().cursor() as engine:
        engine.register(_ROWS, rows)
        for sheet, statement in zip(gold.sheets, _statements(gold), strict=True):
            values = {"first_seq": first_seq} if "$first_seq" in statement else {}
            _append(cursor, sheet, engine.sql(statement, params=values).to_arrow_table())


def _append(cursor: sheets.Cursor, sheet: Sheet, counted: pa.Table) -> None:
    named = ", ".join(map(quoted, sheets.columns(sheet)))
    with cursor.copy(f"COPY {quoted(sheet.name)} ({named}) FROM STDIN (FORMAT binary)") as copy:
        copy.write(binary.HEADER)
        for part in binary.rows(counted):
            copy.write(part)
        copy.write(binary.TRAILER)


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    """One that computes and keeps nothing; each caller has a cursor of its own."""
    atexit.register(_engine.cache_clear)  # DuckDB complains of what is left when the process ends
    return duckdb.connect(":memory:", config={"threads": 1, "enable_external_access": False})


@lru_cache(maxsize=1024)
def _statements(gold: Gold) -> tuple[str, ...]:
    """Return what every commit executes: writing it takes longer than running it on a small batch."""
    of, source = Counting(_DIALECT, gold.bucket_us, Part.FRESH), exp.to_table(_ROWS, alias=ALIAS)
    counted: list[exp.Query] = [count_rows(of, gold.main, source, ())]
    if gold.sketched:
        counted.append(count_bins(of, gold.bins, gold.sketched, source.copy(), ()))
    return tuple(_sent(sheet, query) for sheet, query in zip(gold.sheets, counted, strict=True))


def _sent(sheet: Sheet, counted: exp.Query) -> str:
    """Return the query for partial counts in the types that the sheet has, as they should lie in it."""
    values: dict[str, exp.Expr] = {"_time": column("_time"), "_part": column("_part")}
    values |= {key.name: _cast(column(key.name), key.type) for key in sheet.keys}
    values |= {state.name: _as_kept(state) for state in sheet.states}
    inner = exp.Subquery(this=counted, alias=exp.TableAlias(this=name(ALIAS)))
    selected = [exp.alias_(value, name(told)) for told, value in values.items()]
    order = [exp.column(name(told)) for told in sheet.order]
    return _DIALECT.render(exp.select(*selected).from_(inner).order_by(*order))


def _as_kept(state: State) -> exp.Expr:
    value = column(state.name)
    match state.op:
        case Op.PLACE:
            return _place(value)
        case Op.SUM if state.field is not None and state.field.type is FieldType.INTEGER:
            return _cast(value, FieldType.DECIMAL)  # the one way in which a NUMERIC is sent
        case Op.LAST | Op.MIN | Op.MAX | Op.SUM if state.field is not None:
            return _cast(value, state.field.type)
    return value


def _place(number: exp.Expr) -> exp.Expr:
    """Return a place as ``PostgreSql.place`` has it."""
    instant = exp.IntDiv(this=number, expression=integer(_INSTANTS))
    rest = exp.paren(call("mod", number.copy(), integer(_INSTANTS)))
    event = exp.paren(exp.IntDiv(this=rest, expression=integer(_ITEMS)) + exp.cast(_FIRST.copy(), "BIGINT"))
    item = call("mod", rest.copy(), integer(_ITEMS))
    digits = [_cast(instant, FieldType.STRING), _padded(event, SEQ_DIGITS), _padded(item, ITEM_DIGITS)]
    return exp.DPipe(this=exp.DPipe(this=digits[0], expression=digits[1]), expression=digits[2])


def _padded(number: exp.Expr, digits: int) -> exp.Expr:
    return call("lpad", _cast(number, FieldType.STRING), integer(digits), exp.Literal.string("0"))


def _cast(value: exp.Expr, kind: FieldType) -> exp.Expr:
    held = FieldType.STRING if kind is FieldType.JSON else kind
    return exp.cast(value, _DIALECT.type_name(held), dialect=_DIALECT.sqlglot_name)
