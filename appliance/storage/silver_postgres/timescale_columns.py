"""Older chunks into the columnstore: by our own upkeep, chunk by chunk, each in a transaction of its own.

Not by a policy of TimescaleDB's: that would run whenever the server's scheduler finds a worker, over shadows and former
generations too, and would put away again what an amendment has just taken apart.

Batches are made of rows of one device after the other, in order of time: what does not change from row to row then
takes no room. Which column tells devices apart is guessed once for a generation, unless the pipeline names one. It is
a column to order by, not to segment by: where the guess is bad, with few rows of each value, batches hold several
values and stay full.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

import structlog

from appliance.components.silver import Table
from appliance.domain.mapping import FieldType
from appliance.errors import TransientError
from appliance.storage.silver_postgres import names, places
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.database import Database
from appliance.storage.silver_postgres.locks import Lock
from appliance.storage.silver_postgres.places import Place
from appliance.storage.silver_postgres.timescale_chunks import Chunks
from appliance.storage.sql.postgresql import quoted
from appliance.storage.sql.source import physical_name, rows_table

_LOOKING_SECS: Final = 60.0
_ROUND_SECS: Final = 120.0  # a round ends with the chunk that is under way then; the next one goes on
_ROWS_OF_EACH: Final = 100  # of one value in one chunk, at least, for it to be worth ordering by
PARTIAL: Final = 8  # bit of a chunk's status: rows came, or were taken apart, since it was converted
_PATIENCE: Final = "SET LOCAL lock_timeout TO 2000"  # who waits for who reads keeps others waiting, who read too
_DUE: Final = """
SELECT format('%%I.%%I', chunk_schema, chunk_name) FROM timescaledb_information.chunks
WHERE hypertable_schema = current_schema() AND hypertable_name = %(name)s AND range_end <= %(before)s
AND (NOT is_compressed OR _timescaledb_functions.chunk_status(format('%%I.%%I', chunk_schema, chunk_name)::regclass)
    & {partial} > 0)
ORDER BY range_start
"""
# None for the column: nobody has chosen one, and whatever is there is right.
_ARRANGED: Final = """
SELECT coalesce(orderby[1] = %(first)s::text, true) FROM _timescaledb_catalog.compression_settings
WHERE relid = %(rows)s::regclass AND orderby IS NOT NULL
"""
_STATISTICS: Final = """
SELECT attname, CASE WHEN n_distinct < 0 THEN -n_distinct * reltuples ELSE n_distinct END AS distinct_values, reltuples
FROM pg_catalog.pg_stats JOIN pg_catalog.pg_class AS c ON c.oid = %(chunk)s::regclass
JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
WHERE schemaname = nspname AND tablename = relname AND attname = ANY(%(columns)s)
"""
_ARRANGE: Final = """
ALTER TABLE {rows} SET (timescaledb.enable_columnstore, timescaledb.segmentby = '', timescaledb.orderby = {order})
"""
# Who comes second finds nothing to do: two at the same chunk would fail.
_ONE_BY_ONE: Final = (
    "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '/columnstore/' || %(chunk)s, 0))"
)
_LOCK: Final = "LOCK TABLE ONLY {chunk} IN SHARE ROW EXCLUSIVE MODE"
# What is converted is seen by every snapshot, older ones included (it was tried): so it waits until the newest row is
# older than all of them. Ages are counted in transactions.
_SEEN_BY_ALL: Final = """
SELECT coalesce((SELECT min(age(xmin)) FROM ONLY {chunk}), 2147483647)
    > coalesce((SELECT max(age(backend_xmin)) FROM pg_catalog.pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()), 0)
