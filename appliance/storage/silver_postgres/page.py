"""A page of rows, read by one stretch of time after the other until it is full."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Final

import pyarrow as pa
from msgspec.structs import replace
from psycopg import errors
from sqlglot import exp

from appliance.components.silver import RecordQuery, Table
from appliance.storage.silver_postgres import fetched, paging, progress
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.names import DIALECT, tables
from appliance.storage.silver_postgres.places import Place
from appliance.storage.silver_postgres.summaries import by_range
from appliance.storage.sql import answers
from appliance.storage.sql.by_group import groups_of
from appliance.storage.sql.gold import golds_of
from appliance.storage.sql.likely import Likely, likely, select_buckets
from appliance.storage.sql.records import field_types, select_records
from appliance.storage.sql.statement import Statement

Bucket = tuple[datetime, int]  # when it starts, and how many rows it may have at most

_RECENT: Final = "SELECT min(_time) FROM {rows} WHERE _seq > %(after)s AND _seq <= %(last)s"
# What a read begins with where there are rollups, for as long as they answer it.
BY_ROLLUP: Final = (
    "SAVEPOINT gold; SET LOCAL max_parallel_workers_per_gather TO 0; SET LOCAL enable_seqscan TO off;"
    " SET LOCAL jit TO off;"
)
BY_ROWS: Final = "ROLLBACK TO SAVEPOINT gold"  # with what was set since
_FEWEST, _SEVERAL, _MOST = 64, 1_000, 10_000  # buckets that are asked for at once


class Page:
    """What is read of it so far. ``left``: how many rows more it may have."""

    def __init__(self, cursor: Cursor, table: Table, source: exp.Expr, query: RecordQuery) -> None:
        self.cursor, self.table, self.query, self.left = cursor, table, query, query.limit
        self._source, self._schema = source, answers.rows_schema(field_types(table))
        self._groups = groups_of(table)
        self._parts = [self._schema.empty_table()]

    @property
    def found(self) -> int:
        return self.query.limit - self.left

    @property
    def rows(self) -> pa.Table:
        return pa.concat_tables(self._parts)

    def read(self, stretches: Iterator[RecordQuery]) -> None:
        """Read one after the other, as long as the page is not full."""
        while self.left > 0 and (stretch := next(stretches, None)) is not None:
            statement = self.statement(replace(stretch, limit=self.left))
            self._parts.append(fetched.as_schema(self.cursor, statement, self._schema, self.left))
            self.left -= self._parts[-1].num_rows

    def statement(self, query: RecordQuery) -> Statement:
        """Return the statement that answers ``query``. Raises Invalid where it is wrong."""
        return select_records(self.table, self._source, query, DIALECT, self._groups)


def fill(page: Page, place: Place | None) -> None:
    """Read the page: of where a rollup says that rows may be, or of all that there is."""
    if page.table.rollups:
        page.statement(page.query)  # what is wrong with it has to be told of it, not of a rollup
        told = likely(page.table, page.query, golds_of(page.table, place.number)) if place else None
        if told is not None and _by_rollup(page, told):
            return
        page.cursor.execute(BY_ROWS)
    page.read(_stretches(page, place))


def _stretches(page: Page, place: Place | None) -> Iterator[RecordQuery]:
    """Return the queries that together answer the page's: itself alone where there are few rows."""
    pipeline_id = page.table.pipeline_id
    all_reached = progress.read_all(page.cursor, pipeline_id, place.number) if place else {}
    if place is None or sum(one.outcome.stored for one in all_reached.values()) <= paging.FEW:
        return iter([page.query])
    reached = max(all_reached.values(), key=lambda one: one.outcome.stored)  # one tells how densely rows lie
    by_range(page.cursor)
    newest = {"after": reached.seq - 2 * min(page.query.limit, paging.FEW), "last": reached.seq}
    recent = page.cursor.execute(_RECENT.format(**tables(pipeline_id, place.number)), newest).fetchall()
    return paging.stretches(page.query, recent[0][0], lambda: page.found)


def _by_rollup(page: Page, told: Likely) -> bool:
    """Read what lies in buckets that have rows; return false where the rollup is not made yet, and nothing is read."""
    between, most = paging.bounds(page.query), max(_FEWEST, min(page.query.limit, _SEVERAL))
    width, wanted = paging.width_of(told.gold.bucket_us), 0.0
    while page.left > 0:
        try:
            buckets, last = _ask(page, told, between, most)
        except errors.UndefinedTable:
            return False
        wanted = wanted or paging.begun(page.left, [rows for _, rows in buckets], exact=not told.of_states)
        while buckets and page.left > 0:
            taken, buckets = _divided(buckets, wanted)
            before = page.found
            page.read(paging.runs(page.query, [start for start, _ in taken], width))
            wanted = paging.grown(sum(rows for _, rows in taken), page.found - before, page.left)
        if last is None:
            break
        between, most = paging.beyond(page.query, between, last, width), min(4 * most, _MOST)
    return True


def _ask(
    page: Page, told: Likely, between: tuple[datetime | None, datetime | None], most: int
) -> tuple[list[Bucket], datetime | None]:
    """Return the next buckets, and the last of them; None: there are no more."""
    start, end = between
    whole = (paging.down(start, told.gold.bucket_us) if start else None, end)
    statement = select_buckets(told, page.query, whole, most, DIALECT)
    found = page.cursor.execute(statement.sql, statement.values).fetchall()
    merged: dict[datetime, int] = {}
    for bucket, rows in found:
        merged[bucket] = merged.get(bucket, 0) + rows
    return list(merged.items()), found[-1][0] if len(found) == most else None


def _divided(buckets: Sequence[Bucket], wanted: float) -> tuple[Sequence[Bucket], list[Bucket]]:
    """Return the first buckets, which may have so many rows together, and the others."""
    reached = accumulate(rows for _, rows in buckets)
    count = next((place for place, rows in enumerate(reached, 1) if rows >= wanted), len(buckets))
    return buckets[:count], list(buckets[count:])
