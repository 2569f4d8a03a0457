"""What stays counted of rows that retention removes: it becomes a part that is never counted again."""

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlglot import exp

from appliance.domain.partition import base_of, partition_of
from appliance.storage.silver_postgres import gold_sheets as sheets
from appliance.storage.silver_postgres.gold_counting import AGAIN, KEPT, Rows, recount
from appliance.storage.silver_postgres.gold_touched import touched_by
from appliance.storage.sql.gold import SEQ, Gold, Part
from appliance.storage.sql.statement import column, integer

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def keep(rows: Rows, gold: Gold, before: datetime, events: tuple[int, int]) -> None:
    """Keep the counts of rows that are about to go: those before ``before``, of these events.

    Buckets that lose all their rows only change their part. Those that keep some are counted again, in two parts.
    """
    before_us = (before - _EPOCH) // timedelta(microseconds=1)
    gone = _gone(before_us, events)
    divided = touched_by(rows.cursor, _staying(rows, gold, before_us, gone), gold.bucket_us)
    losing = [AGAIN, _before(before_us // gold.bucket_us * gold.bucket_us)]
    if divided is not None:
        losing.append(exp.Not(this=exp.paren(divided.listed)))
    values = divided.values if divided else {}
    for sheet in gold.sheets:
        rows.cursor.execute(sheets.updating(sheet, "_part", Part.KEPT.value, *losing), values)
    if divided is not None:
        going = (Part.KEPT, rows.source, [*divided.conditions, gone])
        staying = (Part.COUNTED, rows.source, [*divided.conditions, exp.Not(this=exp.paren(gone))])
        recount(rows.cursor, gold, divided.conditions, [going, staying], values)


def take_over(cursor: sheets.Cursor, source: Gold, gold: Gold, first_seq: int) -> None:
    """Give ``gold`` what ``source``, the same of another generation, has kept of events before ``first_seq``.

    Of those of its partition.
    """
    for own, other in zip(gold.sheets, source.sheets, strict=True):
        earliest = base_of(partition_of(first_seq - 1))
        earlier = exp.Between(this=column(SEQ.name), low=integer(earliest), high=integer(first_seq - 1))
        selected = exp.select(*map(column, sheets.columns(own))).from_(sheets.read(other.name)).where(KEPT, earlier)
        cursor.execute(sheets.inserting(own, [selected]), {})


def give_up(cursor: sheets.Cursor, gold: Gold, first_seq: int, last_seq: int) -> None:
    """Forget what was kept of these events: their rows are there again."""
    within = exp.Between(this=column(SEQ.name), low=integer(first_seq), high=integer(last_seq))
    for sheet in gold.sheets:
        cursor.execute(sheets.deleting(sheet, KEPT, within), {})


def _staying(rows: Rows, gold: Gold, before_us: int, gone: exp.Expr) -> exp.Select:
    """Return the query for buckets that begin before ``before_us`` and keep rows."""
    buckets = exp.select(sheets.DIALECT.bucket(gold.bucket_us)).distinct().from_(rows.source)
    return buckets.where(_before(-(-before_us // gold.bucket_us) * gold.bucket_us), exp.Not(this=exp.paren(gone)))


def _before(us: int) -> exp.Expr:
    return exp.LT(this=column("_time"), expression=sheets.DIALECT.instant(us))


def _gone(before_us: int, events: tuple[int, int]) -> exp.Expr:
    early = _before(before_us)
    return exp.and_(early, exp.Between(this=column("_seq"), low=integer(events[0]), high=integer(events[1])))