"""
# A chunk to which rows came since is converted as a whole. Only its new rows would be put in otherwise, and who reads
# on a snapshot from before would miss them (it was tried).
_AS_A_WHOLE: Final = """
SELECT set_config(name, 'off', true) FROM pg_catalog.pg_settings
WHERE name = 'timescaledb.enable_segmentwise_recompression'
"""
_CONVERT: Final = "CALL {extension}.convert_to_columnstore(%(chunk)s::regclass)"

log = structlog.get_logger("silver")


class Statistic(NamedTuple):
    """Of one column in one chunk: how many values differ, about, in how many rows."""

    column: str
    distinct: float
    rows: float


class Columnstore:
    """What puts chunks into the columnstore, where there is one."""

    def __init__(self, database: Database, chunks: Chunks) -> None:
        self._database, self._chunks = database, chunks

    def arrange(self, table: Table, now: datetime) -> int:
        """Convert chunks of the live generation that are old enough, oldest first; return how many.

        Who writes into such a chunk waits until it is done; who reads does not. What stays for the next round: what
        takes longer than two minutes together, and what somebody might see being converted.
        """
        extension, age, doing = self._chunks.extension, self._chunks.wanted.of(table).compress_after, _doing(table)
        place = self._database.read(doing, _LOOKING_SECS, lambda cursor: places.find(cursor, table.pipeline_id))
        if extension is None or place is None or place.chunk_us is None:
            return 0
        if not self._chunks.has_width(table, place):
            self._alone(table, lambda cursor: self._chunks.set_width(cursor, table, place))
        if place.keyed or age is None or not extension.has_columnstore:  # rows of any age are replaced by their keys
            return 0
        due = self._database.read(doing, _LOOKING_SECS, lambda cursor: _due(cursor, table, place, now - age))
        if due:
            self._alone(table, lambda cursor: self._prepare(cursor, table, due[0]))
        return self._convert(doing, _CONVERT.format(extension=extension.schema), due)

    def _alone(self, table: Table, work: Callable[[Cursor], None]) -> None:
        self._database.write(_doing(table), work, table.pipeline_id, Lock.ALONE)

    def _prepare(self, cursor: Cursor, table: Table, chunk: str) -> None:
        """Say how rows are put into columns: once, and again when another column is chosen to begin with."""
        place = places.find(cursor, table.pipeline_id)
        if place is None or place.keyed:
            return
        name, first = rows_table(table.pipeline_id, place.number), _chosen(table, place)
        if cursor.execute(_ARRANGED, {"rows": quoted(name), "first": first}).fetchall() == [(True,)]:
            return
        if first is None:
            cursor.execute(f"{_PATIENCE}; ANALYZE {chunk}")
            first = self._device(cursor, table, place, chunk)
        order = ", ".join((*([quoted(first)] if first else []), "_time", "_seq"))
        literal = "'" + order.replace("'", "''") + "'"
        cursor.execute(_ARRANGE.format(rows=quoted(name), order=literal))
        log.info("silver.columnstore", pipeline=table.pipeline_id, generation=place.number, order=order)

    def _device(self, cursor: Cursor, table: Table, place: Place, chunk: str) -> str | None:
        columns = [names.DIALECT.physical(one) for one in _candidates(table, place)]
        found = cursor.execute(_STATISTICS, {"chunk": chunk, "columns": columns}).fetchall()
        return most_telling([Statistic(*one) for one in found])

    def _convert(self, doing: str, statement: str, due: Sequence[str]) -> int:
        began, converted = time.monotonic(), 0
        for chunk in due:
            try:
                converted += self._database.run(doing, partial(_converted, chunk=chunk, statement=statement))
            except TransientError as error:  # somebody writes into it; the others are converted all the same
                log.info("silver.chunk_stays", chunk=chunk, reason=str(error))
            if time.monotonic() - began > _ROUND_SECS:
                break
        return converted


def _doing(table: Table) -> str:
    return f"arranging old rows of {table.pipeline_id}"


def _due(cursor: Cursor, table: Table, place: Place, before: datetime) -> list[str]:
    own = {"name": rows_table(table.pipeline_id, place.number), "before": before}
    return [chunk for (chunk,) in cursor.execute(_DUE.format(partial=PARTIAL), own).fetchall()]


def _converted(cursor: Cursor, chunk: str, statement: str) -> bool:
    """Convert a chunk unless somebody might see that it was; return whether it was converted."""
    cursor.execute(_PATIENCE)
    cursor.execute(_ONE_BY_ONE, {"chunk": chunk})
    told = chunk.replace("%", "%%")
    cursor.execute(_LOCK.format(chunk=told), {})
    if not cursor.execute(_SEEN_BY_ALL.format(chunk=told), {}).fetchall()[0][0]:
        return False
    cursor.execute(_AS_A_WHOLE)
    cursor.execute(statement, {"chunk": chunk})
    return True


def _chosen(table: Table, place: Place) -> str | None:
    """Return what the column is called that the pipeline names; None: it names none that has been stored yet."""
    name = table.chunks.order_by
    types = place.stored.get(name.lower()) if name else None
    return names.DIALECT.physical(physical_name(name, types)) if name and types else None


def most_telling(statistics: Sequence[Statistic]) -> str | None:
    """Return the column whose values differ most and yet come often each; None: there is none."""
    worth = [one for one in statistics if 2 <= one.distinct <= one.rows / _ROWS_OF_EACH]
    return max(worth, key=lambda one: (one.distinct, one.column)).column if worth else None


def _candidates(table: Table, place: Place) -> list[str]:
    """Return what the columns are called that may tell devices apart: what rollups group by, else all text."""
    grouped = {field for rollup in table.rollups for field in rollup.group_by}
    columns = [one for one in table.columns if one.name in grouped]
    columns = columns or [one for one in table.columns if one.type is FieldType.STRING]
    return [
        physical_name(one.name, place.stored[one.name.lower()]) for one in columns if one.name.lower() in place.stored
    ]
