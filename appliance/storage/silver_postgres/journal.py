"""The journal of amendments: which rows came about out of turn, for the feed; what became of events, for the ledger.

``_amendments``: rows that readers who have passed their event still have to see, numbered in the order in which they
were made; one entry a row, its latest. Numbers are of the whole pipeline, not of a generation, so that a reader's place
outlives a swap; they are microseconds of the clock, so that they rise even where the schema had to be begun anew.

``_amended``: what an event became in one generation when it was last amended, and by which version: of an event
without rows and dead letters nothing else tells whether it is filtered or duplicate.

What writes to ``_amendments`` is alone in the live generation: two who number amendments beside each other might commit
in another order than they are numbered in, and a reader between them would pass over rows.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from appliance.domain.ids import PipelineId
from appliance.storage.silver_postgres import names
from appliance.storage.silver_postgres.connections import Cursor

_FORGOTTEN: Final = """
DELETE FROM _amendments WHERE pipeline_id = %(id)s
AND (seq, item) IN (SELECT * FROM unnest(%(seqs)s::bigint[], %(items)s::integer[]))
"""
_NUMBERED: Final = """
INSERT INTO _amendments (pipeline_id, number, seq, item)
SELECT %(id)s, dense_rank() OVER (ORDER BY seq) - 1
    + greatest(%(now)s, 1 + coalesce((SELECT max(number) FROM _amendments WHERE pipeline_id = %(id)s), 0)), seq, item
FROM unnest(%(seqs)s::bigint[], %(items)s::integer[]) AS added(seq, item)
"""
_PASSED_OVER: Final = "DELETE FROM _amendments WHERE pipeline_id = %(id)s AND seq BETWEEN %(first)s AND %(last)s"
# Numbered by event without a sort: a whole history may be handed on, and gaps between numbers mean nothing.
_AGAIN: Final = """
INSERT INTO _amendments (pipeline_id, number, seq, item)
SELECT %(id)s, _seq - %(first)s
    + greatest(%(now)s, 1 + coalesce((SELECT max(number) FROM _amendments WHERE pipeline_id = %(id)s), 0)), _seq, _item
FROM {rows} WHERE _seq BETWEEN %(first)s AND %(last)s
"""
_UNSEEN: Final = "DELETE FROM _amendments WHERE pipeline_id = %(id)s AND seq = ANY(%(seqs)s::bigint[])"
_BECAME: Final = """
INSERT INTO _amended (pipeline_id, generation, seq, outcome, version, amended_at)
SELECT %(id)s, %(number)s, seq, becomes, %(version)s, %(now)s
FROM unnest(%(seqs)s::bigint[], %(becomes)s::text[]) AS changed(seq, becomes)
ON CONFLICT (pipeline_id, generation, seq) DO UPDATE SET outcome = excluded.outcome, version = excluded.version,
    amended_at = excluded.amended_at
"""
_CARRIED: Final = """
INSERT INTO _amended (pipeline_id, generation, seq, outcome, version, amended_at)
SELECT pipeline_id, %(into)s, seq, outcome, version, amended_at FROM _amended
WHERE pipeline_id = %(id)s AND generation = %(live)s AND seq BETWEEN %(first)s AND %(last)s
"""
# By way of a generation that never is: both may remember the same event.
_ASIDE: Final = """
UPDATE _amended SET generation = %(to)s
WHERE pipeline_id = %(id)s AND generation = %(of)s AND seq BETWEEN %(first)s AND %(last)s
"""
_NOWHERE: Final = -1
_FORGET: Final = "DELETE FROM _amended WHERE pipeline_id = %(id)s AND generation = %(number)s"
_LEFT_BEHIND: Final = """
DELETE FROM _amendments WHERE pipeline_id = %(id)s
AND NOT EXISTS (SELECT FROM _generations WHERE pipeline_id = %(id)s)
"""

Stretch = tuple[int, int]
RowPlace = tuple[int, int]  # _seq, _item


def hand_on(
    cursor: Cursor, pipeline_id: PipelineId, added: Sequence[RowPlace], removed: Sequence[RowPlace], now: datetime
) -> None:
    """Note the rows ``added`` for the feed, forget those ``removed``."""
    cursor.execute(_FORGOTTEN, {"id": pipeline_id, **_listed([*added, *removed])})
    cursor.execute(_NUMBERED, {"id": pipeline_id, "now": micros(now), **_listed(added)})


def hand_on_again(cursor: Cursor, pipeline_id: PipelineId, number: int, stretch: Stretch, now: datetime) -> int:
    """Note all rows of the events of ``stretch`` in a generation for the feed; return how many."""
    own = {"id": pipeline_id, "first": stretch[0], "last": stretch[1]}
    cursor.execute(_PASSED_OVER, own)
    noted = cursor.execute(_AGAIN.format(**names.tables(pipeline_id, number)), {**own, "now": micros(now)})
    return noted.rowcount


def forget_unseen(cursor: Cursor, pipeline_id: PipelineId, seqs: Sequence[int]) -> None:
    """Hand on nothing of these events."""
    cursor.execute(_UNSEEN, {"id": pipeline_id, "seqs": list(seqs)})


def remember(
    cursor: Cursor, place: tuple[PipelineId, int], became: Mapping[int, str], version: int, now: datetime
) -> None:
    """Note what events (by number) are in a generation (``place``) from now on."""
    own = {"id": place[0], "number": place[1], "version": version, "now": now}
    cursor.execute(_BECAME, {**own, "seqs": list(became), "becomes": list(became.values())})


def carry(cursor: Cursor, pipeline_id: PipelineId, live: int, into: int, stretch: Stretch) -> None:
    """Copy what is remembered of one generation's events of ``stretch`` into another one."""
    own = {"id": pipeline_id, "live": live, "into": into, "first": stretch[0], "last": stretch[1]}
    cursor.execute(_CARRIED, own)


def exchange(cursor: Cursor, pipeline_id: PipelineId, pair: tuple[int, int], stretch: Stretch) -> None:
    """Exchange between two generations what is remembered of the events of ``stretch``."""
    one, other = pair
    for of, to in ((one, _NOWHERE), (other, one), (_NOWHERE, other)):
        cursor.execute(_ASIDE, {"id": pipeline_id, "of": of, "to": to, "first": stretch[0], "last": stretch[1]})


def forget(cursor: Cursor, pipeline_id: PipelineId, number: int) -> None:
    """Forget what is remembered of a generation; with the last one, everything of the pipeline."""
    cursor.execute(_FORGET, {"id": pipeline_id, "number": number})
    cursor.execute(_LEFT_BEHIND, {"id": pipeline_id})


def micros(instant: datetime) -> int:
    """Return microseconds since 1970-01-01 UTC."""
    return int(instant.timestamp()) * 1_000_000 + instant.microsecond


def _listed(places: Sequence[RowPlace]) -> dict[str, list[int]]:
    return {"seqs": [seq for seq, _ in places], "items": [item for _, item in places]}
