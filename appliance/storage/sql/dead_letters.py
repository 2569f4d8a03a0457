"""Dead letters of a pipeline, newest first."""

from sqlglot import exp

from appliance.components.silver import DeadLetterQuery
from appliance.domain.mapping import FieldType
from appliance.storage.sql.dialect import Dialect
from appliance.storage.sql.scope import Scope
from appliance.storage.sql.source import ALIAS, dead_table
from appliance.storage.sql.statement import Statement, column, integer, name

DEAD_COLUMNS = (
    "seq", "item", "reason", "field", "value", "message", "problems", "received_at", "version",
)  # fmt: skip


def select_dead(pipeline_id: str, query: DeadLetterQuery, dialect: Dialect, generation: int = 1) -> Statement:
    """Return the statement that answers ``query`` with the columns of ``DEAD_COLUMNS``."""
    scope = Scope(dict.fromkeys(DEAD_COLUMNS, FieldType.STRING))
    conditions: list[exp.Expr] = [
        exp.EQ(this=column(field), expression=scope.bind(value))
        for field, value in (("reason", query.reason), ("field", query.field))
        if value is not None
    ]
    if query.before_seq is not None:
        conditions.append(exp.LT(this=column("seq"), expression=scope.bind(query.before_seq)))
    source = exp.Table(this=name(dead_table(pipeline_id, generation)), alias=exp.TableAlias(this=name(ALIAS)))
    tree = exp.select(*(exp.alias_(column(field), name(field)) for field in DEAD_COLUMNS)).from_(source)
    newest = [exp.Ordered(this=column("seq"), desc=True), exp.Ordered(this=column("item"), desc=True)]
    tree = tree.where(*conditions).order_by(*newest).limit(integer(query.limit))
    return Statement(tree.sql(dialect.sqlglot_name), scope.values)
