"""Buckets that have to be counted again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import duckdb
from sqlglot import exp

from appliance.storage.silver_duckdb import gold_sheets as sheets
from appliance.storage.sql.ranges import ranges_of
from appliance.storage.sql.statement import column, name

VIEW: Final = "gold_touched"


class Touched:
    """Buckets of one width by their numbers. ``conditions`` hold for what lies in them, of rows and of sheets."""

    def __init__(self, buckets: Sequence[int], width_us: int) -> None:
        self.buckets, self._width_us = buckets, width_us

    @property
    def conditions(self) -> list[exp.Expr]:
        """Ranges of time first: they let zone maps skip blocks."""
        return [exp.or_(*(self._within(first, last) for first, last in ranges_of(self.buckets))), self.listed]

    @property
    def listed(self) -> exp.Expr:
        bucket = sheets.DIALECT.bucket(self._width_us)
        return exp.In(this=exp.paren(bucket), query=exp.Subquery(this=exp.select(name("bucket")).from_(name(VIEW))))

    def _within(self, first: int, last: int) -> exp.Expr:
        start, end = (sheets.instant(one * self._width_us) for one in (first, last + 1))
        return exp.and_(exp.GTE(this=column("_time"), expression=start), exp.LT(this=column("_time"), expression=end))


@contextmanager
def touched_by(cursor: duckdb.DuckDBPyConnection, query: exp.Query, width_us: int) -> Iterator[Touched | None]:
    """Give the buckets that the first column of ``query`` names; None: it answers nothing.

    Meanwhile they are registered as a view, which the conditions read.
    """
    found = cursor.sql(query.sql(sheets.DIALECT.sqlglot_name)).to_arrow_table().rename_columns(["bucket"])
    if not found.num_rows:
        yield None
        return
    cursor.register(VIEW, found)
    yield Touched(sorted(found["bucket"].to_pylist()), width_us)
    cursor.unregister(VIEW)  # after a failure the rollback takes it away: the transaction refuses everything else


def buckets_of(view: str, width_us: int) -> exp.Select:
    """Return the query for the buckets that ``_time`` of ``view`` falls in."""
    return exp.select(sheets.DIALECT.bucket(width_us)).distinct().from_(sheets.read(view))
