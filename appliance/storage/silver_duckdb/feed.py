"""Rows in the order of commits, for readers with a checkpoint of their own."""

from typing import Final

import duckdb
import pyarrow as pa

from appliance.components.feed import Feed, FeedPlace
from appliance.components.silver import Table
from appliance.domain.clock import Clock
from appliance.domain.ids import PipelineId
from appliance.storage.silver_duckdb.commit import read_progress
from appliance.storage.silver_duckdb.database import Database
from appliance.storage.silver_duckdb.journal import hand_on_again
from appliance.storage.silver_duckdb.schema import quoted
from appliance.storage.silver_duckdb.transaction import transaction
from appliance.storage.silver_duckdb.writer import Writer
from appliance.storage.sql import answers
from appliance.storage.sql.columns import check
from appliance.storage.sql.dialect import DuckDb
from appliance.storage.sql.records import field_types
from appliance.storage.sql.source import Stored, rows_of, rows_table

_DIALECT: Final = DuckDb()
_LAST: Final = "SELECT coalesce(max(number), 0) FROM _amendments WHERE pipeline_id = $id"
_AMENDED_UP_TO: Final = """
SELECT number FROM _amendments WHERE pipeline_id = $id AND number > $amendment AND seq <= $seq
ORDER BY number LIMIT 1 OFFSET $limit - 1
"""
_AMENDED: Final = """
SELECT {fields} FROM {source} JOIN _amendments AS a ON a.seq = r._seq AND a.item = r._item
WHERE a.pipeline_id = $id AND a.number > $amendment AND a.number <= $up_to AND a.seq <= $seq ORDER BY r._seq, r._item
"""
# Rows lie in the order of _seq, so blocks outside of the two bounds are not read.
_COMMITTED_UP_TO: Final = """
SELECT _seq FROM {rows} WHERE _seq > $seq AND _seq <= $end ORDER BY _seq LIMIT 1 OFFSET $limit - 1
"""
_COMMITTED: Final = """
SELECT {fields} FROM {source} WHERE r._seq > $seq AND r._seq <= $up_to ORDER BY r._seq, r._item
"""


class DuckDbFeed:
    """The ``feed`` of a DuckDbSilver.

    A place (seq, amendment) means: of every event up to ``seq`` all rows were handed out, as they were with the
    amendments up to ``amendment``. So amendments come first, and later events only when no amendment is left: they are
    read as they are now, with whatever has been amended since.
    """

    def __init__(self, database: Database, writer: Writer, timeout_secs: float, clock: Clock) -> None:
        self._database, self._writer = database, writer
        self._timeout_secs, self._clock = timeout_secs, clock

    def end(self, table: Table) -> FeedPlace:
        number = self._writer.number(table)

        def work(cursor: duckdb.DuckDBPyConnection) -> FeedPlace:
            cursor.execute("BEGIN")
            progress = read_progress(cursor, table.pipeline_id, number)
            return FeedPlace(progress.seq if progress else 0, _last_amendment(cursor, table.pipeline_id))

        return self._database.read(f"reading the end of {table.pipeline_id}", self._timeout_secs, work)

    def read(self, table: Table, after: FeedPlace, limit: int) -> tuple[pa.Table, FeedPlace]:
        number = self._writer.number(table)
        stored = self._writer.columns(table.pipeline_id, number)
        check(table, stored or {})
        empty = answers.rows_schema(field_types(table)).empty_table()
        if stored is None:
            return empty, after

        def work(cursor: duckdb.DuckDBPyConnection) -> tuple[pa.Table, FeedPlace]:
            return _Reading(cursor, table, number, stored).run(after, max(1, limit))

        return self._database.read(f"reading new rows of {table.pipeline_id}", self._timeout_secs, work)

    def again(self, table: Table, first_seq: int, last_seq: int) -> int:
        rows = quoted(rows_table(table.pipeline_id, self._writer.number(table)))

        def work(cursor: duckdb.DuckDBPyConnection) -> int:
            with transaction(cursor):
                return hand_on_again(cursor, table.pipeline_id, rows, (first_seq, last_seq), self._clock())

        return self._writer.run(f"handing on rows of {table.pipeline_id} again", work)


class _Reading:
    """One read, of one snapshot, which ends with the cursor."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, table: Table, number: int, stored: Stored) -> None:
        self._cursor, self._table, self._number = cursor, table, number
        self._types = field_types(table)
        source = rows_of(table, stored, _DIALECT, number).sql(_DIALECT.sqlglot_name)
        fields = ", ".join(f"r.{quoted(field)}" for field in self._types)
        self._names = {
            "source": source, "fields": fields, "rows": quoted(rows_table(table.pipeline_id, number)),
        }  # fmt: skip

    def run(self, after: FeedPlace, limit: int) -> tuple[pa.Table, FeedPlace]:
        self._cursor.execute("BEGIN")
        last = _last_amendment(self._cursor, self._table.pipeline_id)
        amended, up_to = self._amended(after, last, limit)
        if up_to < last:
            return amended, FeedPlace(after.seq, up_to)
        place = FeedPlace(after.seq, max(up_to, after.amendment))
        if amended.num_rows >= limit:
            return amended, place
        committed, seq = self._committed(after.seq, limit - amended.num_rows)
        return pa.concat_tables([amended, committed]), FeedPlace(seq, place.amendment)

    def _amended(self, after: FeedPlace, last: int, limit: int) -> tuple[pa.Table, int]:
        """Return rows that came about behind the reader's back, and up to which amendment that is."""
        if last <= after.amendment:
            return self._rows(_COMMITTED, {"seq": 0, "up_to": 0}), last
        own = {"id": self._table.pipeline_id, "amendment": after.amendment, "seq": after.seq}
        full = self._cursor.execute(_AMENDED_UP_TO, {**own, "limit": limit}).fetchall()
        up_to = full[0][0] if full else last
        return self._rows(_AMENDED, {**own, "up_to": up_to}), up_to

    def _committed(self, seq: int, limit: int) -> tuple[pa.Table, int]:
        """Return rows of events after ``seq``, and up to which event that is."""
        progress = read_progress(self._cursor, self._table.pipeline_id, self._number)
        end = max(seq, progress.seq if progress else 0)
        bounds = {"seq": seq, "end": end, "limit": limit}
        full = self._cursor.execute(_COMMITTED_UP_TO.format(**self._names), bounds).fetchall()
        up_to = full[0][0] if full else end
        return self._rows(_COMMITTED, {"seq": seq, "up_to": up_to}), up_to

    def _rows(self, sql: str, values: dict[str, object]) -> pa.Table:
        found = self._cursor.sql(sql.format(**self._names), params=values).to_arrow_table()
        return answers.as_rows(found, self._types)


def _last_amendment(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId) -> int:
    found: int = cursor.execute(_LAST, {"id": pipeline_id}).fetchall()[0][0]
    return found


_: type[Feed] = DuckDbFeed
