"""A digest of rows that does not depend on the order in which they are stored."""

from sqlglot import exp

from appliance.components.silver import Table
from appliance.storage.sql.dialect import Dialect
from appliance.storage.sql.scope import SYSTEM_FIELDS, Scope
from appliance.storage.sql.statement import Statement, column, name

_OWN = ("_time", "_seq", "_item", "_extra")


def select_checksum(table: Table, source: exp.Expr, dialect: Dialect, seqs: tuple[int, int | None]) -> Statement:
    """Return the statement that answers the number of rows and two sums over them, of 64-bit hashes of every column.

    ``seqs``: the first and the last event; None: no last one.
    """
    scope = Scope({field.name: field.type for field in table.columns})
    conditions: list[exp.Expr] = [exp.GTE(this=column("_seq"), expression=scope.bind(seqs[0]))]
    if seqs[1] is not None:
        conditions.append(exp.LTE(this=column("_seq"), expression=scope.bind(seqs[1])))
    kinds = {**{field: SYSTEM_FIELDS[field] for field in _OWN}, **{one.name: one.type for one in table.columns}}
    values = [dialect.comparable(column(field), kind) for field, kind in kinds.items()]
    sums = [exp.alias_(exp.Sum(this=dialect.row_hash(values, salt)), name(f"sum_{salt}")) for salt in (1, 2)]
    tree = exp.select(exp.Count(this=exp.Star()), *sums).from_(source).where(*conditions)
    return Statement(dialect.render(tree), scope.values)
