"""What a new generation takes over from the live one: events that Bronze no longer has."""

from typing import Final

import duckdb

from appliance.components.silver import Column, Table
from appliance.domain.ids import PipelineId
from appliance.errors import Conflict
from appliance.storage.silver_duckdb import journal, spans, tables
from appliance.storage.silver_duckdb.schema import columns_of, quoted
from appliance.storage.sql.carried import carried
from appliance.storage.sql.dead_letters import DEAD_COLUMNS
from appliance.storage.sql.dialect import DuckDb
from appliance.storage.sql.source import Stored, dead_table, physical_name, rows_table
from appliance.storage.sql.variants import extra_with_variants

_FROM: Final = """
SELECT number, seq, (SELECT first_seq FROM _generations WHERE pipeline_id = $id AND number = $number)
FROM _generations JOIN _progress ON _progress.pipeline_id = _generations.pipeline_id AND generation = number
WHERE _generations.pipeline_id = $id AND live
"""
_ROWS: Final = """
INSERT INTO {into} (_time, _seq, _item, _key, _extra{targets})
SELECT _time, _seq, _item, _key, {extra}{values} FROM {rows} WHERE _seq < $first_seq
"""
_DEAD: Final = "INSERT INTO {into} ({names}) SELECT {names} FROM {dead} WHERE seq < $first_seq"
_SPANS: Final = """
INSERT INTO _spans BY NAME SELECT * REPLACE ($number AS generation) FROM _spans
WHERE pipeline_id = $id AND generation = $live AND first_seq < $first_seq
"""
_DIALECT: Final = DuckDb()


def carry_over(cursor: duckdb.DuckDBPyConnection, table: Table, number: int, stored: Stored) -> Stored:
    """Copy rows, dead letters and spans of the live generation below the new one's first event; return its columns.

    Inside the transaction that creates generation ``number``. Columns that the mapping has no more are carried too,
    unread. A value that is none of the column's new type goes to ``_variant`` in ``_extra``.

    Raises:
        Conflict: the live generation is not refined up to there.
    """
    pipeline_id = table.pipeline_id
    own = {"id": pipeline_id, "number": number}
    live, reached, first_seq = cursor.execute(_FROM, own).fetchall()[0]
    if reached < first_seq - 1:
        raise Conflict(
            f"Beginning a generation of {pipeline_id} with event {first_seq}: what is before cannot be carried over,"
            f" for the live rows reach up to event {reached} only; let the rest be refined, then begin again."
        )
    found = columns_of(cursor, pipeline_id, live)
    dropped = tuple(Column(name, types[-1]) for name, types in found.items() if name not in stored)
    columns = tables.extend(cursor, Table(pipeline_id, dropped), number, stored)
    values = list(carried(found, columns, _DIALECT))
    statement = _ROWS.format(
        into=quoted(rows_table(pipeline_id, number)),
        rows=quoted(rows_table(pipeline_id, live)),
        targets="".join(f", {quoted(physical_name(one.name, columns[one.name]))}" for one in values),
        values="".join(f", {one.value.sql(_DIALECT.sqlglot_name)}" for one in values),
        extra=extra_with_variants(values),
    )
    cursor.execute(statement, {"first_seq": first_seq})
    _letters_and_spans(cursor, pipeline_id, (live, number), first_seq)
    return columns


def _letters_and_spans(
    cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, pair: tuple[int, int], first_seq: int
) -> None:
    live, number = pair
    names = ", ".join(map(quoted, DEAD_COLUMNS))
    into, dead = (quoted(dead_table(pipeline_id, one)) for one in (number, live))
    cursor.execute(_DEAD.format(into=into, names=names, dead=dead), {"first_seq": first_seq})
    journal.carry(cursor, pipeline_id, number, first_seq)
    own = {"id": pipeline_id, "number": number}
    cursor.execute(_SPANS, {**own, "live": live, "first_seq": first_seq})
    spans.cut(cursor, pipeline_id, number, first_seq)
    cursor.execute(
        "DELETE FROM _spans WHERE pipeline_id = $id AND generation = $number AND first_seq >= $first_seq",
        {**own, "first_seq": first_seq},
    )
    spans.sum_up(cursor, pipeline_id, number)
