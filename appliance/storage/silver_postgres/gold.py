"""Gold in the organisation's schema: rollups of a generation's rows, kept right with the rows they count.

Everything here runs on a writer's cursor, inside a transaction that the caller has begun and ends, where the search
path is the schema's, the time zone UTC, and values of 64 bits keep all their digits (``extra_float_digits`` 1). Where
the table has no rollups nothing happens and no statement is sent (but by ``begin`` and ``drop``).

What a caller does with rows, and what it calls then:

* made or changed a generation's tables (``prepare``, ``begin`` of a shadow, after carried rows are in it) → ``begin``,
  and for a shadow that takes over rows ``carry``; nobody else commits to the generation meanwhile
* inserted a batch's rows → ``add``, with the rows that were inserted (with keys: those kept)
* deleted or changed rows otherwise (superseded, amended, erased, spliced) → ``recompute``, as the last of all; after
  ``add`` where both are called; where rows may come back that retention had removed (spliced) → ``restore`` before
* is about to remove rows by retention → ``trim``, before they are deleted; both see the same moment (REPEATABLE READ),
  or nobody else commits to the generation meanwhile
* filled a generation's rows by other means than ``add`` → ``rebuild``
* removes a generation → ``drop``

Several nodes may commit to one generation at the same time. ``add`` only adds rows: it waits for nobody. Whoever takes
rows out of sheets holds one lock of the generation until the transaction ends, and does it in statements that take out
and count at one moment (``gold_sheets.replacing``, ``merging``), so that what others add meanwhile is neither lost nor
counted twice. All who commit to a generation must declare the same rollups.

A shadow is maintained by its commits like the live generation: see decision 0011 for what both ways cost.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import pyarrow as pa

from appliance.components.silver import Batch, Table
from appliance.domain.ids import PipelineId
from appliance.storage.silver_postgres import gold_sheets as sheets
from appliance.storage.silver_postgres.gold_arrow import count_here
from appliance.storage.silver_postgres.gold_counting import Rows, count, take_kept
from appliance.storage.silver_postgres.gold_few import count_few
from appliance.storage.silver_postgres.gold_kept import give_up, keep, take_over
from appliance.storage.silver_postgres.gold_piles import merge_piles
from appliance.storage.silver_postgres.gold_sheets import Cursor
from appliance.storage.silver_postgres.gold_touched import buckets_of, touched_by
from appliance.storage.sql.gold import Gold, different_golds, gold_prefix, golds_of

_FEW: Final = 200  # rows that the server counts faster than they are counted here: see decision 0017


class Ready:
    """Remembers which generations have the rollups that their tables declare, as long as ``version`` stays the same."""

    def __init__(self) -> None:
        self._seen: dict[tuple[PipelineId, int], tuple[int, set[str]]] = {}

    def has(self, cursor: Cursor, table: Table, number: int, version: int) -> bool:
        """Return whether ``add`` may be called; if not, ``begin`` first.

        ``version``: changes, for every node, with whatever ``begin`` may have done to the generation.
        """
        if not table.rollups:
            return True
        place, wanted = (table.pipeline_id, number), (version, _names(golds_of(table, number)))
        if self._seen.get(place) != wanted:
            if not wanted[1] <= sheets.existing(cursor, gold_prefix(table.pipeline_id, number)):
                return False
            self._seen[place] = wanted
        return True


def begin(cursor: Cursor, table: Table, number: int) -> None:
    """Make the rollups that ``table`` declares and drop all others of this generation; new ones count its rows.

    Idempotent: a rollup that is there, declared just so, is left as it is. A rollup declared otherwise than before
    is another one. ``table.generation`` is not looked at: ``number`` says which.
    """
    golds = golds_of(table, number)
    prefix = gold_prefix(table.pipeline_id, number)
    there = sheets.existing(cursor, prefix)
    for name in there - _names(golds):
        sheets.remove(cursor, name)
    rows = Rows(cursor, table, number)
    for place, gold in enumerate(golds):
        if gold.main.name not in there:
            sheets.lock(cursor, prefix)
            for sheet in gold.sheets:
                sheets.create(cursor, sheet)
                there.add(sheet.name)
            count(rows, gold, golds[:place])
            take_kept(rows, gold, golds[:place])


def carry(cursor: Cursor, table: Table, live: int, number: int, first_seq: int) -> None:
    """Give generation ``number``, begun before, what generation ``live`` has counted of rows that are gone for good.

    Of events before ``first_seq``, that is: those from then on are refined again.
    """
    there = sheets.existing(cursor, gold_prefix(table.pipeline_id, live))
    for source, gold in zip(different_golds(table, live), different_golds(table, number), strict=True):
        if source.main.name in there:
            take_over(cursor, source, gold, first_seq)


def add(cursor: Cursor, batch: Batch, number: int, rows: pa.Table) -> None:
    """Count ``rows``: those of the batch that are in the generation's table by now."""
    if not rows.num_rows:
        return
    prefix = gold_prefix(batch.table.pipeline_id, number)
    for gold in different_golds(batch.table, number):
        if rows.num_rows <= _FEW:
            count_few(cursor, gold, rows)
        else:
            count_here(cursor, gold, rows, batch.first_seq)
        merge_piles(cursor, gold, prefix, batch.last_seq)


