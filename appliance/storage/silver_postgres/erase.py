"""Events erased: their rows, dead letters and what was counted of them, in one generation after the other."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from appliance.components.silver import Table
from appliance.storage.silver_postgres import gold, journal, names, outcomes, places
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.timescale_changes import ranges_to_remove
from appliance.storage.silver_postgres.touched import touched

_ERASED: Final = 0  # a version that never is
_ROWS: Final = """
DELETE FROM {rows} WHERE _seq BETWEEN %(least)s AND %(greatest)s AND _seq = ANY(%(seqs)s::bigint[]) RETURNING _time
"""
_DEAD: Final = "DELETE FROM {dead} WHERE seq = ANY(%(seqs)s::bigint[])"


def erase(cursor: Cursor, table: Table, seqs: Sequence[int], now: datetime) -> None:
    """See ``Upkeep.erase``; in one transaction for all generations, alone with the pipeline."""
    if not seqs:
        return
    for number in places.numbers(cursor, table.pipeline_id):
        _erase(cursor, table, number, seqs, now)
    journal.forget_unseen(cursor, table.pipeline_id, seqs)
    places.changed(cursor, table.pipeline_id)


def _erase(cursor: Cursor, table: Table, number: int, seqs: Sequence[int], now: datetime) -> None:
    pipeline_id, named = table.pipeline_id, names.tables(table.pipeline_id, number)
    former = [event for event in outcomes.former(cursor, pipeline_id, number, seqs) if event.was is not None]
    own = {"seqs": list(seqs), "least": min(seqs), "greatest": max(seqs)}
    times = []
    for within in ranges_to_remove(cursor, pipeline_id, number, seqs):
        times += [time for (time,) in cursor.execute(_ROWS.format(**named), {**own, **within})]
    cursor.execute(_DEAD.format(**named), own)
    outcomes.move(cursor, pipeline_id, number, [(event, "filtered") for event in former])
    became = {event.seq: "filtered" for event in former}
    journal.remember(cursor, (pipeline_id, number), became, _ERASED, now)
    if not table.rollups:  # then a former generation's, if there are any, cannot be kept right
        gold.drop(cursor, pipeline_id, number)
        return
    with touched(cursor, times) as touched_times:
        gold.recompute(cursor, table, number, touched_times)
