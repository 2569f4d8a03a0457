"""The ledger by day and version: spans of consecutive events, kept in the transaction that changes rows or progress.

What holds at the end of every transaction: of each generation and partition the spans lie end to end, without gaps
between them, and their sums are its progress.
"""

from datetime import date
from typing import Final

import msgspec

from appliance.components.generations import Span
from appliance.components.silver import Batch, Progress
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.partition import partition_of
from appliance.storage.silver_postgres import names
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.sql.shares import shared_out

# Progress, where it stands right before the batch, and its last span in one round trip.
_ADVANCE: Final = """
WITH moved AS (
    UPDATE _progress SET seq = %(last)s, stored = stored + %(stored)s, filtered = filtered + %(filtered)s,
        duplicate = duplicate + %(duplicate)s, dead = dead + %(dead)s, updated_at = now()
    WHERE pipeline_id = %(id)s AND generation = %(number)s AND partition = %(partition)s AND seq = %(before)s
    RETURNING seq, stored, filtered, duplicate, dead
), grown AS (
    UPDATE _spans SET last_seq = %(last)s, stored = stored + %(own_stored)s, filtered = filtered + %(filtered)s,
        duplicate = duplicate + %(own_duplicate)s, dead = dead + %(dead)s
    WHERE pipeline_id = %(id)s AND generation = %(number)s AND partition = %(partition)s
        AND last_seq = %(before)s AND day = %(day)s AND version = %(version)s
        AND first_seq = (SELECT max(first_seq) FROM _spans
            WHERE pipeline_id = %(id)s AND generation = %(number)s AND first_seq <= %(before)s)
    RETURNING 1
), begun AS (
    INSERT INTO _spans (pipeline_id, generation, partition, first_seq, last_seq, day, version, stored, filtered,
        duplicate, dead)
    SELECT %(id)s, %(number)s, %(partition)s, %(before)s::bigint + 1, %(last)s, %(day)s, %(version)s, %(own_stored)s,
        %(filtered)s, %(own_duplicate)s, %(dead)s
    WHERE EXISTS (SELECT FROM moved) AND NOT EXISTS (SELECT FROM grown)
)
SELECT seq, stored, filtered, duplicate, dead FROM moved
"""
_DUPLICATE: Final = """
UPDATE _spans SET stored = stored - moved.events, duplicate = duplicate + moved.events
FROM (SELECT first_seq AS first, count(*) AS events FROM unnest(%(lost)s::bigint[]) AS lost(seq)
      JOIN _spans ON seq BETWEEN first_seq AND last_seq
      WHERE pipeline_id = %(id)s AND generation = %(number)s GROUP BY first_seq) AS moved
WHERE pipeline_id = %(id)s AND generation = %(number)s AND first_seq = moved.first
"""
_AT: Final = """
SELECT first_seq, filtered, duplicate, gone, dead_gone FROM _spans
WHERE pipeline_id = %(id)s AND generation = %(number)s AND first_seq < %(at)s AND last_seq >= %(at)s
"""
_SHOWN: Final = """
SELECT (SELECT count(*) FROM (
            SELECT _seq FROM {rows} WHERE _seq BETWEEN %(first)s AND %(at)s::bigint - 1
            EXCEPT SELECT seq FROM {dead} WHERE seq BETWEEN %(first)s AND %(at)s::bigint - 1) AS shown),
       (SELECT count(DISTINCT seq) FROM {dead} WHERE seq BETWEEN %(first)s AND %(at)s::bigint - 1)
"""
_CUT: Final = """
WITH whole AS (
    SELECT * FROM _spans WHERE pipeline_id = %(id)s AND generation = %(number)s AND first_seq = %(first)s
), shortened AS (
    UPDATE _spans SET last_seq = %(at)s::bigint - 1, stored = %(stored)s, filtered = %(filtered)s,
        duplicate = %(duplicate)s, dead = %(dead)s, gone = %(gone)s, dead_gone = %(dead_gone)s
    WHERE pipeline_id = %(id)s AND generation = %(number)s AND first_seq = %(first)s
)
INSERT INTO _spans (pipeline_id, generation, partition, first_seq, last_seq, day, version, stored, filtered, duplicate,
    dead, gone, dead_gone)
SELECT pipeline_id, generation, partition, %(at)s, last_seq, day, version, stored - %(stored)s,
    filtered - %(filtered)s, duplicate - %(duplicate)s, dead - %(dead)s, gone - %(gone)s, dead_gone - %(dead_gone)s
FROM whole
"""
# By way of a generation that never is: both have spans that begin with the same events.
_ASIDE: Final = """
UPDATE _spans SET generation = %(to)s
WHERE pipeline_id = %(id)s AND generation = %(of)s AND first_seq >= %(first)s AND last_seq <= %(last)s
"""
_NOWHERE: Final = -1
_SUM_UP: Final = """
UPDATE _progress SET stored = sums.stored, filtered = sums.filtered, duplicate = sums.duplicate, dead = sums.dead,
    updated_at = now()
FROM (SELECT coalesce(sum(stored), 0) AS stored, coalesce(sum(filtered), 0) AS filtered,
             coalesce(sum(duplicate), 0) AS duplicate, coalesce(sum(dead), 0) AS dead
      FROM _spans WHERE pipeline_id = %(id)s AND generation = %(number)s AND partition = %(partition)s) AS sums
WHERE pipeline_id = %(id)s AND generation = %(number)s AND partition = %(partition)s
"""
_READ: Final = """
SELECT first_seq, last_seq, day, version, stored, filtered, duplicate, dead, gone FROM _spans
WHERE pipeline_id = %(id)s AND generation = %(number)s ORDER BY first_seq
"""


