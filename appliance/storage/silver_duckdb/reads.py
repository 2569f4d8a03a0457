"""Reading: each on a cursor of its own, with a deadline, seeing whole commits only."""

import duckdb
import pyarrow as pa
from sqlglot import exp

from appliance.components.silver import Aggregation, DeadLetterQuery, RecordQuery, Table
from appliance.domain.ids import PipelineId
from appliance.storage.silver_duckdb.database import Database
from appliance.storage.silver_duckdb.writer import Writer
from appliance.storage.sql import answers
from appliance.storage.sql.aggregate import aggregate, count_matching, wants_percentiles
from appliance.storage.sql.columns import check
from appliance.storage.sql.dead_letters import select_dead
from appliance.storage.sql.dialect import DuckDb
from appliance.storage.sql.gold import golds_of
from appliance.storage.sql.gold_query import aggregate_gold
from appliance.storage.sql.gold_route import route
from appliance.storage.sql.records import field_types, select_records
from appliance.storage.sql.source import rows_of
from appliance.storage.sql.statement import Statement

EXACT_PERCENTILE_ROWS = 2_000_000  # beyond it percentiles come from a sample; exact ones take 8 to 16 bytes a row
SAMPLE_ROWS = EXACT_PERCENTILE_ROWS  # at most; at least half of it

_DIALECT = DuckDb()


class Reads:
    """``writer`` knows which generation is live and what columns it has."""

    def __init__(self, database: Database, writer: Writer, timeout_secs: float) -> None:
        self._database = database
        self._writer = writer
        self._timeout_secs = timeout_secs

    def records(self, table: Table, query: RecordQuery, timeout_secs: float | None) -> pa.Table:
        """See ``SilverStore.records``."""
        statement = select_records(table, self._source(table), query, _DIALECT)
        answer = self._run(statement, f"reading rows of {table.pipeline_id}", timeout_secs)
        return answers.as_rows(answer, field_types(table))

    def aggregate(self, table: Table, query: Aggregation, timeout_secs: float | None) -> pa.Table:
        """See ``SilverStore.aggregate``."""
        source, doing = self._source(table), f"querying {table.pipeline_id}"
        statement = aggregate(table, source, query, _DIALECT)
        if table.rollups and (answer := self._from_gold(table, source, query, timeout_secs)) is not None:
            return answer
        if wants_percentiles(query):
            counting = count_matching(table, source, query, _DIALECT)
            rows = self._run(counting, doing, timeout_secs).column(0)[0].as_py()
            if rows > EXACT_PERCENTILE_ROWS:
                one_in = 1 << (rows // SAMPLE_ROWS).bit_length()
                statement = aggregate(table, source, query, _DIALECT, one_in=one_in)
        return answers.as_measures(self._run(statement, doing, timeout_secs), "silver")

    def _from_gold(
        self, table: Table, source: exp.Expr, query: Aggregation, timeout_secs: float | None
    ) -> pa.Table | None:
        """Return the answer by rollups; None: they do not have it, or are being made at this moment."""
        found = route(table, query, golds_of(table, self._writer.number(table)))
        if found is None:
            return None
        statement = aggregate_gold(table, source, query, found, _DIALECT)

        def work(cursor: duckdb.DuckDBPyConnection) -> pa.Table | None:
            try:
                return cursor.sql(statement.sql, params=statement.values).to_arrow_table()
            except duckdb.CatalogException:
                return None

        answer = self._database.read(f"querying {table.pipeline_id}", timeout_secs or self._timeout_secs, work)
        return answers.as_measures(answer, found.source) if answer is not None else None

    def dead_letters(self, pipeline_id: PipelineId, query: DeadLetterQuery) -> pa.Table:
        """See ``SilverStore.dead_letters``."""
        if self._writer.columns(pipeline_id) is None:
            return answers.no_dead_letters()
        statement = select_dead(pipeline_id, query, _DIALECT, self._writer.live(pipeline_id))
        return answers.as_dead_letters(self._run(statement, f"reading dead letters of {pipeline_id}", None))

    def _source(self, table: Table) -> exp.Expr:
        number = self._writer.number(table)
        stored = self._writer.columns(table.pipeline_id, number)
        check(table, stored or {})
        return rows_of(table, stored, _DIALECT, number)

    def _run(self, statement: Statement, doing: str, timeout_secs: float | None) -> pa.Table:
        def work(cursor: duckdb.DuckDBPyConnection) -> pa.Table:
            return cursor.sql(statement.sql, params=statement.values).to_arrow_table()

        return self._database.read(doing, timeout_secs or self._timeout_secs, work)
