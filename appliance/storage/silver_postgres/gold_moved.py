"""What rollups have kept of rows that are gone, taken out and put in: those rows cannot be counted again anywhere.

Places travel as the numbers that DuckDB makes of them, 2^63 time + 2^20 event + item; here they are texts of one width.
"""

from collections.abc import Iterator
from typing import Final

import pyarrow as pa

from appliance.components.silver import Table
from appliance.storage.silver_postgres import by_column, gold_sheets
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.copying import copy
from appliance.storage.silver_postgres.names import quoted
from appliance.storage.sql.gold import Op, Part, Sheet, gold_prefix, golds_of
from appliance.storage.sql.postgresql import ITEM_DIGITS, PLACE_OFFSET, SEQ_DIGITS
from appliance.storage.sql.statement import Statement
from appliance.storage.sql.transferred import sheet_name, sheet_schema

_READ: Final = "SELECT {fields} FROM {sheet} WHERE _part = {kept} ORDER BY {order}"
_TIME_DIGITS: Final = 19
_NUMBER: Final = (
    f"((substr({{name}}, 1, {_TIME_DIGITS})::numeric - {PLACE_OFFSET}) * {1 << 63}"
    f" + substr({{name}}, {_TIME_DIGITS + 1}, {SEQ_DIGITS})::numeric * {1 << 20}"
    f" + least(substr({{name}}, {_TIME_DIGITS + SEQ_DIGITS + 1})::numeric, {(1 << 20) - 1}))"
)
# mod() has the sign of what is divided; div() is exact, where the quotient of / is rounded.
_REST: Final = f"mod(mod({{name}}::numeric, {1 << 63}) + {1 << 63}, {1 << 63})"
_TEXT: Final = (
    f"(div({{name}}::numeric - {_REST}, {1 << 63}) + {PLACE_OFFSET})::text"
    f" || lpad(div({_REST}, {1 << 20})::text, {SEQ_DIGITS}, '0')"
    f" || lpad(mod({_REST}, {1 << 20})::text, {ITEM_DIGITS}, '0')"
)
_STAGED: Final = "CREATE TEMP TABLE moved ({fields}) ON COMMIT DROP"
_WRITE: Final = "INSERT INTO {sheet} (_part, {names}) SELECT {kept}, {values} FROM moved"
_TYPES: Final = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute
WHERE attrelid = to_regclass(%(sheet)s) AND attnum > 0 AND NOT attisdropped
"""


def read(cursor: Cursor, table: Table, number: int) -> Iterator[pa.Table]:
    """Yield what each sheet that there is has kept."""
    there = gold_sheets.existing(cursor, gold_prefix(table.pipeline_id, number))
    wanted = {sheet.name: sheet for gold in golds_of(table, number) for sheet in gold.sheets if sheet.name in there}
    for name, sheet in wanted.items():
        schema, places = sheet_schema(sheet), _places(sheet)
        fields = [(_NUMBER if field in places else "{name}").format(name=quoted(field)) for field in schema.names]
        aliased = ", ".join(f"{value} AS {quoted(field)}" for value, field in zip(fields, schema.names, strict=True))
        order = ", ".join(map(str, range(1, len(schema.names) + 1)))
        sql = _READ.format(fields=aliased, sheet=quoted(name), kept=Part.KEPT.value, order=order)
        part = by_column.as_schema(cursor, Statement(sql, {}), schema.remove_metadata())
        if part.num_rows:
            yield part.replace_schema_metadata(schema.metadata)


def write(cursor: Cursor, table: Table, number: int, part: pa.Table) -> None:
    """Put in what a sheet has kept, by way of a table of texts; a sheet not declared any more is left out."""
    name = sheet_name(part)
    found = {sheet.name: sheet for gold in golds_of(table, number) for sheet in gold.sheets}
    if name not in found or name not in gold_sheets.existing(cursor, gold_prefix(table.pipeline_id, number)):
        return
    places = _places(found[name])
    types: dict[str, str] = dict(cursor.execute(_TYPES, {"sheet": gold_sheets.DIALECT.quoted(name)}).fetchall())
    cursor.execute(_STAGED.format(fields=", ".join(f"{quoted(field)} text" for field in part.column_names)), {})
    names = ", ".join(map(quoted, part.column_names))
    copy(cursor, f"moved ({names})", pa.table({field: part[field].cast(pa.string()) for field in part.column_names}))
    values = [
        _TEXT.format(name=quoted(field)) if field in places else f"{quoted(field)}::{types[field]}"
        for field in part.column_names
    ]
    told = _WRITE.format(sheet=quoted(name), kept=Part.KEPT.value, names=names, values=", ".join(values))
    cursor.execute(told, {})
    cursor.execute("DROP TABLE moved")


def _places(sheet: Sheet) -> set[str]:
    return {state.name for state in sheet.states if state.op is Op.PLACE}
