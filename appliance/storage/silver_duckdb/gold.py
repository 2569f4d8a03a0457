"""Gold in the file: rollups of a generation's rows, kept right inside the transaction that changes the rows.

Everything here runs on the writer's cursor, inside a transaction that the caller has begun and ends. Where the table
has no rollups nothing happens and no statement is sent (but by ``begin`` and ``drop``, which look for former ones).

What a caller does with rows, and what it calls then:

* made or changed a generation's tables (``prepare``, ``begin`` of a shadow, after carried rows are in it) → ``begin``,
  and for a shadow that takes over rows ``carry``
* inserted a batch's rows → ``add``, after the insert, while ``batch_rows`` is registered
* deleted or changed rows otherwise (superseded, amended, erased, spliced) → ``recompute``, as the last of all; after
  ``add`` where both are called; where rows may come back that retention had removed (spliced) → ``restore`` before
* is about to remove rows by retention → ``trim``, before they are deleted
* filled a generation's rows by other means than ``add`` → ``rebuild``
* removes a generation → ``drop``

A shadow is maintained by its commits like the live generation: see decision 0011 for what both ways cost.
"""

from collections.abc import Iterable
from datetime import datetime

import duckdb

from appliance.components.silver import Batch, Table
from appliance.domain.ids import PipelineId
from appliance.storage.silver_duckdb import gold_sheets as sheets
from appliance.storage.silver_duckdb.gold_counting import Rows, clear, count, count_batch, take_kept
from appliance.storage.silver_duckdb.gold_kept import give_up, keep, take_over
from appliance.storage.silver_duckdb.gold_piles import merge_piles
from appliance.storage.silver_duckdb.gold_touched import buckets_of, touched_by
from appliance.storage.sql.gold import Gold, different_golds, gold_prefix, golds_of


class Ready:
    """Remembers which generations have the rollups that their tables declare, as long as the file is open."""

    def __init__(self) -> None:
        self._seen: dict[tuple[PipelineId, int], tuple[int, set[str]]] = {}

    def has(self, cursor: duckdb.DuckDBPyConnection, table: Table, number: int, opening: int) -> bool:
        """Return whether ``add`` may be called; if not, ``begin`` first. ``opening`` changes with the open file."""
        if not table.rollups:
            return True
        place, wanted = (table.pipeline_id, number), (opening, _names(golds_of(table, number)))
        if self._seen.get(place) != wanted:
            if not wanted[1] <= sheets.existing(cursor, gold_prefix(table.pipeline_id, number)):
                return False
            self._seen[place] = wanted
        return True


def begin(cursor: duckdb.DuckDBPyConnection, table: Table, number: int) -> None:
    """Make the rollups that ``table`` declares and drop all others of this generation; new ones count its rows.

    Idempotent: a rollup that is there, declared just so, is left as it is. A rollup declared otherwise than before
    is another one. ``table.generation`` is not looked at: ``number`` says which.
    """
    golds = golds_of(table, number)
    there = sheets.existing(cursor, gold_prefix(table.pipeline_id, number))
    for name in there - _names(golds):
        sheets.remove(cursor, name)
    rows = Rows(cursor, table, number)
    for place, gold in enumerate(golds):
        if gold.main.name not in there:
            for sheet in gold.sheets:
                sheets.create(cursor, sheet)
                there.add(sheet.name)
            count(rows, gold, golds[:place])
            take_kept(rows, gold, golds[:place])


def carry(cursor: duckdb.DuckDBPyConnection, table: Table, live: int, number: int, first_seq: int) -> None:
    """Give generation ``number``, begun before, what generation ``live`` has counted of rows that are gone for good.

    Of events before ``first_seq``, that is: those from then on are refined again.
    """
    there = sheets.existing(cursor, gold_prefix(table.pipeline_id, live))
    for source, gold in zip(different_golds(table, live), different_golds(table, number), strict=True):
        if source.main.name in there:
            take_over(cursor, source, gold, first_seq)


def add(cursor: duckdb.DuckDBPyConnection, batch: Batch, number: int) -> None:
    """Count the rows of the registered view ``batch_rows``, which are in the generation's table by now."""
    for gold in different_golds(batch.table, number):
        count_batch(cursor, gold)
        merge_piles(cursor, gold, batch.last_seq)


def recompute(cursor: duckdb.DuckDBPyConnection, table: Table, number: int, touched: str) -> None:
    """Count those buckets again, from the rows as they are now, that hold a ``_time`` of ``touched``.

    ``touched``: the name of a registered view or table with ``_time`` of rows that were removed or changed; other
    columns and repetitions do not matter. Rollups of the generation that ``table`` does not declare cannot be kept
    right and are dropped.
    """
    golds, others = _there(cursor, table, number)
    for name in others:
        sheets.remove(cursor, name)
    rows = Rows(cursor, table, number)
    for place, gold in enumerate(golds):
        with touched_by(cursor, buckets_of(touched, gold.bucket_us), gold.bucket_us) as found:
            if found is not None:
                clear(cursor, gold, found)
                count(rows, gold, golds[:place], found)


def trim(
    cursor: duckdb.DuckDBPyConnection, table: Table, number: int, before: datetime, up_to: int | None = None
) -> None:
    """Keep what was counted of rows with ``_time`` < ``before``, which retention is about to remove.

    ``up_to``: only rows of events up to this one are removed.
    """
    rows = Rows(cursor, table, number)
    for gold in _there(cursor, table, number)[0]:
        keep(rows, gold, before, up_to)


def restore(cursor: duckdb.DuckDBPyConnection, table: Table, number: int, first_seq: int, last_seq: int) -> None:
    """Forget what ``trim`` kept of these events, whose rows have come back; ``recompute`` counts them."""
    for gold in _there(cursor, table, number)[0]:
        give_up(cursor, gold, first_seq, last_seq)


def rebuild(cursor: duckdb.DuckDBPyConnection, table: Table, number: int) -> None:
    """Count every row again. What ``trim`` kept of rows that are gone stays."""
    rows = Rows(cursor, table, number)
    for gold in different_golds(table, number):
        clear(cursor, gold)
        count(rows, gold, ())  # not from a finer one, which has what is kept as well


def drop(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, number: int | None = None) -> None:
    """Remove the rollups of a generation; None: of every generation of the pipeline."""
    for name in sheets.existing(cursor, gold_prefix(pipeline_id, number)):
        sheets.remove(cursor, name)


def _there(cursor: duckdb.DuckDBPyConnection, table: Table, number: int) -> tuple[list[Gold], set[str]]:
    """Return the rollups of ``table`` that have been made, and the names of other sheets of the generation."""
    if not table.rollups:
        return [], set()
    there = sheets.existing(cursor, gold_prefix(table.pipeline_id, number))
    golds = [gold for gold in different_golds(table, number) if gold.main.name in there]
    return golds, there - _names(golds)


def _names(golds: Iterable[Gold]) -> set[str]:
    return {sheet.name for gold in golds for sheet in gold.sheets}
