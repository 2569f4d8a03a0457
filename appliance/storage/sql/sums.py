"""Sums and means, the same wherever they are put together: of rows at once, or of partial counts."""

from sqlglot import exp

from appliance.domain.mapping import FieldType
from appliance.storage.sql.dialect import LARGEST_EXACT, Dialect, only
from appliance.storage.sql.statement import integer


def sum_of(value: exp.Expr, kind: FieldType, dialect: Dialect) -> exp.Expr:
    """Return the sum of a group's values; of decimals as a float, added up exactly as long as they are not huge."""
    if kind is not FieldType.DECIMAL:
        return dialect.total(value, kind)
    exact, rest = exact_sum(value, dialect), sum_of_rest(value)
    return either(exp.cast(exact, "DOUBLE"), rest)


def mean_of(value: exp.Expr, kind: FieldType, dialect: Dialect) -> exp.Expr:
    """Return the mean of a group's values as a float; null where there are none."""
    return mean(sum_of(value, kind, dialect), exp.Count(this=value.copy()))


def mean(total: exp.Expr, count: exp.Expr) -> exp.Expr:
    """Return the mean, of a sum and of how many values it is."""
    return exp.cast(total, "DOUBLE") / exp.Nullif(this=count, expression=integer(0))


def exact_sum(value: exp.Expr, dialect: Dialect) -> exp.Expr:
    """Return the sum of those decimals that are not so large that adding them up might overflow."""
    return only(dialect.total(value, FieldType.DECIMAL), _small(value))


def sum_of_rest(value: exp.Expr) -> exp.Expr:
    """Return the sum of all other decimals, as a float."""
    return only(exp.Sum(this=exp.cast(value, "DOUBLE")), exp.Not(this=_small(value)))


def either(exact: exp.Expr, rest: exp.Expr) -> exp.Expr:
    """Return the sum of both, of which any may be null."""
    return exp.Coalesce(this=exact + rest, expressions=[exact.copy(), rest.copy()])


def _small(value: exp.Expr) -> exp.Expr:
    return exp.Between(this=value.copy(), low=integer(-LARGEST_EXACT), high=integer(LARGEST_EXACT))
