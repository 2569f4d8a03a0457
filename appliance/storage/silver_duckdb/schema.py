"""The file's own tables, and what is read from them at opening: which generations there are, with which columns."""

from dataclasses import dataclass, field
from typing import Final

import duckdb

from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType
from appliance.errors import FatalError
from appliance.storage.silver_duckdb import journal
from appliance.storage.sql.dialect import DuckDb
from appliance.storage.sql.source import Stored, rows_table, stored_columns

FORMAT: Final = 2  # of this file; a file with a greater one was written by a newer version
_DIALECT: Final = DuckDb()
KINDS: Final = {_DIALECT.type_name(kind): kind for kind in FieldType} | {"INTEGER": FieldType.INTEGER}  # _item's
_PREFIX: Final = rows_table("")

# No index on purpose: the writer alone guards _progress, and indexes are what DuckDB files have been damaged through.
# _numbers: the highest number that a shadow was given, of any pipeline; one that was discarded does not come again.
# _spans.dead_gone: of the events dead, those whose dead letters retention has removed since.
_FIRST: Final = """
CREATE TABLE IF NOT EXISTS _format (format INTEGER NOT NULL);
INSERT INTO _format SELECT $format WHERE NOT EXISTS (FROM _format);
CREATE TABLE IF NOT EXISTS _progress (
    pipeline_id VARCHAR NOT NULL, seq BIGINT NOT NULL, stored BIGINT NOT NULL, filtered BIGINT NOT NULL,
    duplicate BIGINT NOT NULL, dead BIGINT NOT NULL, updated_at TIMESTAMPTZ NOT NULL, generation INTEGER DEFAULT 1
);
CREATE TABLE IF NOT EXISTS _generations (
    pipeline_id VARCHAR NOT NULL, number INTEGER NOT NULL, live BOOLEAN NOT NULL, first_seq BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS _spans (
    pipeline_id VARCHAR NOT NULL, generation INTEGER NOT NULL, first_seq BIGINT NOT NULL, last_seq BIGINT NOT NULL,
    day DATE NOT NULL, version INTEGER NOT NULL, stored BIGINT NOT NULL, filtered BIGINT NOT NULL,
    duplicate BIGINT NOT NULL, dead BIGINT NOT NULL, gone BIGINT NOT NULL DEFAULT 0,
    dead_gone BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS _numbers (last INTEGER NOT NULL);
INSERT INTO _numbers SELECT 1 WHERE NOT EXISTS (FROM _numbers);
UPDATE _numbers SET last = $last WHERE last < $last;
"""
# Format 1 knew one generation a pipeline and no spans: what was refined before becomes one span of version 0.
_FROM_1: Final = """
ALTER TABLE _progress ADD COLUMN IF NOT EXISTS generation INTEGER DEFAULT 1;
INSERT INTO _progress BY NAME
    SELECT substr(table_name, 6) AS pipeline_id, 0 AS seq, 0 AS stored, 0 AS filtered, 0 AS duplicate, 0 AS dead,
        now() AS updated_at, 1 AS generation
    FROM duckdb_tables() WHERE starts_with(table_name, 'rows_')
    AND substr(table_name, 6) NOT IN (SELECT pipeline_id FROM _progress);
INSERT INTO _generations SELECT pipeline_id, 1, true, 1, updated_at FROM _progress;
INSERT INTO _spans BY NAME SELECT pipeline_id, 1 AS generation, 1 AS first_seq, seq AS last_seq,
    DATE '1970-01-01' AS day, 0 AS version, stored, filtered, duplicate, dead FROM _progress WHERE seq > 0;
UPDATE _format SET format = 2;
"""
_EXISTING: Final = """
SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE starts_with(table_name, $prefix)
ORDER BY table_name, column_index
"""
_OF_ONE: Final = """
SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = $table ORDER BY column_index
"""


@dataclass
class Generations:
    """Of one pipeline: which is live, and what columns the rows of each have."""

    live: int = 1
    columns: dict[int, Stored] = field(default_factory=dict)


Known = dict[PipelineId, Generations]


def quoted(name: str) -> str:
    """Return ``name`` as an identifier, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def begin(cursor: duckdb.DuckDBPyConnection, last_number: int = 1) -> Known:
    """Make the file's own tables, bring an older file up to date and return the generations of every pipeline.

    ``last_number``: shadows to come are numbered above it. In a file that took the place of a damaged one, or lost its
    log, no number comes again that somebody may still remember.

    Raises:
        FatalError: a newer version wrote this file.
    """
    cursor.execute("BEGIN")
    values = {"format": FORMAT, "last": last_number}
    for statement in filter(str.strip, _FIRST.split(";\n")):
        cursor.execute(statement, {name: value for name, value in values.items() if f"${name}" in statement})
    for statement in journal.TABLES:
        cursor.execute(statement)
    found = cursor.execute("SELECT max(format) FROM _format").fetchall()[0][0]
    if found > FORMAT:
        cursor.execute("ROLLBACK")
        raise FatalError(
            f"Opening the row store: it has format {found}, expected at most {FORMAT}.",
            hint="run the version of Dash that wrote it, or a newer one",
        )
    if found == 1:
        cursor.execute(_FROM_1)
    cursor.execute("COMMIT")
    return _known(cursor)


def columns_of(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, number: int) -> Stored:
    """Return the columns of a generation's rows as the transaction under way sees them."""
    table = rows_table(pipeline_id, number)
    found = cursor.execute(_OF_ONE, {"table": table}).fetchall()
    return stored_columns({column.lower(): KINDS[kind] for column, kind in found if column != "_key"}, _DIALECT)


def _known(cursor: duckdb.DuckDBPyConnection) -> Known:
    physical: dict[str, dict[str, FieldType]] = {}
    for table, column, kind in cursor.execute(_EXISTING, {"prefix": _PREFIX}).fetchall():
        if column != "_key":
            physical.setdefault(table, {})[column.lower()] = KINDS[kind]
    known: Known = {}
    for pipeline_id, number, live in cursor.execute("SELECT pipeline_id, number, live FROM _generations").fetchall():
        own = known.setdefault(PipelineId(pipeline_id), Generations())
        own.columns[number] = stored_columns(physical[rows_table(pipeline_id, number)], _DIALECT)
        own.live = number if live else own.live
    return known
