"""A stretch of events exchanged between two generations: rows, dead letters, spans, and what follows from them."""

from typing import Final

from appliance.components.silver import Column, Progress, Table
from appliance.domain.ids import PipelineId
from appliance.domain.partition import Partition, base_of, partition_of
from appliance.errors import Conflict
from appliance.storage.silver_postgres import gold, journal, names, places, progress, spans, tables
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.places import Place
from appliance.storage.sql.dead_letters import DEAD_COLUMNS
from appliance.storage.sql.scope import SYSTEM_FIELDS
from appliance.storage.sql.source import Stored, physical_name, value_of
from appliance.storage.sql.spliced import Aligned, Pair

_OWN: Final = ("_time", "_seq", "_item", "_key", "_extra")
_REACH: Final = """
SELECT min(seq), coalesce((SELECT max(begun) FROM (SELECT min(first_seq) AS begun FROM _spans
    WHERE pipeline_id = %(id)s AND generation IN (%(live)s, %(other)s) AND partition = %(partition)s
    GROUP BY generation) AS each), %(before)s + 1)
FROM _progress WHERE pipeline_id = %(id)s AND generation IN (%(live)s, %(other)s) AND partition = %(partition)s
"""
_TOUCHED: Final = """
CREATE TEMP TABLE spliced_times ON COMMIT DROP AS
SELECT _time FROM {live} WHERE _seq BETWEEN %(first)s AND %(last)s
UNION SELECT _time FROM {other} WHERE _seq BETWEEN %(first)s AND %(last)s
"""
_TOLD: Final = "DROP TABLE spliced_times"
# All parts of one statement see what was there before it.
_EXCHANGE: Final = """
WITH taken AS (DELETE FROM {live} WHERE {seq} BETWEEN %(first)s AND %(last)s RETURNING {of_live}),
given AS (DELETE FROM {other} WHERE {seq} BETWEEN %(first)s AND %(last)s RETURNING {of_other}),
put AS (INSERT INTO {other} ({into_other}) SELECT * FROM taken)
INSERT INTO {live} ({into_live}) SELECT * FROM given
"""


def align(cursor: Cursor, table: Table, live: Place, other: Place) -> dict[int, Stored]:
    """Give both generations the columns of ``table`` and of each other, as wide as either; return them.

    Raises:
        Conflict: a column of one cannot be widened to what it is in the other.
    """
    of_live = tables.extend(cursor, table, live.number, live.stored)
    of_other = tables.extend(cursor, _table(table.pipeline_id, of_live), other.number, other.stored)
    of_live = tables.extend(cursor, _table(table.pipeline_id, of_other), live.number, of_live)
    return {live.number: of_live, other.number: of_other}


def exchange(cursor: Cursor, table: Table, pair: Pair, stretch: Aligned) -> Progress:
    """Exchange everything of the events of ``stretch``; return the live generation's progress.

    Raises:
        Conflict: one of them is not refined that far, or begins later; or the ends are in two partitions.
    """
    pipeline_id = table.pipeline_id
    of = _of_both(stretch.first, stretch.last)
    _check(cursor, pipeline_id, pair, stretch)
    if table.rollups:
        live, other = (names.tables(pipeline_id, number)["rows"] for number in pair)
        cursor.execute(_TOUCHED.format(live=live, other=other), stretch.bounds)
    for number in pair:  # while rows and dead letters still tell what became of the events on either side
        spans.cut(cursor, pipeline_id, number, stretch.first)
        spans.cut(cursor, pipeline_id, number, stretch.last + 1)
    _exchange_rows(cursor, pipeline_id, pair, stretch)
    _exchange_letters(cursor, pipeline_id, pair, stretch)
    journal.exchange(cursor, pipeline_id, pair, (stretch.first, stretch.last))
    spans.exchange(cursor, pipeline_id, pair, (stretch.first, stretch.last))
    for number in pair:
        spans.sum_up(cursor, pipeline_id, number, of)
        if table.rollups:
            gold.begin(cursor, table, number)
            gold.restore(cursor, table, number, stretch.first, stretch.last)
            gold.recompute(cursor, table, number, "spliced_times")
    if table.rollups:
        cursor.execute(_TOLD, {})  # another stretch may follow
    places.changed(cursor, pipeline_id)
    return progress.read(cursor, pipeline_id, pair.live, of) or Progress()


def _check(cursor: Cursor, pipeline_id: PipelineId, pair: Pair, stretch: Aligned) -> None:
    of = partition_of(stretch.first)
    own = {"id": pipeline_id, "live": pair.live, "other": pair.other, "partition": of, "before": base_of(of)}
    reached, begun = cursor.execute(_REACH, own).fetchall()[0]
    doing = f"Exchanging events {stretch.first} to {stretch.last} of {pipeline_id} with generation {pair.other}"
    if pair.live == pair.other:
        raise Conflict(f"{doing}: it is the live one; begin another.")
    if not begun <= stretch.first <= stretch.last <= reached:
        raise Conflict(f"{doing}: expected events within {begun} to {reached}, which both have; refine the rest first.")


def _exchange_rows(cursor: Cursor, pipeline_id: PipelineId, pair: Pair, stretch: Aligned) -> None:
    told = [name for name in stretch.stored[pair.live] if name not in SYSTEM_FIELDS]
    live, other = (names.tables(pipeline_id, number)["rows"] for number in pair)
    of_live, of_other = (_values(told, stretch.stored[number]) for number in pair)
    into_live, into_other = (_targets(told, stretch.stored[number]) for number in pair)
    statement = _EXCHANGE.format(
        live=live, other=other, seq="_seq", of_live=of_live, of_other=of_other, into_live=into_live,
        into_other=into_other,
    )  # fmt: skip
    cursor.execute(statement, stretch.bounds)


def _exchange_letters(cursor: Cursor, pipeline_id: PipelineId, pair: Pair, stretch: Aligned) -> None:
    live, other = (names.tables(pipeline_id, number)["dead"] for number in pair)
    every = dict.fromkeys(("of_live", "of_other", "into_live", "into_other"), names.columns(DEAD_COLUMNS))
    cursor.execute(_EXCHANGE.format(live=live, other=other, seq="seq", **every), stretch.bounds)


def _values(told: list[str], stored: Stored) -> str:
    values = [names.DIALECT.render(value_of(name, stored[name], stored[name][-1], names.DIALECT)) for name in told]
    return ", ".join((*_OWN, *(f"{value} AS {names.quoted(name)}" for value, name in zip(values, told, strict=True))))


def _targets(told: list[str], stored: Stored) -> str:
    return names.columns((*_OWN, *(physical_name(name, stored[name]) for name in told)))


def _table(pipeline_id: PipelineId, stored: Stored) -> Table:
    columns = tuple(Column(name, types[-1]) for name, types in stored.items() if name not in SYSTEM_FIELDS)
    return Table(pipeline_id, columns)


def _of_both(first_seq: int, last_seq: int) -> Partition:
    """Return the partition that a stretch of events is in. Raises Conflict: its ends are in two."""
    if partition_of(first_seq) != partition_of(last_seq):
        raise Conflict(f"Events {first_seq} to {last_seq} are of two partitions; take those of one.")
    return partition_of(first_seq)
