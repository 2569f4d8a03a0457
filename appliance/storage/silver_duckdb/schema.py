"""Tables of the file: which there are, with which columns, and how they come about."""

from collections.abc import Mapping

import duckdb

from appliance.components.silver import Table
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType
from appliance.errors import Conflict, FatalError
from appliance.storage.sql.dialect import DuckDb
from appliance.storage.sql.scope import SYSTEM_FIELDS
from appliance.storage.sql.source import dead_table, rows_table

FORMAT = 1  # of this file; a file with a greater one was written by a newer version
_KINDS = {DuckDb().type_name(kind): kind for kind in FieldType} | {"INTEGER": FieldType.INTEGER}  # _item's
_PREFIX = rows_table("")

# No index on purpose: the writer alone guards _progress, and indexes are what DuckDB files have been damaged through.
_FIRST = f"""
CREATE TABLE IF NOT EXISTS _format (format INTEGER NOT NULL);
INSERT INTO _format SELECT {FORMAT} WHERE NOT EXISTS (FROM _format);
CREATE TABLE IF NOT EXISTS _progress (
    pipeline_id VARCHAR NOT NULL, seq BIGINT NOT NULL, stored BIGINT NOT NULL, filtered BIGINT NOT NULL,
    duplicate BIGINT NOT NULL, dead BIGINT NOT NULL, updated_at TIMESTAMPTZ NOT NULL
);
"""
_DEAD = """
CREATE TABLE IF NOT EXISTS {dead} (
    seq BIGINT NOT NULL, item INTEGER NOT NULL, reason VARCHAR NOT NULL, field VARCHAR, value VARCHAR,
    message VARCHAR NOT NULL, problems VARCHAR NOT NULL, received_at TIMESTAMPTZ NOT NULL, version INTEGER NOT NULL
)
"""
_ROWS = """
CREATE TABLE IF NOT EXISTS {rows} (
    _time TIMESTAMPTZ NOT NULL, _seq BIGINT NOT NULL, _item INTEGER NOT NULL, _key UUID, _extra JSON{columns}
)
"""
_EXISTING = """
SELECT table_name, lower(column_name), data_type FROM duckdb_columns() WHERE starts_with(table_name, $prefix)
"""

Columns = dict[PipelineId, dict[str, FieldType]]


def quoted(name: str) -> str:
    """Return ``name`` as an identifier, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def begin(cursor: duckdb.DuckDBPyConnection) -> Columns:
    """Make the file's own tables and return the columns of every pipeline's, names in lower case.

    Raises:
        FatalError: a newer version wrote this file.
    """
    cursor.execute(_FIRST)
    found = cursor.execute("SELECT max(format) FROM _format").fetchall()[0][0]
    if found > FORMAT:
        raise FatalError(
            f"Opening the row store: it has format {found}, expected at most {FORMAT}.",
            hint="run the version of Dash that wrote it, or a newer one",
        )
    tables: Columns = {}
    for table, column, kind in cursor.execute(_EXISTING, {"prefix": _PREFIX}).fetchall():
        columns = tables.setdefault(PipelineId(table.removeprefix(_PREFIX)), {})
        if column != "_key":
            columns[column] = _KINDS[kind]
    return tables


def prepare(
    cursor: duckdb.DuckDBPyConnection, table: Table, stored: Mapping[str, FieldType] | None
) -> dict[str, FieldType]:
    """Create the pipeline's tables or add the columns that ``stored`` lacks; return the columns there are then.

    Raises:
        Conflict: a column exists with another type, is named twice or like one of Dash's own; nothing was changed.
    """
    check(table, stored or {})
    own = dict(SYSTEM_FIELDS if stored is None else stored)
    added = [column for column in table.columns if column.name.lower() not in own]
    typed = [f"{quoted(column.name)} {DuckDb().type_name(column.type)}" for column in added]
    rows = quoted(rows_table(table.pipeline_id))
    cursor.execute("BEGIN")
    if stored is None:
        cursor.execute(_ROWS.format(rows=rows, columns="".join(f", {one}" for one in typed)))
        cursor.execute(_DEAD.format(dead=quoted(dead_table(table.pipeline_id))))
    else:
        for one in typed:
            cursor.execute(f"ALTER TABLE {rows} ADD COLUMN {one}")
    cursor.execute("COMMIT")
    return own | {column.name.lower(): column.type for column in added}


def check(table: Table, stored: Mapping[str, FieldType]) -> None:
    """Raise Conflict where ``table`` cannot have the columns it wants. DuckDB's names do not differ by case alone."""
    names = {"_key", *SYSTEM_FIELDS}
    for column in table.columns:
        place = f"Preparing the rows of {table.pipeline_id}: column {column.name!r}"
        if column.name.lower() in names:
            raise Conflict(f"{place} is there twice or is one of Dash's own; give it another name.")
        names.add(column.name.lower())
        found = stored.get(column.name.lower(), column.type)
        if found is not column.type:
            raise Conflict(
                f"{place} holds {found.value} and cannot become {column.type.value}; give the field another name,"
                " or replay the pipeline from the start."
            )
