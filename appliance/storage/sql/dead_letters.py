"""Dead letters of a pipeline: those that are meant, newest first."""

from datetime import datetime
from typing import Any

from sqlglot import exp

from appliance.components.letters import LetterFilter
from appliance.components.silver import DeadLetterQuery
from appliance.domain.mapping import FieldType
from appliance.storage.sql.dialect import Dialect
from appliance.storage.sql.scope import Scope
from appliance.storage.sql.source import ALIAS, dead_table
from appliance.storage.sql.statement import Statement, column, descending, integer, name

DEAD_COLUMNS = (
    "seq", "item", "reason", "field", "value", "message", "problems", "received_at", "version",
)  # fmt: skip
_NEWEST = ("received_at", "seq", "item")  # numbers alone would put the partitions of nodes one behind the other


def select_dead(pipeline_id: str, query: DeadLetterQuery, dialect: Dialect, generation: int = 1) -> Statement:
    """Return the statement that answers ``query`` with the columns of ``DEAD_COLUMNS``."""
    scope = letter_scope()
    chosen = LetterFilter(reason=query.reason, field=query.field, first_seq=query.seq, last_seq=query.seq)
    conditions = letter_conditions(scope, chosen)
    if query.before is not None:
        conditions += _before(scope, *query.before)
    tree = exp.select(*(exp.alias_(column(field), name(field)) for field in DEAD_COLUMNS))
    newest = [descending(column(one), null_first=dialect.descends_from_null) for one in _NEWEST]
    tree = tree.from_(letters_of(pipeline_id, generation, dialect)).where(*conditions).order_by(*newest)
    return Statement(dialect.render(tree.limit(integer(query.limit))), scope.values)


def letter_scope() -> Scope:
    """Return an empty scope of dead letters."""
    return Scope(dict.fromkeys(DEAD_COLUMNS, FieldType.STRING))


def letters_of(pipeline_id: str, generation: int, dialect: Dialect) -> exp.Table:
    """Return what to select from, under the alias ``r``."""
    return dialect.table(dead_table(pipeline_id, generation), ALIAS)


def letter_conditions(scope: Scope, chosen: LetterFilter) -> list[exp.Expr]:
    """Return one expression for each thing that ``chosen`` asks for."""
    wanted: list[tuple[str, type[exp.Binary], Any]] = [
        ("reason", exp.EQ, chosen.reason),
        ("field", exp.EQ, chosen.field),
        ("message", exp.EQ, chosen.message),
        ("version", exp.EQ, chosen.version),
        ("seq", exp.GTE, chosen.first_seq),
        ("seq", exp.LTE, chosen.last_seq),
        ("received_at", exp.GTE, chosen.received_from),
        ("received_at", exp.LT, chosen.received_to),
    ]
    conditions = [compared(field, how, scope, value) for field, how, value in wanted if value is not None]
    return [*conditions, _one_of(scope, chosen.seqs)] if chosen.seqs else conditions


def compared(field: str, how: type[exp.Binary], scope: Scope, value: Any) -> exp.Expr:
    """Return the comparison of a column with a bound value."""
    return how(this=column(field), expression=scope.bind(value))


def _before(scope: Scope, received_at: datetime, seq: int) -> list[exp.Expr]:
    """Return the conditions on what is older; the first one is what an index by time can use."""
    earlier = compared("received_at", exp.LT, scope, received_at)
    return [
        compared("received_at", exp.LTE, scope, received_at),
        exp.paren(exp.or_(earlier, compared("seq", exp.LT, scope, seq))),
    ]


def _one_of(scope: Scope, seqs: tuple[int, ...]) -> exp.Expr:
    """Return the condition as a join with one bound list: thousands of single values would be planned one by one."""
    listed = exp.select(exp.Anonymous(this="unnest", expressions=[scope.bind(list(seqs))]))
    return exp.In(this=column("seq"), query=exp.Subquery(this=listed))
