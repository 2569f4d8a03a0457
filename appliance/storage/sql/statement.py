"""A statement ready to run: text in one dialect, values beside it."""

from typing import Any

import msgspec
from sqlglot import exp


class Statement(msgspec.Struct, frozen=True):
    """``sql`` names its values ``$v0`` (DuckDB) or ``%(v0)s`` (PostgreSQL, psycopg); ``values`` has them by name."""

    sql: str
    values: dict[str, Any]


def name(text: str) -> exp.Identifier:
    """Return a quoted identifier, whatever characters ``text`` has."""
    return exp.to_identifier(text, quoted=True)


def column(text: str) -> exp.Column:
    """Return a column of the rows read. Qualified, so that an alias of the same name cannot stand in for it."""
    return exp.Column(this=name(text), table=name("r"))


def descending(value: exp.Expr, *, null_first: bool) -> exp.Ordered:
    """Return the order, greatest first, of values among which is no null; ``null_first``: what an index has."""
    return exp.Ordered(this=value, desc=True, nulls_first=null_first)


def integer(value: int) -> exp.Expr:
    """Return an integer literal."""
    literal: exp.Expr = exp.Literal.number(value)
    return literal
