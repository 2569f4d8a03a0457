"""Percentiles from bins: values are counted by their logarithm, so that each bin is as wide as 2 % of what is in it.

A bin is a number that orders like the values in it: zero is 0, positive ones are above, negative ones below. Counts of
bins add up, whatever they were counted from. Any value is told from its bin to within ``ERROR`` of itself; one that is
nearer to zero than 1e-300 as 1e-300, for a database may refuse to compute with less.

Source: Masson, Rim, Lee: DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees, VLDB
2019; here without its limit on the number of bins.
"""

import math
from typing import Final

from sqlglot import exp

from appliance.storage.sql.statement import column, integer

ERROR: Final = 0.01
_WIDTH: Final = math.log((1 + ERROR) / (1 - ERROR))
_MIDDLE: Final = math.log(1 - ERROR)  # from a bin's upper end to the value that is within ERROR of both ends
_ZERO: Final = 40_000  # the least float that is not zero, 5e-324, is in bin -37,219; the greatest in 35,488
_SMALLEST, _LARGEST = -690.77, 709.78  # exp() of more is infinite


def bin_of(value: exp.Expr) -> exp.Expr:
    """Return the bin of a number that is not null."""
    number = exp.cast(value, "DOUBLE")
    size = exp.Ln(this=exp.Nullif(this=exp.Abs(this=number), expression=integer(0)))
    place = exp.Ceil(this=exp.Div(this=size, expression=_number(_WIDTH))) + integer(_ZERO)
    signed = exp.Sign(this=number.copy()) * exp.paren(place)
    return exp.cast(exp.Coalesce(this=signed, expressions=[integer(0)]), "INTEGER")


def value_of_bin(number: exp.Expr) -> exp.Expr:
    """Return the value that stands for all in a bin."""
    size = exp.paren(exp.Abs(this=number) - integer(_ZERO)) * _number(_WIDTH) + _number(_MIDDLE)
    finite = exp.Anonymous(this="least", expressions=[size, _number(_LARGEST)])
    finite = exp.Anonymous(this="greatest", expressions=[finite, _number(_SMALLEST)])
    return exp.Sign(this=number.copy()) * exp.Exp(this=finite)


def value_at(share: float) -> exp.Expr:
    """Return the aggregate that gives the value at ``share`` (0 … 1) of a group's values, as ``quantile_cont`` would.

    Of rows ``_bin``, ``upto`` (how many values are in this bin and those below) and ``total`` of the group.
    """
    place = _number(share) * exp.paren(column("total") - integer(1))
    lower, upper = exp.Floor(this=place), exp.Ceil(this=place.copy())
    rest = exp.Max(this=exp.paren(place.copy()) - lower.copy())
    return _beyond(lower) * exp.paren(integer(1) - rest) + _beyond(upper) * rest.copy()


def _beyond(rank: exp.Expr) -> exp.Expr:
    reached = exp.Where(this=exp.GT(this=column("upto"), expression=rank))
    return value_of_bin(exp.Filter(this=exp.Min(this=column("_bin")), expression=reached))


def _number(value: float) -> exp.Expr:
    literal: exp.Expr = exp.Literal.number(repr(value))
    return exp.cast(literal, "DOUBLE")
