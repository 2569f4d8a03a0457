"""Tables of one generation: made, given more columns, widened; never narrowed, never rewritten."""

from typing import Final

from appliance.components.silver import Table
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType
from appliance.domain.partition import partition_of
from appliance.storage.silver_postgres import gold, journal, names, periods, places, progress, timescale_views
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.gold_sheets import existing
from appliance.storage.silver_postgres.length import Length
from appliance.storage.silver_postgres.places import Place
from appliance.storage.silver_postgres.timescale_changes import take_apart
from appliance.storage.silver_postgres.timescale_chunks import NO_CHUNKS, Chunks
from appliance.storage.sql.columns import check, covers
from appliance.storage.sql.gold import gold_prefix, golds_of
from appliance.storage.sql.scope import SYSTEM_FIELDS
from appliance.storage.sql.source import Stored, physical_name

_ROWS: Final = """
CREATE TABLE {rows} (
    _time timestamptz NOT NULL, _seq bigint NOT NULL, _item integer NOT NULL, _key uuid, _extra json{columns}
) {partitioned}
"""
# Rows come in the order of _seq and nearly of _time: what a range of blocks holds is told by its least and greatest
# values, at a fraction of what a tree costs each row that is stored (decision 0016).
_RANGES: Final = "CREATE INDEX ON {rows} USING brin (_seq, _time) WITH (pages_per_range = 32, autosummarize = on)"
_DEAD: Final = """
CREATE TABLE {dead} (
    seq bigint NOT NULL, item integer NOT NULL, reason text COLLATE "C" NOT NULL, field text COLLATE "C",
    value text COLLATE "C", message text COLLATE "C" NOT NULL, problems text NOT NULL,
    received_at timestamptz NOT NULL, version integer NOT NULL
)
"""
_BY_EVENT: Final = "CREATE INDEX ON {dead} (seq)"
_BY_AGE: Final = "CREATE INDEX ON {dead} (received_at)"
_KEYS: Final = ("CREATE {unique} INDEX ON {rows} (_key)", "CREATE INDEX ON {rows} (_seq)")
_PARTITIONED: Final = """
SELECT period IS NOT NULL OR chunk_us IS NOT NULL FROM _generations WHERE pipeline_id = %(id)s AND number = %(number)s
"""
_FIRST_IS_LIVE: Final = """
INSERT INTO _pipelines (pipeline_id, live) VALUES (%(id)s, %(number)s) ON CONFLICT DO NOTHING
"""
_BEGUN: Final = """
INSERT INTO _generations (pipeline_id, number, first_seq, created_at, columns, keyed, period)
VALUES (%(id)s, %(number)s, %(first_seq)s, now(), %(columns)s, false, %(period)s)
"""
_COLUMNS: Final = "UPDATE _generations SET columns = %(columns)s WHERE pipeline_id = %(id)s AND number = %(number)s"
_KEYED: Final = "UPDATE _generations SET keyed = true WHERE pipeline_id = %(id)s AND number = %(number)s"


def prepare(cursor: Cursor, table: Table, place: Place | None, chunks: Chunks = NO_CHUNKS) -> None:
    """Make the generation's tables and rollups, or add and widen columns. Alone with the pipeline.

    Raises:
        Conflict: see ``columns.check``; nothing was changed.
    """
    number = place.number if place else 1
    if place is None:
        create(cursor, table, number, chunks=chunks)
    else:
        extend(cursor, table, number, place.stored)
    if table.keyed and not (place and place.keyed):
        look_up_keys(cursor, table.pipeline_id, number)
    gold.begin(cursor, table, number)
    places.changed(cursor, table.pipeline_id)


def prepared(cursor: Cursor, table: Table, place: Place | None) -> bool:
    """Return whether ``prepare`` has nothing to do: with all columns, and with these rollups and no others."""
    if place is None or not stores(table, place):
        return False
    wanted = {sheet.name for one in golds_of(table, place.number) for sheet in one.sheets}
    return wanted == existing(cursor, gold_prefix(table.pipeline_id, place.number))


