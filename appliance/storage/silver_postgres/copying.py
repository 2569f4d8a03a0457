"""Rows and dead letters into their tables, by binary COPY."""

import pyarrow as pa
from psycopg.copy import QueuedLibpqWriter

from appliance.components.silver import Table
from appliance.storage.silver_postgres import binary, names
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.places import Place
from appliance.storage.sql.dead_letters import DEAD_COLUMNS
from appliance.storage.sql.source import physical_name

_PLAIN = ("_time", "_seq", "_item", "_extra")
_KEYED = ("_time", "_seq", "_item", "_key", "_extra")


def insert_rows(cursor: Cursor, table: Table, place: Place, rows: pa.Table) -> None:
    """Append rows with the system columns and those of ``table``; others of theirs are left out."""
    own = _KEYED if table.keyed else _PLAIN
    physical = {column.name: physical_name(column.name, place.stored[column.name.lower()]) for column in table.columns}
    # The order is free, and those of one width are sent at less cost where they stand together.
    sent = sorted([*own, *physical], key=lambda name: not binary.of_one_width(rows.schema.field(name).type))
    into = names.tables(table.pipeline_id, place.number)["rows"]
    columns = names.columns(physical.get(name, name) for name in sent)
    copy(cursor, f"{into} ({columns})", rows.select(sent))


def insert_dead(cursor: Cursor, table: Table, place: Place, dead: pa.Table) -> None:
    """Append dead letters."""
    into = names.tables(table.pipeline_id, place.number)["dead"]
    copy(cursor, f"{into} ({names.columns(DEAD_COLUMNS)})", dead.select(DEAD_COLUMNS))


def copy(cursor: Cursor, into: str, rows: pa.Table) -> None:
    """Append ``rows``. ``into``: a table and its columns as SQL, in the order of those of ``rows``."""
    if not rows.num_rows:
        return
    statement = f"COPY {into} FROM STDIN (FORMAT binary)".replace("%%", "%")  # it goes without values
    writer = QueuedLibpqWriter(cursor) if rows.num_rows > binary.ROWS_AT_ONCE else None
    with cursor.copy(statement, writer=writer) as sent:
        sent.write(binary.HEADER)
        for part in binary.rows(rows):
            sent.write(part)
        sent.write(binary.TRAILER)
