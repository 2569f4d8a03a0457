"""Reading: each in a transaction of its own, with a deadline, seeing whole commits only."""

from collections.abc import Callable
from typing import Final

import pyarrow as pa
from psycopg import errors
from sqlglot import exp

from appliance.components.arrow import DEAD_SCHEMA
from appliance.components.silver import Aggregation, DeadLetterQuery, RecordQuery, Table
from appliance.domain.ids import PipelineId
from appliance.storage.silver_postgres import fetched, places
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.database import Database
from appliance.storage.silver_postgres.names import DIALECT
from appliance.storage.silver_postgres.page import BY_ROLLUP, BY_ROWS, Page, fill
from appliance.storage.silver_postgres.places import Place
from appliance.storage.sql import answers
from appliance.storage.sql.aggregate import aggregate
from appliance.storage.sql.columns import check
from appliance.storage.sql.dead_letters import select_dead
from appliance.storage.sql.gold import golds_of
from appliance.storage.sql.gold_query import aggregate_gold
from appliance.storage.sql.gold_route import route
from appliance.storage.sql.source import rows_of

# Few counts answer: to start workers, or to compile, takes longer. Counts lie by group; in the order of time each would
# be a visit to a page, as a bitmap each page is one.
_BY_GOLD: Final = (
    "SAVEPOINT gold; SET LOCAL max_parallel_workers_per_gather TO 0; SET LOCAL jit TO off;"
    " SET LOCAL enable_indexscan TO off;"
)


class Reads:
    """``timeout_secs``: for a read that does not name its own.

    ``looking``: as ``Look`` says it, so that a replica may answer.
    """

    def __init__(self, database: Database, timeout_secs: float, *, looking: bool = False) -> None:
        self._database, self._timeout_secs, self._looking = database, timeout_secs, looking

    def records(self, table: Table, query: RecordQuery, timeout_secs: float | None = None) -> pa.Table:
        """See ``SilverStore.records``."""

        def work(cursor: Cursor) -> pa.Table:
            place = places.find_of(cursor, table)
            page = Page(cursor, table, source_of(table, place), query)
            fill(page, place)
            return page.rows

        first = BY_ROLLUP if table.rollups else ""
        return self._ask(f"reading rows of {table.pipeline_id}", table.pipeline_id, timeout_secs, work, first)

    def aggregate(self, table: Table, query: Aggregation, timeout_secs: float | None = None) -> pa.Table:
        """See ``SilverStore.aggregate``."""

        def work(cursor: Cursor) -> pa.Table:
            place = places.find_of(cursor, table)
            source = source_of(table, place)
            statement = aggregate(table, source, query, DIALECT)
            if table.rollups:
                if place and (answer := _from_gold(cursor, table, place, source, query)) is not None:
                    return answer
                cursor.execute(BY_ROWS)
            return answers.as_measures(fetched.as_it_comes(cursor, statement, _told(query)), "silver")

        first = _BY_GOLD if table.rollups else ""
        return self._ask(f"querying {table.pipeline_id}", table.pipeline_id, timeout_secs, work, first)

    def dead_letters(self, pipeline_id: PipelineId, query: DeadLetterQuery) -> pa.Table:
        """See ``SilverStore.dead_letters``."""

        def work(cursor: Cursor) -> pa.Table:
            place = places.find(cursor, pipeline_id)
            if place is None:
                return answers.no_dead_letters()
            statement = select_dead(pipeline_id, query, DIALECT, place.number)
            return fetched.as_schema(cursor, statement, DEAD_SCHEMA)

        return self._ask(f"reading dead letters of {pipeline_id}", pipeline_id, None, work)

    def _ask(
        self,
        doing: str,
        pipeline_id: PipelineId,
        timeout_secs: float | None,
        work: Callable[[Cursor], pa.Table],
        first: str = "",
    ) -> pa.Table:
        secs = timeout_secs or self._timeout_secs
        if self._looking:
            return self._database.look(doing, secs, work, pipeline_id, first)
        return self._database.read(doing, secs, work, first)


def source_of(table: Table, place: Place | None) -> exp.Expr:
    """Return what to select from, to read ``table`` where its rows are; None: there is no table yet.

    Raises:
        Conflict: a column is none that ``table`` can read.
    """
    check(table, place.stored if place else {})
    return rows_of(table, place.stored if place else None, DIALECT, place.number if place else 1)


def _from_gold(cursor: Cursor, table: Table, place: Place, source: exp.Expr, query: Aggregation) -> pa.Table | None:
    """Return the answer by rollups; None: they do not have it, or are not made yet."""
    found = route(table, query, golds_of(table, place.number))
    if found is None:
        return None
    statement = aggregate_gold(table, source, query, found, DIALECT)
    try:
        answer = fetched.as_it_comes(cursor, statement, _told(query))
    except errors.UndefinedTable:
        return None
    return answers.as_measures(answer, found.source)


def _told(query: Aggregation) -> list[str]:
    """Return the names of the answer's columns."""
    time = ["_time"] if query.bucket_us is not None else []
    return [*time, *query.group_by, *(measure.name for measure in query.measures)]