def stores(table: Table, place: Place) -> bool:
    """Return whether rows of ``table`` can be stored at ``place`` as its columns are."""
    return covers(table, place.stored) and (place.keyed or not table.keyed)


def create(cursor: Cursor, table: Table, number: int, first_seq: int = 1, chunks: Chunks = NO_CHUNKS) -> None:
    """Make an empty generation, the live one if it is the first."""
    check(table, {})
    native = not table.keyed and not chunks.used
    named = names.tables(table.pipeline_id, number)
    typed = "".join(f", {_typed(column.name, column.type)}" for column in table.columns)
    partitioned = "PARTITION BY RANGE (_time)" if native else ""
    for statement in (_ROWS, _RANGES, _DEAD, _BY_EVENT, _BY_AGE):
        cursor.execute(statement.format(**named, columns=typed, partitioned=partitioned), {})
    if native:
        periods.make_rest(cursor, table.pipeline_id, number)
    own = {"id": table.pipeline_id, "number": number}
    cursor.execute(_FIRST_IS_LIVE, own)
    columns, period = places.encoded(columns_of(table)), Length.MONTH.value if native else None
    cursor.execute(_BEGUN, {**own, "first_seq": first_seq, "columns": columns, "period": period})
    if chunks.used and not table.keyed:
        chunks.make(cursor, table, number)
    progress.begin(cursor, table.pipeline_id, number, first_seq - 1, partition_of(first_seq - 1))


def columns_of(table: Table) -> Stored:
    """Return the columns of rows that ``table`` was made for."""
    own = {column.name.lower(): (column.type,) for column in table.columns}
    return {**{name: (kind,) for name, kind in SYSTEM_FIELDS.items()}, **own}


def extend(cursor: Cursor, table: Table, number: int, stored: Stored) -> Stored:
    """Add the columns that ``stored`` lacks or holds too narrow; return all. Alone with the pipeline.

    A column that widens gets a second one beside it: rows of before keep their value in the first.
    """
    check(table, stored)
    own, added = dict(stored), []
    for column in table.columns:
        name = column.name.lower()
        before = own.get(name, ())
        if not before or before[-1] is not column.type:
            own[name] = (*before, column.type)
            added.append(f"ADD COLUMN {_typed(physical_name(column.name, own[name]), column.type)}")
    if added:
        rows = names.tables(table.pipeline_id, number)["rows"]
        cursor.execute(f"ALTER TABLE {rows} {', '.join(added)}", {})
        cursor.execute(_COLUMNS, {"id": table.pipeline_id, "number": number, "columns": places.encoded(own)})
    return own


def look_up_keys(cursor: Cursor, pipeline_id: PipelineId, number: int) -> None:
    """Make what finds rows by key, and by event, because rows of any age are replaced."""
    own, named = {"id": pipeline_id, "number": number}, names.tables(pipeline_id, number)
    (partitioned,) = cursor.execute(_PARTITIONED, own).fetchall()[0]
    for statement in _KEYS:
        cursor.execute(statement.format(**named, unique="" if partitioned else "UNIQUE"), {})
    take_apart(cursor, pipeline_id, number)
    cursor.execute(_KEYED, own)


def remove(cursor: Cursor, pipeline_id: PipelineId, number: int) -> None:
    """Remove a generation. Alone with the pipeline."""
    gold.drop(cursor, pipeline_id, number)
    timescale_views.drop(cursor, pipeline_id, number)
    for table in names.tables(pipeline_id, number).values():
        cursor.execute(f"DROP TABLE IF EXISTS {table}", {})
    own = {"id": pipeline_id, "number": number}
    for kept in ("_spans", "_progress", "_periods"):
        cursor.execute(f"DELETE FROM {kept} WHERE pipeline_id = %(id)s AND generation = %(number)s", own)  # noqa: S608
    cursor.execute("DELETE FROM _generations WHERE pipeline_id = %(id)s AND number = %(number)s", own)
    journal.forget(cursor, pipeline_id, number)


def _typed(name: str, kind: FieldType) -> str:
    return f"{names.column(name)} {names.DIALECT.column_type(kind)}"
