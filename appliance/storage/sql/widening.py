"""Columns that became wider: which may, and how a value of before reads as the wider type."""

from typing import Final

from sqlglot import exp

from appliance.domain.mapping import FieldType
from appliance.domain.widening import WIDER, widens
from appliance.storage.sql.dialect import Dialect

__all__ = ["WIDER", "rank", "widened", "widens"]

_RANK: Final = {FieldType.FLOAT: 1, FieldType.DECIMAL: 1, FieldType.STRING: 2}


def rank(kind: FieldType) -> int:
    """Return a number that rises with every widening: in this order a column's types followed each other."""
    return _RANK.get(kind, 0)


def widened(value: exp.Expr, found: FieldType, wanted: FieldType, dialect: Dialect) -> exp.Expr:
    """Return ``value``, of type ``found``, as ``wanted``."""
    if wanted is found:
        return value
    if wanted is FieldType.STRING:
        return dialect.as_text(value, found)
    return exp.cast(value, dialect.type_name(wanted), dialect=dialect.sqlglot_name)
