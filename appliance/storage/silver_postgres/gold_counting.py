"""Counting into sheets: all rows, or those of some buckets; from rows or from finer rollups."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Final

from sqlglot import exp

from appliance.components.silver import Table
from appliance.domain.mapping import FieldType
from appliance.storage.silver_postgres import gold_sheets as sheets
from appliance.storage.silver_postgres.gold_touched import Touched
from appliance.storage.sql.gold import Gold, Part, Sheet
from appliance.storage.sql.gold_partials import Counting, add_up, count_bins, count_rows
from appliance.storage.sql.source import Stored, rows_of, rows_table, stored_columns
from appliance.storage.sql.statement import column, integer

Conditions = Sequence[exp.Expr]
AGAIN: Final = exp.NEQ(this=column("_part"), expression=integer(Part.KEPT.value))  # what can be counted again
KEPT: Final = exp.EQ(this=column("_part"), expression=integer(Part.KEPT.value))
_COLUMNS: Final = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute
WHERE attrelid = to_regclass(%(table)s) AND attnum > 0 AND NOT attisdropped AND attname <> '_key'
"""
_KINDS: Final = {
    "text": FieldType.STRING, "bigint": FieldType.INTEGER, "integer": FieldType.INTEGER,
    "double precision": FieldType.FLOAT, "numeric(38,9)": FieldType.DECIMAL, "boolean": FieldType.BOOLEAN,
    "timestamp with time zone": FieldType.TIMESTAMP, "json": FieldType.JSON,
}  # fmt: skip


class Rows:
    """The rows of a generation, as ``table`` reads them."""

    def __init__(self, cursor: sheets.Cursor, table: Table, number: int) -> None:
        self.cursor, self.table, self.number = cursor, table, number

    @cached_property
    def source(self) -> exp.Expr:
        return rows_of(self.table, self._stored(), sheets.DIALECT, self.number)

    def _stored(self) -> Stored:
        rows = sheets.DIALECT.quoted(rows_table(self.table.pipeline_id, self.number))
        found = self.cursor.execute(_COLUMNS, {"table": rows}).fetchall()
        return stored_columns({name: _KINDS[kind] for name, kind in found}, sheets.DIALECT)


def count(rows: Rows, gold: Gold, finer: Sequence[Gold], touched: Touched | None = None) -> None:
    """Count all rows again, or those in ``touched``; ``finer`` rollups are right already.

    A finer rollup that has all it takes is read instead: a day is 1,440 minutes, and may be millions of rows.
    """
    conditions = touched.conditions if touched else []
    values = touched.values if touched else {}
    covering = [other for other in finer if other.main.name != gold.main.name and other.covers(gold)]
    if not covering:
        recount(rows.cursor, gold, conditions, [(Part.COUNTED, rows.source, conditions)], values)
        return
    for sheet, source in zip(gold.sheets, covering[-1].sheets, strict=False):
        added = added_up(gold, sheet, source, Part.COUNTED, [AGAIN, *conditions])
        rows.cursor.execute(sheets.replacing(sheet, [AGAIN, *conditions], [added]), values)


def take_kept(rows: Rows, gold: Gold, finer: Sequence[Gold]) -> None:
    """Give a new rollup what a finer one that covers it has kept of rows that are gone."""
    covering = [other for other in finer if other.main.name != gold.main.name and other.covers(gold)]
    for sheet, source in zip(gold.sheets, covering[-1].sheets if covering else (), strict=False):
        rows.cursor.execute(sheets.inserting(sheet, [added_up(gold, sheet, source, Part.KEPT, [KEPT])]), {})


def recount(
    cursor: sheets.Cursor,
    gold: Gold,
    gone: Conditions,
    parts: Sequence[tuple[Part, exp.Expr, Conditions]],
    values: dict[str, Any],
) -> None:
    """Replace what can be counted again, where ``gone`` holds, by the counts of ``parts``: of which rows, and where."""
    for sheet in gold.sheets:
        counted = [one for part, source, conditions in parts for one in _counted(gold, sheet, part, source, conditions)]
        cursor.execute(sheets.replacing(sheet, [AGAIN, *gone], counted), values)


def added_up(gold: Gold, sheet: Sheet, source: Sheet, part: Part, conditions: Conditions) -> exp.Select:
    """Return the counts of ``sheet``, which belongs to ``gold``, added up from those of a finer ``source``."""
    added = add_up(Counting(sheets.DIALECT, gold.bucket_us, part), sheet, sheets.read(source.name), conditions)
    if sheet is gold.bins:
        names = [exp.Literal.string(field.name) for field in gold.sketched]
        added = added.where(exp.In(this=column(sheet.keys[-2].name), expressions=names))
    return added


def _counted(gold: Gold, sheet: Sheet, part: Part, source: exp.Expr, conditions: Conditions) -> Iterator[exp.Query]:
    of = Counting(sheets.DIALECT, gold.bucket_us, part)
    if sheet is gold.main:
        yield count_rows(of, sheet, source.copy(), conditions)
    else:
        yield count_bins(of, sheet, gold.sketched, source.copy(), conditions)
