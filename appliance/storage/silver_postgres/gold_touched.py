"""Buckets that have to be counted again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlglot import exp

from appliance.storage.silver_postgres import gold_sheets as sheets
from appliance.storage.sql.ranges import ranges_of
from appliance.storage.sql.statement import column

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Touched:
    """Buckets of one width by when they start. ``conditions`` hold for what lies in them, of rows and of sheets.

    They are bound: statements that have them are executed with ``values``.
    """

    def __init__(self, starts: Sequence[datetime], width_us: int) -> None:
        self._starts, self._width_us = sorted(starts), width_us

    @property
    def values(self) -> dict[str, Any]:
        return {"buckets": self._starts}

    @property
    def conditions(self) -> list[exp.Expr]:
        """Ranges of time first: an index finds what lies in them."""
        numbers = [(start - _EPOCH) // _MICROSECOND // self._width_us for start in self._starts]
        return [exp.or_(*(self._within(first, last) for first, last in ranges_of(numbers))), self.listed]

    @property
    def listed(self) -> exp.Expr:
        known = exp.cast(exp.Placeholder(this="buckets"), "TIMESTAMPTZ[]", dialect=sheets.DIALECT.sqlglot_name)
        return exp.EQ(this=sheets.DIALECT.bucket(self._width_us), expression=exp.Any(this=exp.paren(known)))

    def _within(self, first: int, last: int) -> exp.Expr:
        start, end = (sheets.DIALECT.instant(one * self._width_us) for one in (first, last + 1))
        return exp.and_(exp.GTE(this=column("_time"), expression=start), exp.LT(this=column("_time"), expression=end))


def touched_by(cursor: sheets.Cursor, query: exp.Query, width_us: int) -> Touched | None:
    """Return the buckets that the first column of ``query`` names; None: it answers nothing."""
    found = cursor.execute(sheets.DIALECT.render(query), {}).fetchall()
    return Touched([row[0] for row in found], width_us) if found else None


def buckets_of(table: str, width_us: int) -> exp.Select:
    """Return the query for the buckets that ``_time`` of ``table`` falls in."""
    return exp.select(sheets.DIALECT.bucket(width_us)).distinct().from_(sheets.read(table))
