"""Dead letters as objects, in the live generation."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import duckdb
import pyarrow as pa

from appliance.components.letters import Amendment, LetterCount, LetterFilter, LetterGroup, Letters
from appliance.components.silver import Progress, Table
from appliance.domain.clock import Clock
from appliance.domain.ids import PipelineId
from appliance.storage.silver_duckdb.amend import amend
from appliance.storage.silver_duckdb.commit import Place
from appliance.storage.silver_duckdb.database import Database
from appliance.storage.silver_duckdb.schema import quoted
from appliance.storage.silver_duckdb.writer import Writer
from appliance.storage.sql.dialect import DuckDb
from appliance.storage.sql.letters import select_groups, select_seqs
from appliance.storage.sql.source import dead_table
from appliance.storage.sql.statement import Statement

PlaceOf = Callable[[duckdb.DuckDBPyConnection, Table], Place]

_DIALECT: Final = DuckDb()
# From the ledger, not from the letters: counting distinct events reads all of them, this a line a day.
_EVENTS: Final = """
SELECT pipeline_id, sum(dead - dead_gone)::BIGINT FROM _spans JOIN _generations USING (pipeline_id)
WHERE live AND number = generation AND list_contains($ids, pipeline_id) GROUP BY pipeline_id
"""


class DuckDbLetters:
    """The ``letters`` of a DuckDbSilver. ``place_of``: prepares a table, if need be, and says where its rows go."""

    def __init__(
        self, database: Database, writer: Writer, place_of: PlaceOf, timeout_secs: float, clock: Clock
    ) -> None:
        self._database, self._writer, self._place_of = database, writer, place_of
        self._timeout_secs, self._clock = timeout_secs, clock

    def groups(self, pipeline_id: PipelineId, chosen: LetterFilter) -> list[LetterGroup]:
        number = self._number(pipeline_id)
        if number is None:
            return []
        found = self._run(select_groups(pipeline_id, number, chosen, _DIALECT), pipeline_id)
        return [LetterGroup(**group) for group in found.to_pylist()]

    def seqs(self, pipeline_id: PipelineId, chosen: LetterFilter, after_seq: int, limit: int) -> list[int]:
        number = self._number(pipeline_id)
        if number is None:
            return []
        found = self._run(select_seqs(pipeline_id, number, chosen, _DIALECT, (after_seq, limit)), pipeline_id)
        seqs: list[int] = found.column("seq").to_pylist()
        return seqs

    def count(self, pipeline_ids: Sequence[PipelineId]) -> dict[PipelineId, LetterCount]:
        def work(cursor: duckdb.DuckDBPyConnection) -> dict[PipelineId, LetterCount]:
            found = cursor.execute(_EVENTS, {"ids": list(pipeline_ids)}).fetchall()
            events = {PipelineId(pipeline_id): count for pipeline_id, count in found if count}
            return {one: LetterCount(count, self._oldest(cursor, one)) for one, count in events.items()}

        counts = self._database.read("counting dead letters", self._timeout_secs, work)
        return {one: counts.get(one, LetterCount(0, None)) for one in pipeline_ids}

    def amend(self, amendment: Amendment) -> Progress:
        """See ``Letters.amend``. A table not prepared, or with fewer columns, is prepared first."""

        def work(cursor: duckdb.DuckDBPyConnection) -> Progress:
            return amend(cursor, amendment, self._place_of(cursor, amendment.table), self._clock())

        return self._writer.run(f"amending events of {amendment.table.pipeline_id}", work)

    def _number(self, pipeline_id: PipelineId) -> int | None:
        """Return the live generation; None: there is none."""
        return None if self._writer.columns(pipeline_id) is None else self._writer.live(pipeline_id)

    def _oldest(self, cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId) -> datetime | None:
        table = quoted(dead_table(pipeline_id, self._writer.live(pipeline_id)))
        oldest = cursor.sql(f"SELECT min(received_at) AS oldest FROM {table}")  # noqa: S608 - quoted
        found: datetime | None = oldest.to_arrow_table().column("oldest")[0].as_py()
        return found

    def _run(self, statement: Statement, pipeline_id: PipelineId) -> pa.Table:
        def work(cursor: duckdb.DuckDBPyConnection) -> pa.Table:
            return cursor.sql(statement.sql, params=statement.values).to_arrow_table()

        return self._database.read(f"reading dead letters of {pipeline_id}", self._timeout_secs, work)


_: type[Letters] = DuckDbLetters
