"""Continuous aggregates for who asks the database directly: extra views, which Dash itself never reads.

They cannot be Gold: what changes below their mark is wrong until they are refreshed, which cannot be done in the
transaction of the change, and a refresh forgets what retention has removed (decision 0023). So Gold stays what it is,
and these are kept only where the pipeline, or ``silver.continuous_aggregates``, asks for them.

Of each rollup of the live generation there is one, and a view in front of it whose name outlives replays.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import structlog

from appliance.components.silver import Table
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.storage.silver_postgres import names, places
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.database import Database
from appliance.storage.silver_postgres.locks import Lock
from appliance.storage.silver_postgres.places import Place
from appliance.storage.silver_postgres.timescale_changes import chunk_us
from appliance.storage.silver_postgres.timescale_chunks import Chunks
from appliance.storage.sql.postgresql import quoted
from appliance.storage.sql.source import rows_table

_LOOKING_SECS: Final = 60.0
_LONGEST_NAME: Final = 63
_THERE: Final = """
SELECT view_name FROM timescaledb_information.continuous_aggregates
WHERE view_schema = current_schema() AND starts_with(view_name, %(prefix)s)
"""
# A bucket is refreshed that lies in the window as a whole, and the first one may begin before the first chunk. Nothing
# where no bucket is whole yet: an empty window is an error.
_OLDEST: Final = """
SELECT (min(range_start) - %(bucket)s)::text FROM timescaledb_information.chunks
WHERE hypertable_schema = current_schema() AND hypertable_name = %(name)s
HAVING min(range_start) + %(bucket)s <= %(ends)s
"""
_MAKE: Final = """
CREATE MATERIALIZED VIEW {name} WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT {bucket} AS _time, {selected} FROM {rows} AS r GROUP BY {keys} WITH NO DATA
"""
_FRONT: Final = "DROP VIEW IF EXISTS {front}; CREATE VIEW {front} AS SELECT * FROM {name}"
_REFRESH: Final = (
    "CALL {extension}.refresh_continuous_aggregate('{name}', '{starts}'::timestamptz, '{ends}'::timestamptz)"
)
_BOOLEANS: Final = {"min": "bool_and", "max": "bool_or"}

log = structlog.get_logger("silver")


class Views:
    """What keeps the views of a store's pipelines."""

    def __init__(self, database: Database, chunks: Chunks) -> None:
        self._database, self._chunks = database, chunks

    def keep(self, table: Table, now: datetime) -> None:
        """Make the views that are wanted, drop all others, and refresh each up to its last whole bucket.

        What lies after that is read from the rows by the view itself, and right at once.
        """
        extension, doing = self._chunks.extension, f"keeping the views of {table.pipeline_id}"
        if extension is None or not extension.has_columnstore:
            return
        place = self._database.read(doing, _LOOKING_SECS, lambda cursor: places.find(cursor, table.pipeline_id))
        if place is None:
            return
        wanted = self._wanted(table, place)
        if self._database.read(doing, _LOOKING_SECS, lambda cursor: there(cursor, table.pipeline_id)) != set(wanted):
            work = lambda cursor: self._arrange(cursor, table.pipeline_id, wanted)  # noqa: E731
            self._database.write(doing, work, table.pipeline_id, Lock.ALONE)
        for name, (rollup, _) in wanted.items():
            bucket = timedelta(microseconds=rollup.bucket_us)
            self._refresh(doing, name, rows_table(table.pipeline_id, place.number), (bucket, now - bucket))

    def _refresh(self, doing: str, name: str, rows: str, window: tuple[timedelta, datetime]) -> None:
        assert self._chunks.extension is not None  # noqa: S101 - only where there are views
        bucket, ends = window
        own = {"name": rows, "bucket": bucket, "ends": ends}
        oldest = self._database.read(doing, _LOOKING_SECS, lambda cursor: cursor.execute(_OLDEST, own).fetchall())
        for (starts,) in oldest:
            told = f"{quoted(self._database.schema)}.{quoted(name)}".replace("'", "''")
            schema = self._chunks.extension.schema
            statement = _REFRESH.format(extension=schema, name=told, starts=starts, ends=ends.isoformat())
            self._database.outside(doing, statement)

    def _wanted(self, table: Table, place: Place) -> dict[str, tuple[Rollup, str]]:
        """Return the name of each, with its rollup and the statement that makes it."""
        asked, extension = self._chunks.wanted.of(table).views, self._chunks.extension
        if not asked or place.chunk_us is None or place.keyed or extension is None:
            return {}
        made = {}
        for rollup in table.rollups:
            statement = statement_for(table, place, rollup, extension.schema)
            if statement is not None:
                digest = hashlib.blake2b(statement.encode(), digest_size=4).hexdigest()
                name = f"{_prefix(table.pipeline_id)}{place.number}.{digest}"
                made[name] = (rollup, statement.replace("{name}", quoted(name)))
        return made

    def _arrange(self, cursor: Cursor, pipeline_id: PipelineId, wanted: Mapping[str, tuple[Rollup, str]]) -> None:
        before = there(cursor, pipeline_id)
        for name in before - set(wanted):
            cursor.execute(f"DROP MATERIALIZED VIEW {quoted(name)} CASCADE")  # its view in front
        for name, (rollup, statement) in wanted.items():
            if name not in before:
                cursor.execute(statement)
                cursor.execute(_FRONT.format(front=quoted(front(pipeline_id, rollup.name)), name=quoted(name)))
                log.info("silver.view_made", pipeline=pipeline_id, view=front(pipeline_id, rollup.name))


