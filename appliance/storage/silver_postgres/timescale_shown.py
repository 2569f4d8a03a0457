"""How the live rows of one pipeline lie in chunks, chunk by chunk: for who looks, and decides how it shall go on."""

from datetime import timedelta
from typing import Final

import msgspec

from appliance.components.chunks import Chunk, Edition, RowsCut
from appliance.components.silver import Table
from appliance.storage.silver_postgres import places
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.places import Place
from appliance.storage.silver_postgres.timescale import Edition as License
from appliance.storage.silver_postgres.timescale import Extension
from appliance.storage.silver_postgres.timescale_chunks import Chunks
from appliance.storage.silver_postgres.timescale_columns import PARTIAL
from appliance.storage.sql.postgresql import quoted
from appliance.storage.sql.source import rows_table

_US: Final = timedelta(microseconds=1)
_CHUNKS: Final = """
SELECT greatest(range_start, '0001-01-01 00:00Z'), least(range_end, '9999-12-31 00:00Z'), total_bytes, is_compressed,
    _timescaledb_functions.chunk_status(format('%%I.%%I', chunk_schema, chunk_name)::regclass) & {partial} > 0,
    {before}
FROM timescaledb_information.chunks JOIN {extension}.chunks_detailed_size(%(rows)s::regclass)
    USING (chunk_schema, chunk_name)
{stats} WHERE hypertable_schema = current_schema() AND hypertable_name = %(name)s ORDER BY range_start DESC
"""
_STATS: Final = (
    "LEFT JOIN {extension}.chunk_columnstore_stats(%(rows)s::regclass) AS stats USING (chunk_schema, chunk_name)"
)
_BEFORE: Final = "coalesce(before_compression_total_bytes, 0)::bigint"
# The view that shows it asks for a right on the schemas of all hypertables.
_ORDER: Final = """
SELECT array_to_string(orderby, ', ') FROM _timescaledb_catalog.compression_settings WHERE relid = %(rows)s::regclass
"""


def rows_cut(cursor: Cursor, table: Table, chunks: Chunks) -> RowsCut:
    """Return how the live rows of ``table`` are cut."""
    extension, place = chunks.extension, places.find(cursor, table.pipeline_id)
    found = RowsCut(edition=_edition(extension), usual=chunks.wanted.usual, keyed=table.keyed)
    if extension is None or not extension.supported:
        return msgspec.structs.replace(found, version=extension.version if extension else None)
    cut = place is not None and place.chunk_us is not None
    name = rows_table(table.pipeline_id, place.number) if place is not None else ""
    return RowsCut(
        edition=found.edition,
        version=extension.version,
        in_use=chunks.used,
        usual=found.usual,
        keyed=table.keyed,
        width_secs=_width_secs(place),
        ordered_by=_ordered(cursor, name) if cut else None,
        chunks=_all(cursor, extension, name) if cut else (),
    )


def _edition(extension: Extension | None) -> Edition:
    if extension is None:
        return Edition.NONE
    if not extension.supported:
        return Edition.TOO_OLD
    return Edition.COMMUNITY if extension.edition is License.COMMUNITY else Edition.APACHE


def _width_secs(place: Place | None) -> int | None:
    return place.chunk_us * _US // timedelta(seconds=1) if place is not None and place.chunk_us is not None else None


def _ordered(cursor: Cursor, name: str) -> str | None:
    found = cursor.execute(_ORDER, {"rows": quoted(name)}).fetchall()
    return found[0][0] if found else None


def _all(cursor: Cursor, extension: Extension, name: str) -> tuple[Chunk, ...]:
    stats = _STATS.format(extension=extension.schema) if extension.has_columnstore else ""
    asked = _CHUNKS.format(
        extension=extension.schema, partial=PARTIAL, stats=stats, before=_BEFORE if stats else "0::bigint"
    )
    rows = cursor.execute(asked, {"rows": quoted(name), "name": name}).fetchall()
    return tuple(
        Chunk(start=start, end=end, bytes=size, columnar=columnar, grown=columnar and grown, as_rows_bytes=before)
        for start, end, size, columnar, grown, before in rows
    )