def recompute(cursor: Cursor, table: Table, number: int, touched: str) -> None:
    """Count those buckets again, from the rows as they are now, that hold a ``_time`` of ``touched``.

    ``touched``: the name of a temporary table with ``_time`` of rows that were removed or changed; other columns and
    repetitions do not matter. Rollups of the generation that ``table`` does not declare cannot be kept right and are
    dropped.
    """
    golds, others = _there(cursor, table, number)
    for name in others:
        sheets.remove(cursor, name)
    rows = Rows(cursor, table, number)
    for place, gold in enumerate(golds):
        found = touched_by(cursor, buckets_of(touched, gold.bucket_us), gold.bucket_us)
        if found is not None:
            sheets.lock(cursor, gold_prefix(table.pipeline_id, number))
            count(rows, gold, golds[:place], found)


def trim(cursor: Cursor, table: Table, number: int, before: datetime, events: tuple[int, int]) -> None:
    """Keep what was counted of rows with ``_time`` < ``before``, which retention is about to remove.

    ``events``: only rows from the first to the last of these are removed.
    """
    rows = Rows(cursor, table, number)
    for gold in _there(cursor, table, number)[0]:
        sheets.lock(cursor, gold_prefix(table.pipeline_id, number))
        keep(rows, gold, before, events)


def restore(cursor: Cursor, table: Table, number: int, first_seq: int, last_seq: int) -> None:
    """Forget what ``trim`` kept of these events, whose rows have come back; ``recompute`` counts them."""
    for gold in _there(cursor, table, number)[0]:
        sheets.lock(cursor, gold_prefix(table.pipeline_id, number))
        give_up(cursor, gold, first_seq, last_seq)


def rebuild(cursor: Cursor, table: Table, number: int) -> None:
    """Count every row again. What ``trim`` kept of rows that are gone stays."""
    rows = Rows(cursor, table, number)
    for gold in different_golds(table, number):
        sheets.lock(cursor, gold_prefix(table.pipeline_id, number))
        count(rows, gold, ())  # not from a finer one, which has what is kept as well


def drop(cursor: Cursor, pipeline_id: PipelineId, number: int | None = None) -> None:
    """Remove the rollups of a generation; None: of every generation of the pipeline."""
    for name in sheets.existing(cursor, gold_prefix(pipeline_id, number)):
        sheets.remove(cursor, name)


def _there(cursor: Cursor, table: Table, number: int) -> tuple[list[Gold], set[str]]:
    """Return the rollups of ``table`` that have been made, and the names of other sheets of the generation."""
    if not table.rollups:
        return [], set()
    there = sheets.existing(cursor, gold_prefix(table.pipeline_id, number))
    golds = [gold for gold in different_golds(table, number) if gold.main.name in there]
    return golds, there - _names(golds)


def _names(golds: Iterable[Gold]) -> set[str]:
    return {sheet.name for gold in golds for sheet in gold.sheets}