def advance(cursor: Cursor, batch: Batch, number: int, own: Outcome, earlier: Outcome) -> Progress | None:
    """Move the progress on, and add the batch's events to the last span, or begin another one.

    ``own``: what became of the batch's events; ``earlier``: what it changed of others. None: it does not stand right
    before the batch, and nothing was changed.
    """
    whole = own + earlier
    values = {
        "id": batch.table.pipeline_id, "number": number, "partition": partition_of(batch.first_seq),
        "before": batch.first_seq - 1, "last": batch.last_seq, "day": batch.day, "version": batch.version,
        "own_stored": own.stored, "own_duplicate": own.duplicate, **msgspec.structs.asdict(whole),
    }  # fmt: skip
    moved = cursor.execute(_ADVANCE, values).fetchall()
    return Progress(moved[0][0], Outcome(*moved[0][1:])) if moved else None


def lose(cursor: Cursor, pipeline_id: PipelineId, number: int, lost: list[int]) -> None:
    """Count stored events as duplicate. ``lost``: each once."""
    cursor.execute(_DUPLICATE, {"id": pipeline_id, "number": number, "lost": lost})


def cut(cursor: Cursor, pipeline_id: PipelineId, number: int, at: int) -> None:
    """Make a span begin at event ``at``, where one goes across it.

    Rows and dead letters tell which events are stored or dead on either side. What left nothing behind is filtered,
    duplicate or removed by retention: where the span has only one of these kinds the cut is exact, else they are
    shared out in proportion; the two sides together always are what the span was.
    """
    own = {"id": pipeline_id, "number": number}
    found = cursor.execute(_AT, {**own, "at": at}).fetchall()
    if not found:
        return
    first, *untold = found[0]
    place = {"first": first, "at": at}
    shown = _SHOWN.format(**names.tables(pipeline_id, number))
    stored, dead = cursor.execute(shown, place).fetchall()[0]
    filtered, duplicate, gone, dead_gone = shared_out(at - first - stored - dead, untold)
    told = {"stored": stored + gone, "filtered": filtered, "duplicate": duplicate, "dead": dead + dead_gone}
    cursor.execute(_CUT, {**own, **place, **told, "gone": gone, "dead_gone": dead_gone})


def exchange(cursor: Cursor, pipeline_id: PipelineId, pair: tuple[int, int], stretch: tuple[int, int]) -> None:
    """Exchange between two generations the spans within ``stretch``, at whose ends spans begin and end."""
    one, other = pair
    for of, to in ((one, _NOWHERE), (other, one), (_NOWHERE, other)):
        cursor.execute(_ASIDE, {"id": pipeline_id, "of": of, "to": to, "first": stretch[0], "last": stretch[1]})


def sum_up(cursor: Cursor, pipeline_id: PipelineId, number: int, of: int) -> None:
    """Make the progress of a partition the sum of its spans, where they were changed otherwise than by a commit."""
    cursor.execute(_SUM_UP, {"id": pipeline_id, "number": number, "partition": of})


def read(cursor: Cursor, pipeline_id: PipelineId, number: int) -> list[Span]:
    """Return the spans of a generation, partition after partition, oldest first."""
    found = cursor.execute(_READ, {"id": pipeline_id, "number": number}).fetchall()
    return [Span(first, last, _told(day), *counts) for first, last, day, *counts in found]


def _told(day: date) -> str:
    return day.isoformat()
