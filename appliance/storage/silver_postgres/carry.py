"""What a new generation takes over from the live one: events that Bronze no longer has."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from appliance.components.silver import Column, Table
from appliance.domain.ids import PipelineId
from appliance.domain.partition import base_of, local_of, partition_of
from appliance.errors import Conflict
from appliance.storage.silver_postgres import journal, names, periods, progress, spans, tables
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.converting import copy_converted
from appliance.storage.silver_postgres.places import Place
from appliance.storage.silver_postgres.timescale_changes import chunk_us
from appliance.storage.silver_postgres.timescale_chunks import Chunks
from appliance.storage.sql.carried import carried
from appliance.storage.sql.dead_letters import DEAD_COLUMNS
from appliance.storage.sql.source import Stored, physical_name

_ROWS: Final = """
INSERT INTO {into} (_time, _seq, _item, _key, _extra{targets})
SELECT _time, _seq, _item, _key, _extra{values} FROM {rows} WHERE _seq > %(before)s AND _seq < %(first_seq)s
"""
_DEAD: Final = """
INSERT INTO {into} ({names}) SELECT {names} FROM {dead} WHERE seq > %(before)s AND seq < %(first_seq)s
"""
_SPANS: Final = """
INSERT INTO _spans (pipeline_id, generation, partition, first_seq, last_seq, day, version, stored, filtered, duplicate,
    dead, gone, dead_gone)
SELECT pipeline_id, %(number)s, partition, first_seq, last_seq, day, version, stored, filtered, duplicate, dead, gone,
    dead_gone
FROM _spans WHERE pipeline_id = %(id)s AND generation = %(live)s AND partition = %(partition)s
    AND first_seq < %(first_seq)s
"""
_BEYOND: Final = """
DELETE FROM _spans WHERE pipeline_id = %(id)s AND generation = %(number)s AND partition = %(partition)s
    AND first_seq >= %(first_seq)s
"""


def carry_over(  # noqa: PLR0913 - of what, from where to where, and with which room
    cursor: Cursor, table: Table, live: Place, number: int, firsts: Sequence[int], chunks: Chunks
) -> None:
    """Copy rows, dead letters and spans of the live generation below the new one's first event of each partition.

    Inside the transaction that creates generation ``number`` with the columns of ``table``. Columns that the mapping
    has no more are carried too, unread. A value that is none of the column's new type goes to ``_variant`` in
    ``_extra``.

    Raises:
        Conflict: the live generation is not refined up to there.
    """
    expired = [first for first in firsts if local_of(first - 1) > 0]
    if not expired:
        return
    for first_seq in expired:
        _check(cursor, table.pipeline_id, live, first_seq)
    columns = _extended(cursor, table, live, number)
    if not table.keyed and chunk_us(cursor, table.pipeline_id, number) is None:
        periods.make_like(cursor, table.pipeline_id, live.number, number)
    for first_seq in expired:
        before = base_of(partition_of(first_seq - 1))
        with chunks.room_like(cursor, table.pipeline_id, (live.number, number), (before + 1, first_seq - 1)):
            _carry(cursor, table.pipeline_id, (live, number), columns, first_seq)


def _carry(cursor: Cursor, pipeline_id: PipelineId, pair: tuple[Place, int], columns: Stored, first_seq: int) -> None:
    """Copy what there is of one partition below ``first_seq`` into a generation with these columns."""
    (live, number), of = pair, partition_of(first_seq - 1)
    own = {
        "id": pipeline_id, "number": number, "live": live.number, "partition": of, "first_seq": first_seq,
        "before": base_of(of),
    }  # fmt: skip
    _copy_rows(cursor, live.stored, columns, own)
    into, dead = (names.tables(pipeline_id, one)["dead"] for one in (number, live.number))
    cursor.execute(_DEAD.format(into=into, dead=dead, names=names.columns(DEAD_COLUMNS)), own)
    journal.carry(cursor, pipeline_id, live.number, number, (base_of(of) + 1, first_seq - 1))
    cursor.execute(_SPANS, own)
    spans.cut(cursor, pipeline_id, number, first_seq)
    cursor.execute(_BEYOND, own)
    spans.sum_up(cursor, pipeline_id, number, of)


def _check(cursor: Cursor, pipeline_id: PipelineId, live: Place, first_seq: int) -> None:
    of = partition_of(first_seq - 1)
    reached = progress.read(cursor, pipeline_id, live.number, of)
    stood = reached.seq if reached else base_of(of)
    if stood < first_seq - 1:
        raise Conflict(
            f"Beginning a generation of {pipeline_id} with event {first_seq}: what is before cannot be carried over,"
            f" for the live rows reach up to event {stood} only; let the rest be refined, then begin again."
        )


def _extended(cursor: Cursor, table: Table, live: Place, number: int) -> Stored:
    """Give the new generation the columns that only the live one has, and return all."""
    own = tables.columns_of(table)
    dropped = tuple(Column(name, types[-1]) for name, types in live.stored.items() if name not in own)
    return tables.extend(cursor, Table(table.pipeline_id, dropped), number, own)


def _copy_rows(cursor: Cursor, found: Stored, columns: Stored, own: Mapping[str, Any]) -> None:
    values = list(carried(found, columns, names.DIALECT))
    if any(one.misfit is not None for one in values):
        copy_converted(cursor, found, columns, own)
        return
    into, rows = (names.tables(own["id"], own[one])["rows"] for one in ("number", "live"))
    targets = "".join(f", {names.column(physical_name(one.name, columns[one.name]))}" for one in values)
    selected = "".join(f", {names.DIALECT.render(one.value)}" for one in values)
    cursor.execute(_ROWS.format(into=into, rows=rows, targets=targets, values=selected), own)
