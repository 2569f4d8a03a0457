"""Tables of one generation: made, given more columns, widened; never narrowed, never rewritten."""

import duckdb

from appliance.components.silver import Table
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType
from appliance.storage.silver_duckdb import gold, journal
from appliance.storage.silver_duckdb.schema import quoted
from appliance.storage.silver_duckdb.transaction import transaction
from appliance.storage.sql.columns import check
from appliance.storage.sql.dialect import DuckDb
from appliance.storage.sql.scope import SYSTEM_FIELDS
from appliance.storage.sql.source import Stored, dead_table, physical_name, rows_table, stored_columns

_DEAD = """
CREATE TABLE {dead} (
    seq BIGINT NOT NULL, item INTEGER NOT NULL, reason VARCHAR NOT NULL, field VARCHAR, value VARCHAR,
    message VARCHAR NOT NULL, problems VARCHAR NOT NULL, received_at TIMESTAMPTZ NOT NULL, version INTEGER NOT NULL
)
"""
_ROWS = """
CREATE TABLE {rows} (
    _time TIMESTAMPTZ NOT NULL, _seq BIGINT NOT NULL, _item INTEGER NOT NULL, _key UUID, _extra JSON{columns}
)
"""
_BEGUN = """
INSERT INTO _generations VALUES ($id, $number, $live, $first_seq, now());
"""
_PROGRESS = """
INSERT INTO _progress BY NAME SELECT $id AS pipeline_id, $seq AS seq, 0 AS stored, 0 AS filtered, 0 AS duplicate,
    0 AS dead, now() AS updated_at, $number AS generation
"""


def prepare(cursor: duckdb.DuckDBPyConnection, table: Table, number: int, stored: Stored | None) -> Stored:
    """Make the generation's tables and rollups, or add and widen columns; return the columns there are then.

    Raises:
        Conflict: see ``check``; nothing was changed.
    """
    with transaction(cursor):
        columns = create(cursor, table, number) if stored is None else extend(cursor, table, number, stored)
        gold.begin(cursor, table, number)
    return columns


def create(
    cursor: duckdb.DuckDBPyConnection, table: Table, number: int, first_seq: int = 1, *, live: bool = True
) -> Stored:
    """Make an empty generation inside the transaction under way; return the columns of its rows."""
    check(table, {})
    typed = [_typed(column.name, column.type) for column in table.columns]
    rows, dead = rows_table(table.pipeline_id, number), dead_table(table.pipeline_id, number)
    cursor.execute(_ROWS.format(rows=quoted(rows), columns="".join(f", {one}" for one in typed)))
    cursor.execute(_DEAD.format(dead=quoted(dead)))
    own = {"id": table.pipeline_id, "number": number}
    cursor.execute(_BEGUN, {**own, "live": live, "first_seq": first_seq})
    cursor.execute(_PROGRESS, {**own, "seq": first_seq - 1})
    return stored_columns({**SYSTEM_FIELDS, **{column.name.lower(): column.type for column in table.columns}}, DuckDb())


def extend(cursor: duckdb.DuckDBPyConnection, table: Table, number: int, stored: Stored) -> Stored:
    """Add the columns that ``stored`` lacks or holds too narrow, inside the transaction under way; return all.

    A column that widens gets a second one beside it: rows of before keep their value in the first.
    """
    check(table, stored)
    own = dict(stored)
    rows = quoted(rows_table(table.pipeline_id, number))
    for column in table.columns:
        name = column.name.lower()
        before = own.get(name, ())
        if not before or before[-1] is not column.type:
            own[name] = (*before, column.type)
            physical = physical_name(column.name, own[name])
            cursor.execute(f"ALTER TABLE {rows} ADD COLUMN {_typed(physical, column.type)}")
    return own


def remove(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, number: int) -> None:
    """Remove a generation inside the transaction under way."""
    gold.drop(cursor, pipeline_id, number)
    for table in (rows_table(pipeline_id, number), dead_table(pipeline_id, number)):
        cursor.execute(f"DROP TABLE IF EXISTS {quoted(table)}")
    own = {"id": pipeline_id, "number": number}
    cursor.execute("DELETE FROM _spans WHERE pipeline_id = $id AND generation = $number", own)
    cursor.execute("DELETE FROM _progress WHERE pipeline_id = $id AND generation = $number", own)
    cursor.execute("DELETE FROM _generations WHERE pipeline_id = $id AND number = $number", own)
    journal.forget(cursor, pipeline_id, number)


def _typed(name: str, kind: FieldType) -> str:
    return f"{quoted(name)} {DuckDb().type_name(kind)}"
