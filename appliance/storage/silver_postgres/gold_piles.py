"""Partial counts that have piled up: each commit appends its own, now and then they are merged."""

from typing import Final

from sqlglot import exp

from appliance.storage.silver_postgres import gold_sheets as sheets
from appliance.storage.silver_postgres.gold_counting import AGAIN
from appliance.storage.sql.gold import Gold, Part, Sheet
from appliance.storage.sql.gold_partials import Counting, add_up
from appliance.storage.sql.postgresql import quoted
from appliance.storage.sql.statement import column, integer

_LOOKS: Final = 64  # one commit in so many looks how high the pile is
_SMALL: Final = 2_000  # so many rows more do not slow a reader down
_SHARE: Final = 4  # merging writes all rows of the buckets concerned: worth it when a quarter of them is new
_PILE: Final = """
SELECT count(*) FILTER (WHERE _part = {fresh}), count(*) FROM {sheet}
WHERE _part <> {kept} AND _time IN (SELECT _time FROM {sheet} WHERE _part = {fresh})
"""


def merge_piles(cursor: sheets.Cursor, gold: Gold, prefix: str, seq: int) -> None:
    """Merge the fresh parts of a rollup, if there are many; ``seq``: the last event of the commit under way.

    Where somebody else takes rows out of sheets at this moment, it is left to a later commit.
    """
    if not _looks(seq):
        return
    for sheet in gold.sheets:
        if _is_high(cursor, sheet) and sheets.try_lock(cursor, prefix):
            _merge(cursor, gold, sheet)


def _looks(seq: int) -> bool:
    """Choose by the bits of a product: commits of one event and of ten thousand are chosen alike, without a memory."""
    return (seq * 0x9E3779B97F4A7C15 >> 32) % _LOOKS == 0


def _is_high(cursor: sheets.Cursor, sheet: Sheet) -> bool:
    asked = _PILE.format(sheet=quoted(sheet.name), fresh=Part.FRESH.value, kept=Part.KEPT.value)
    fresh, concerned = cursor.execute(asked).fetchall()[0]
    return bool(fresh > _SMALL and fresh * _SHARE > concerned)


def _merge(cursor: sheets.Cursor, gold: Gold, sheet: Sheet) -> None:
    """Replace all parts that can be counted again, of buckets with fresh ones, by their sums."""
    fresh = exp.EQ(this=column("_part"), expression=integer(Part.FRESH.value))
    times = exp.select(column("_time")).distinct().from_(sheets.read(sheet.name)).where(fresh)
    concerned = exp.In(this=column("_time"), query=exp.Subquery(this=times))
    counting = Counting(sheets.DIALECT, gold.bucket_us, Part.COUNTED)
    merged = add_up(counting, sheet, sheets.named("gone"), [])
    cursor.execute(sheets.merging(sheet, [AGAIN, concerned], merged), {})