def there(cursor: Cursor, pipeline_id: PipelineId) -> set[str]:
    """Return the continuous aggregates of a pipeline."""
    return {name for (name,) in cursor.execute(_THERE, {"prefix": _prefix(pipeline_id)}).fetchall()}


def drop(cursor: Cursor, pipeline_id: PipelineId, number: int) -> None:
    """Drop those of a generation that is removed: its rows could not be, as long as they are there."""
    if chunk_us(cursor, pipeline_id, number) is None:
        return
    for name in there(cursor, pipeline_id):
        if name.startswith(f"{_prefix(pipeline_id)}{number}."):
            cursor.execute(f"DROP MATERIALIZED VIEW {quoted(name)} CASCADE")


def front(pipeline_id: PipelineId, rollup: str) -> str:
    """Return what the view is called that people ask."""
    name = f"{pipeline_id}.{rollup}"
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.blake2b(rollup.encode(), digest_size=4).hexdigest()
    return f"{name[: _LONGEST_NAME - len(digest) - 1]}_{digest}"


def statement_for(table: Table, place: Place, rollup: Rollup, extension: str) -> str | None:
    """Return what makes the continuous aggregate of a rollup, called ``{name}``; None: it cannot be one.

    Percentiles are left out: their bins are none of TimescaleDB's aggregates. A field that was widened has two columns,
    which no view of this kind can read as one.
    """
    kinds = {column.name: column.type for column in table.columns}
    fields = {*rollup.group_by, *(one.field for one in rollup.measures if one.field is not None)}
    if any(len(place.stored.get(field.lower(), ())) != 1 for field in fields):
        return None
    groups = [f"r.{_column(field)}" for field in rollup.group_by]
    measures = [_measure(one, kinds, extension) for one in rollup.measures if one.op != "percentiles" and one.field]
    bucket = f"{extension}.time_bucket(interval '{rollup.bucket_us} microseconds', r._time)"
    selected = ", ".join((*groups, "count(*) AS rows", *measures))
    rows = quoted(rows_table(table.pipeline_id, place.number))
    return _MAKE.format(name="{name}", bucket=bucket, selected=selected, rows=rows, keys=", ".join((bucket, *groups)))


def _measure(measure: RollupMeasure, kinds: Mapping[str, FieldType], extension: str) -> str:
    field = str(measure.field)
    value, told = f"r.{_column(field)}", quoted(names.DIALECT.physical(f"{measure.op}_{field}"))
    if measure.op == "last":
        return f"{extension}.last({value}, r._time) AS {told}"
    function = _BOOLEANS.get(measure.op, measure.op) if kinds[field] is FieldType.BOOLEAN else measure.op
    return f"{function}({value}) AS {told}"


def _column(field: str) -> str:
    return quoted(names.DIALECT.physical(field))


def _prefix(pipeline_id: PipelineId) -> str:
    return f"cagg_{pipeline_id}."
