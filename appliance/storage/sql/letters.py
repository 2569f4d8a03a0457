"""Dead letters chosen by a filter: their causes, and the events they are of."""

from typing import Any

from sqlglot import exp

from appliance.components.letters import LetterFilter
from appliance.domain.mapping import FieldType
from appliance.storage.sql.dead_letters import DEAD_COLUMNS
from appliance.storage.sql.dialect import Dialect
from appliance.storage.sql.scope import Scope
from appliance.storage.sql.source import ALIAS, dead_table
from appliance.storage.sql.statement import Statement, column, integer, name

MOST_GROUPS = 1000
_CAUSE = ("reason", "field")


def select_groups(pipeline_id: str, generation: int, chosen: LetterFilter, dialect: Dialect) -> Statement:
    """Return the statement that answers causes as the fields of ``LetterGroup``, most events first."""
    scope = _scope()
    seq, received = column("seq"), column("received_at")
    shown: list[tuple[str, exp.Expr]] = [
        *((field, column(field)) for field in _CAUSE),
        ("events", exp.Count(this=exp.Distinct(expressions=[seq]))),
        ("oldest", exp.Min(this=received)),
        ("newest", exp.Max(this=received.copy())),
        ("first_seq", exp.Min(this=seq.copy())),
        ("last_seq", exp.Max(this=seq.copy())),
        ("example", exp.Min(this=column("message"))),
    ]
    tree = exp.select(*(exp.alias_(value, name(told)) for told, value in shown)).from_(_source(pipeline_id, generation))
    tree = tree.where(*_conditions(scope, chosen)).group_by(*(column(field) for field in _CAUSE))
    most = exp.Ordered(this=integer(3), desc=True)
    tree = tree.order_by(most, *(exp.Ordered(this=integer(place), nulls_first=False) for place in (1, 2)))
    return Statement(tree.limit(integer(MOST_GROUPS)).sql(dialect.sqlglot_name), scope.values)


def select_seqs(
    pipeline_id: str, generation: int, chosen: LetterFilter, dialect: Dialect, page: tuple[int, int]
) -> Statement:
    """Return the statement that answers distinct ``seq``, ascending. ``page``: after which, and at most how many."""
    scope = _scope()
    after, limit = page
    conditions = [_compared("seq", exp.GT, scope, after), *_conditions(scope, chosen)]
    tree = exp.select(exp.alias_(column("seq"), name("seq"))).distinct().from_(_source(pipeline_id, generation))
    tree = tree.where(*conditions).order_by(exp.Ordered(this=integer(1))).limit(integer(limit))
    return Statement(tree.sql(dialect.sqlglot_name), scope.values)


def _scope() -> Scope:
    return Scope(dict.fromkeys(DEAD_COLUMNS, FieldType.STRING))


def _source(pipeline_id: str, generation: int) -> exp.Table:
    return exp.Table(this=name(dead_table(pipeline_id, generation)), alias=exp.TableAlias(this=name(ALIAS)))


def _conditions(scope: Scope, chosen: LetterFilter) -> list[exp.Expr]:
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
    conditions = [_compared(field, how, scope, value) for field, how, value in wanted if value is not None]
    return [*conditions, _one_of(scope, chosen.seqs)] if chosen.seqs else conditions


def _compared(field: str, how: type[exp.Binary], scope: Scope, value: Any) -> exp.Expr:
    return how(this=column(field), expression=scope.bind(value))


def _one_of(scope: Scope, seqs: tuple[int, ...]) -> exp.Expr:
    """Return the condition as a join with one bound list: thousands of single values would be planned one by one."""
    listed = exp.select(exp.Anonymous(this="unnest", expressions=[scope.bind(list(seqs))]))
    return exp.In(this=column("seq"), query=exp.Subquery(this=listed))
