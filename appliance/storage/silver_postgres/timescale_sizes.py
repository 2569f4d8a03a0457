"""What hypertables occupy, how much of it lies in columns, and who else takes care of them."""

from datetime import timedelta
from typing import Final, NamedTuple

from appliance.components.upkeep import Chunking, RowChunks
from appliance.domain.ids import PipelineId
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.timescale import OLDEST, Edition, Extension
from appliance.storage.silver_postgres.timescale_chunks import Chunks
from appliance.storage.silver_postgres.timescale_wanted import Wanted
from appliance.storage.sql.postgresql import quoted
from appliance.storage.sql.source import rows_table

_US: Final = timedelta(microseconds=1)
_GENERATIONS: Final = """
SELECT pipeline_id, number, number = live, chunk_us FROM _generations JOIN _pipelines USING (pipeline_id)
WHERE chunk_us IS NOT NULL ORDER BY pipeline_id, number
"""
_SIZE: Final = """
SELECT count(*), coalesce(sum(total_bytes), 0)::bigint FROM {extension}.chunks_detailed_size(%(rows)s::regclass)
"""
_COLUMNS: Final = """
SELECT count(*), coalesce(sum(before_compression_total_bytes), 0)::bigint,
    coalesce(sum(after_compression_total_bytes), 0)::bigint
FROM {extension}.chunk_columnstore_stats(%(rows)s::regclass) WHERE compression_status = 'Compressed'
"""
_REMOVED: Final = """
SELECT hypertable_name, coalesce(sum(n_dead_tup), 0)::bigint, coalesce(sum(n_live_tup), 0)::bigint
FROM timescaledb_information.chunks JOIN pg_catalog.pg_stat_all_tables ON schemaname = chunk_schema
    AND relname = chunk_name
WHERE hypertable_schema = current_schema() GROUP BY hypertable_name
"""
_POLICIES: Final = """
SELECT proc_name, hypertable_name, schedule_interval::text FROM timescaledb_information.jobs
WHERE hypertable_schema = current_schema() ORDER BY job_id
"""


# The view in front of each continuous aggregate: the one that people ask.
_VIEWS: Final = """
SELECT DISTINCT front.relname FROM timescaledb_information.continuous_aggregates
JOIN pg_catalog.pg_class AS behind ON behind.relname = view_name AND behind.relnamespace = to_regnamespace(view_schema)
JOIN pg_catalog.pg_depend ON refobjid = behind.oid AND classid = 'pg_rewrite'::regclass
JOIN pg_catalog.pg_rewrite AS rule ON rule.oid = objid
JOIN pg_catalog.pg_class AS front ON front.oid = ev_class AND front.oid <> behind.oid
WHERE view_schema = current_schema() ORDER BY 1
"""


class Occupied(NamedTuple):
    """What the chunks of a table occupy, and of their rows those removed and those there."""

    size: int
    dead: int
    live: int


NOTHING: Final = Occupied(0, 0, 0)


def occupied(cursor: Cursor, chunks: Chunks) -> dict[str, Occupied]:
    """Return it of every hypertable, by its name."""
    if chunks.extension is None:
        return {}
    removed = {name: (dead, live) for name, dead, live in cursor.execute(_REMOVED).fetchall()}
    sizes = {}
    for pipeline_id, number, _, _ in cursor.execute(_GENERATIONS).fetchall():
        name = rows_table(pipeline_id, number)
        sizes[name] = Occupied(_size(cursor, chunks.extension, name)[1], *removed.get(name, (0, 0)))
    return sizes


def chunking(cursor: Cursor, chunks: Chunks) -> Chunking | None:
    """Return what TimescaleDB does for the schema; None: the database does not have it."""
    extension, wanted = chunks.extension, chunks.wanted
    if extension is None:
        return None
    age = wanted.compress_after
    policies = cursor.execute(_POLICIES).fetchall()
    return Chunking(
        version=extension.version,
        edition="community" if extension.edition is Edition.COMMUNITY else "apache",
        in_use=chunks.used,
        columnstore=extension.has_columnstore and age is not None,
        width_secs=int(wanted.interval.total_seconds()),
        compress_after_secs=None if age is None else int(age.total_seconds()),
        pipelines=_live(cursor, extension),
        policies=tuple(f"{proc} of {table}, every {every}" for proc, table, every in policies),
        views=tuple(view for (view,) in cursor.execute(_VIEWS).fetchall()),
        notes=tuple(_notes(extension, wanted)),
    )


def _live(cursor: Cursor, extension: Extension) -> dict[PipelineId, RowChunks]:
    found = {}
    for pipeline_id, number, live, width in cursor.execute(_GENERATIONS).fetchall():
        if live:
            found[PipelineId(pipeline_id)] = _chunks(cursor, extension, rows_table(pipeline_id, number), width)
    return found


def _chunks(cursor: Cursor, extension: Extension, name: str, width_us: int) -> RowChunks:
    count, size = _size(cursor, extension, name)
    columnar, before, after = 0, 0, 0
    if extension.has_columnstore:
        asked = _COLUMNS.format(extension=extension.schema)
        columnar, before, after = cursor.execute(asked, {"rows": quoted(name)}).fetchall()[0]
    return RowChunks(
        chunks=count, bytes=size, columnar=columnar, as_rows_bytes=before, columnar_bytes=after,
        width_secs=width_us * _US // timedelta(seconds=1),
    )  # fmt: skip


def _size(cursor: Cursor, extension: Extension, name: str) -> tuple[int, int]:
    found: tuple[int, int] = cursor.execute(
        _SIZE.format(extension=extension.schema), {"rows": quoted(name)}
    ).fetchall()[0]
    return found


def _notes(extension: Extension, wanted: Wanted) -> list[str]:
    """Return what does not go as somebody may expect, and what to do about it."""
    if not extension.supported:
        least = ".".join(map(str, OLDEST))
        return [f"Version {extension.version} is too old and not used; {least} or later is."]
    if not wanted.use:
        return ["New rows tables are native partitions, because silver.timescale is off."]
    if extension.edition is Edition.APACHE:
        return ["The server runs the Apache-licensed edition: hypertables, but no columnstore, so rows stay rows."]
    return []
