"""Reading: each on a cursor of its own, with a deadline, seeing whole commits only."""

from collections.abc import Callable, Mapping

import pyarrow as pa
from sqlglot import exp

from appliance.components.silver import Aggregation, DeadLetterQuery, RecordQuery, Table
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType
from appliance.storage.silver_duckdb import answers, schema
from appliance.storage.silver_duckdb.database import Database
from appliance.storage.sql.aggregate import aggregate, count_matching, wants_percentiles
from appliance.storage.sql.dead_letters import select_dead
from appliance.storage.sql.dialect import DuckDb
from appliance.storage.sql.records import field_types, select_records
from appliance.storage.sql.source import rows_of
from appliance.storage.sql.statement import Statement

EXACT_PERCENTILE_ROWS = 2_000_000  # beyond it percentiles come from a sample; exact ones take 8 to 16 bytes a row
SAMPLE_ROWS = EXACT_PERCENTILE_ROWS  # at most; at least half of it

ColumnsOf = Callable[[PipelineId], Mapping[str, FieldType] | None]

_DIALECT = DuckDb()


class Reads:
    """``columns_of``: what columns a pipeline's rows have; None: there is no table."""

    def __init__(self, database: Database, columns_of: ColumnsOf, timeout_secs: float) -> None:
        self._database = database
        self._columns_of = columns_of
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
        if wants_percentiles(query):
            counting = count_matching(table, source, query, _DIALECT)
            rows = self._run(counting, doing, timeout_secs).column(0)[0].as_py()
            if rows > EXACT_PERCENTILE_ROWS:
                one_in = 1 << (rows // SAMPLE_ROWS).bit_length()
                statement = aggregate(table, source, query, _DIALECT, one_in=one_in)
        return answers.as_measures(self._run(statement, doing, timeout_secs))

    def dead_letters(self, pipeline_id: PipelineId, query: DeadLetterQuery) -> pa.Table:
        """See ``SilverStore.dead_letters``."""
        if self._columns_of(pipeline_id) is None:
            return answers.no_dead_letters()
        statement = select_dead(pipeline_id, query, _DIALECT)
        return answers.as_dead_letters(self._run(statement, f"reading dead letters of {pipeline_id}", None))

    def _source(self, table: Table) -> exp.Expr:
        stored = self._columns_of(table.pipeline_id)
        schema.check(table, stored or {})
        return rows_of(table, stored, _DIALECT)

    def _run(self, statement: Statement, doing: str, timeout_secs: float | None) -> pa.Table:
        with self._database.reading(doing, timeout_secs or self._timeout_secs) as cursor:
            return cursor.sql(statement.sql, params=statement.values).to_arrow_table()
