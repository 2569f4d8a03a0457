"""Dead letters chosen by a filter: their causes, and the events they are of."""

from sqlglot import exp

from appliance.components.letters import LetterFilter
from appliance.storage.sql.dead_letters import compared, letter_conditions, letter_scope, letters_of
from appliance.storage.sql.dialect import Dialect
from appliance.storage.sql.statement import Statement, column, integer, name

MOST_GROUPS = 1000
_CAUSE = ("reason", "field")


def select_groups(pipeline_id: str, generation: int, chosen: LetterFilter, dialect: Dialect) -> Statement:
    """Return the statement that answers causes as the fields of ``LetterGroup``, most events first."""
    scope = letter_scope()
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
    tree = exp.select(*(exp.alias_(value, name(told)) for told, value in shown)).from_(
        letters_of(pipeline_id, generation, dialect)
    )
    tree = tree.where(*letter_conditions(scope, chosen)).group_by(*(column(field) for field in _CAUSE))
    most = exp.Ordered(this=integer(3), desc=True)
    tree = tree.order_by(most, *(exp.Ordered(this=integer(place), nulls_first=False) for place in (1, 2)))
    return Statement(dialect.render(tree.limit(integer(MOST_GROUPS))), scope.values)


def select_seqs(
    pipeline_id: str, generation: int, chosen: LetterFilter, dialect: Dialect, page: tuple[int, int]
) -> Statement:
    """Return the statement that answers distinct ``seq``, ascending. ``page``: after which, and at most how many."""
    scope = letter_scope()
    after, limit = page
    conditions = [compared("seq", exp.GT, scope, after), *letter_conditions(scope, chosen)]
    tree = (
        exp.select(exp.alias_(column("seq"), name("seq")))
        .distinct()
        .from_(letters_of(pipeline_id, generation, dialect))
    )
    tree = tree.where(*conditions).order_by(exp.Ordered(this=integer(1))).limit(integer(limit))
    return Statement(dialect.render(tree), scope.values)
