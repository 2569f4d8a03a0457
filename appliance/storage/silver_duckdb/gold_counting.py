"""Counting into sheets: a commit's rows, all rows, or those of some buckets; from rows or from finer rollups."""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Final

import duckdb
from sqlglot import exp

from appliance.components.silver import Table
from appliance.storage.silver_duckdb import gold_sheets as sheets
from appliance.storage.silver_duckdb.gold_touched import Touched
from appliance.storage.silver_duckdb.schema import KINDS
from appliance.storage.sql.gold import Gold, Part, Sheet
from appliance.storage.sql.gold_partials import Counting, add_up, count_bins, count_rows
from appliance.storage.sql.source import Stored, rows_of, rows_table, stored_columns
from appliance.storage.sql.statement import column, integer

AGAIN: Final = exp.NEQ(this=column("_part"), expression=integer(Part.KEPT.value))  # what can be counted again
KEPT: Final = exp.EQ(this=column("_part"), expression=integer(Part.KEPT.value))
_COLUMNS: Final = "SELECT lower(column_name), data_type FROM duckdb_columns() WHERE table_name = $name"


class Rows:
    """The rows of a generation, as ``table`` reads them."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, table: Table, number: int) -> None:
        self.cursor, self.table, self.number = cursor, table, number

    @cached_property
    def source(self) -> exp.Expr:
        return rows_of(self.table, self._stored(), sheets.DIALECT, self.number)

    def _stored(self) -> Stored:
        found = self.cursor.execute(_COLUMNS, {"name": rows_table(self.table.pipeline_id, self.number)}).fetchall()
        return stored_columns({name: KINDS[kind] for name, kind in found if name != "_key"}, sheets.DIALECT)


def clear(cursor: duckdb.DuckDBPyConnection, gold: Gold, touched: Touched | None = None) -> None:
    """Take out what can be counted again: all of it, or of the buckets in ``touched``."""
    for sheet in gold.sheets:
        cursor.execute(sheets.deleting(sheet, AGAIN, *(touched.conditions if touched else ())))


def count_batch(cursor: duckdb.DuckDBPyConnection, gold: Gold) -> None:
    """Append the partial counts of ``batch_rows``."""
    for statement in _batch_statements(gold):
        cursor.execute(statement)


def count(rows: Rows, gold: Gold, finer: Sequence[Gold], touched: Touched | None = None) -> None:
    """Append the counts of all rows, or of those in ``touched``; ``finer`` rollups are right already.

    A finer rollup that has all it takes is read instead: a day is 1,440 minutes, and may be millions of rows.
    """
    covering = [other for other in finer if other.main.name != gold.main.name and other.covers(gold)]
    if not covering:
        count_from_rows(rows, gold, Part.COUNTED, touched.conditions if touched else ())
        return
    conditions = [AGAIN, *(touched.conditions if touched else ())]
    _add_up_from(rows.cursor, gold, covering[-1], Part.COUNTED, conditions)


def take_kept(rows: Rows, gold: Gold, finer: Sequence[Gold]) -> None:
    """Give a new rollup what a finer one that covers it has kept of rows that are gone."""
    covering = [other for other in finer if other.main.name != gold.main.name and other.covers(gold)]
    if covering:
        _add_up_from(rows.cursor, gold, covering[-1], Part.KEPT, [KEPT])


def count_from_rows(rows: Rows, gold: Gold, part: Part, conditions: Sequence[exp.Expr]) -> None:
    """Append the counts of those rows for which all ``conditions`` hold."""
    for statement in _counting(gold, rows.source, part, conditions):
        rows.cursor.execute(statement)


def _add_up_from(
    cursor: duckdb.DuckDBPyConnection, gold: Gold, finer: Gold, part: Part, conditions: Sequence[exp.Expr]
) -> None:
    for sheet, source in zip(gold.sheets, finer.sheets, strict=False):
        added = add_up(Counting(sheets.DIALECT, gold.bucket_us, part), sheet, sheets.read(source.name), conditions)
        if sheet is gold.bins:
            names = [exp.Literal.string(field.name) for field in gold.sketched]
            added = added.where(exp.In(this=column(_field_key(sheet)), expressions=names))
        cursor.execute(sheets.inserting(sheet, added))


@lru_cache(maxsize=1024)
def _batch_statements(gold: Gold) -> tuple[str, ...]:
    """Return what every commit executes: writing it takes longer than running it on a small batch."""
    return _counting(gold, sheets.read("batch_rows"), Part.FRESH, ())


def _counting(gold: Gold, source: exp.Expr, part: Part, conditions: Sequence[exp.Expr]) -> tuple[str, ...]:
    of = Counting(sheets.DIALECT, gold.bucket_us, part)
    statements = [sheets.inserting(gold.main, count_rows(of, gold.main, source, conditions))]
    if gold.sketched:
        bins = count_bins(of, gold.bins, gold.sketched, source, conditions)
        statements.append(sheets.inserting(gold.bins, bins))
    return tuple(statements)


def _field_key(sheet: Sheet) -> str:
    return sheet.keys[-2].name
