"""A small commit's rows counted by the server: they are sent once more, as values of the statement that counts them.

Of a few rows it is the planning that costs, and the server plans several times as fast as DuckDB.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa
from sqlglot import exp

from appliance.components.silver import Column
from appliance.domain.mapping import FieldType
from appliance.storage.silver_postgres import gold_sheets as sheets
from appliance.storage.silver_postgres.binary import REPLACEMENT, UNSTORABLE
from appliance.storage.sql.gold import Gold, Part, Sheet
from appliance.storage.sql.gold_partials import Counting, count_bins, count_rows
from appliance.storage.sql.postgresql import quoted
from appliance.storage.sql.scope import SYSTEM_FIELDS

_ROWS: Final = "batch_rows"
_PLACE: Final = tuple(Column(told, SYSTEM_FIELDS[told]) for told in ("_time", "_seq", "_item"))
_TEXT: Final = frozenset({FieldType.STRING, FieldType.JSON})


def count_few(cursor: sheets.Cursor, gold: Gold, rows: pa.Table) -> None:
    """Append the partial counts of ``rows``."""
    for statement, needed in _statements(gold):
        values = {f"c{place}": _values(rows, column) for place, column in enumerate(needed)}
        cursor.execute(statement, values)


def _values(rows: pa.Table, column: Column) -> list[Any]:
    values: list[Any] = rows[column.name].to_pylist()
    if column.type not in _TEXT:
        return values
    return [value.replace(UNSTORABLE, REPLACEMENT) if value else value for value in values]


@lru_cache(maxsize=1024)
def _statements(gold: Gold) -> tuple[tuple[str, tuple[Column, ...]], ...]:
    of, source = Counting(sheets.DIALECT, gold.bucket_us, Part.FRESH), sheets.read(_ROWS)
    needed = _needed((*gold.groups, *(one.field for one in gold.main.states if one.field)))
    statements = [(_with(needed, gold.main, count_rows(of, gold.main, source, ())), needed)]
    if gold.sketched:
        needed = _needed((*gold.groups, *gold.sketched))
        statements.append(
            (_with(needed, gold.bins, count_bins(of, gold.bins, gold.sketched, source.copy(), ())), needed)
        )
    return tuple(statements)


def _needed(fields: Iterable[Column]) -> tuple[Column, ...]:
    return tuple({column.name: column for column in (*_PLACE, *fields)}.values())


def _with(needed: tuple[Column, ...], sheet: Sheet, counted: exp.Query) -> str:
    """Return the statement that puts ``counted`` into ``sheet``, where the rows it reads are values, by column."""
    values = ", ".join(f"%(c{place})s::{_sent(column.type)}[]" for place, column in enumerate(needed))
    given = ", ".join(f"c{place}" for place in range(len(needed)))
    read = ", ".join(f"{_read(place, column.type)} AS {quoted(column.name)}" for place, column in enumerate(needed))
    rows = f"SELECT {read} FROM unnest({values}) AS given({given})"  # noqa: S608 - quoted
    return f"WITH {_ROWS} AS ({rows}) {sheets.inserting(sheet, [counted])}"


def _sent(kind: FieldType) -> str:
    return sheets.DIALECT.type_name(FieldType.STRING if kind is FieldType.JSON else kind)


def _read(place: int, kind: FieldType) -> str:
    if kind is FieldType.JSON:
        return f"c{place}::json"
    return f'c{place} COLLATE "C"' if kind is FieldType.STRING else f"c{place}"
