"""Retention on a hypertable: whole chunks are dropped, and only what is left over is removed row by row."""

from datetime import datetime
from typing import Final

from psycopg import errors

from appliance.domain.ids import PipelineId
from appliance.storage.silver_postgres import names
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.journal import Stretch
from appliance.storage.silver_postgres.timescale_changes import chunk_us, unbounded
from appliance.storage.sql.postgresql import quoted
from appliance.storage.sql.source import rows_table

_PATIENCE: Final = "SET LOCAL lock_timeout TO 1000"  # who reads a chunk keeps it, and nobody waits for that
_USUAL: Final = "SET LOCAL lock_timeout TO 10000"
# As text: a chunk may reach beyond the years that Python knows.
_ENDED: Final = """
SELECT range_start::text, range_end::text FROM timescaledb_information.chunks
WHERE hypertable_schema = current_schema() AND hypertable_name = %(name)s AND range_end <= %(before)s
ORDER BY range_start
"""
_OTHERS: Final = """
SELECT EXISTS (SELECT FROM {rows} WHERE _time >= %(starts)s::timestamptz AND _time < %(ends)s::timestamptz
    AND _seq NOT BETWEEN %(first)s AND %(last)s)
"""
_DROP: Final = """
SELECT {extension}.drop_chunks(%(rows)s::regclass, older_than => %(ends)s::timestamptz,
    newer_than => %(starts)s::timestamptz)
"""
_SCHEMA: Final = """
SELECT nspname FROM pg_catalog.pg_extension JOIN pg_catalog.pg_namespace AS n ON n.oid = extnamespace
WHERE extname = 'timescaledb'
"""


def drop_before(cursor: Cursor, pipeline_id: PipelineId, number: int, before: datetime, events: Stretch) -> None:
    """Drop the chunks of which every row is older than ``before`` and of one of ``events``.

    What is dropped has been counted already, and what stays is deleted afterwards, however much of it there is.
    """
    if chunk_us(cursor, pipeline_id, number) is None:
        return
    unbounded(cursor, pipeline_id, number)
    named = names.tables(pipeline_id, number)
    ((schema,),) = cursor.execute(_SCHEMA).fetchall()
    name, drop = rows_table(pipeline_id, number), _DROP.format(extension=quoted(schema))
    own = {"name": name, "before": before}
    for starts, ends in cursor.execute(_ENDED, own).fetchall():
        values: dict[str, object] = {
            "starts": starts, "ends": ends, "first": events[0], "last": events[1], "rows": quoted(name),
        }  # fmt: skip
        if not cursor.execute(_OTHERS.format(**named), values).fetchall()[0][0]:
            _tried(cursor, drop, values)


def _tried(cursor: Cursor, statement: str, values: dict[str, object]) -> None:
    cursor.execute(f"SAVEPOINT chunk; {_PATIENCE}")
    try:
        cursor.execute(statement, values)
    except errors.LockNotAvailable:
        cursor.execute("ROLLBACK TO SAVEPOINT chunk")
        return
    cursor.execute(f"{_USUAL}; RELEASE SAVEPOINT chunk")
