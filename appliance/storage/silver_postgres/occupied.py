"""How much of the disk a schema occupies, and how much of that holds nothing."""

import re
from typing import Final

from appliance.components.upkeep import StoreSize
from appliance.domain.ids import PipelineId
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.timescale_chunks import NO_CHUNKS, Chunks
from appliance.storage.silver_postgres.timescale_sizes import NOTHING, Occupied, occupied

_MUCH: Final = 0.2  # of a table's rows removed and not yet free
# A table that is dropped at this moment is among them still, and has no size any more.
_TABLES: Final = """
SELECT c.relname, coalesce(pg_total_relation_size(c.oid), 0), coalesce(n_dead_tup, 0), coalesce(n_live_tup, 0)
FROM pg_catalog.pg_class AS c LEFT JOIN pg_catalog.pg_stat_all_tables AS s ON s.relid = c.oid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
"""
_OWNERS: Final = "SELECT pipeline_id FROM _pipelines ORDER BY pipeline_id"


def measure(cursor: Cursor, chunks: Chunks = NO_CHUNKS) -> StoreSize:
    """Return what the schema occupies. What is free is the server's estimate: rows removed and not written over."""
    pipelines = {PipelineId(pipeline_id): 0 for (pipeline_id,) in cursor.execute(_OWNERS)}
    gold, total, free = dict(pipelines), 0, 0
    for table, size, dead, live in _tables(cursor, chunks):
        total += size
        free += size * dead // (dead + live) if dead else 0
        kind, owner = _owner(table)
        if owner in pipelines:
            (gold if kind == "gold" else pipelines)[owner] += size
    return StoreSize(total, min(free, max(0, total - 1)), pipelines, gold)


def whole(cursor: Cursor, chunks: Chunks = NO_CHUNKS) -> int:
    """Return what all tables of the schema occupy, with their indexes."""
    return sum(size for _, size, _, _ in _tables(cursor, chunks))


def dead_tables(cursor: Cursor, chunks: Chunks = NO_CHUNKS) -> list[str]:
    """Return the tables of which many rows are removed and not yet free, the largest first."""
    much = [(size, table) for table, size, dead, live in _tables(cursor, chunks) if dead > _MUCH * (dead + live)]
    return [table for _, table in sorted(much, reverse=True)]


def _tables(cursor: Cursor, chunks: Chunks) -> list[tuple[str, int, int, int]]:
    """Return the name of each table, its bytes, its rows removed and those there; of a hypertable with its chunks."""
    found = [(table, Occupied(*counts)) for table, *counts in cursor.execute(_TABLES, {}).fetchall()]
    more = occupied(cursor, chunks)
    return [(table, *map(sum, zip(own, more.get(table, NOTHING), strict=True))) for table, own in found]


def _owner(table: str) -> tuple[str, PipelineId]:
    """Return what a table holds, and of which pipeline: <kind>_<pipeline>, and whatever follows after # or a dot."""
    kind, _, rest = table.partition("_")
    return kind, PipelineId(re.split("[#.]", rest)[0])
