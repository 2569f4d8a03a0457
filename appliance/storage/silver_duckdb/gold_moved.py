"""What rollups have kept of rows that are gone, taken out and put in: those rows cannot be counted again anywhere."""

from collections.abc import Iterator
from typing import Final

import duckdb
import pyarrow as pa

from appliance.components.silver import Table
from appliance.storage.silver_duckdb import gold_sheets as sheets
from appliance.storage.silver_duckdb.schema import quoted
from appliance.storage.sql.gold import Part, gold_prefix, golds_of
from appliance.storage.sql.transferred import WHOLE, sheet_name, sheet_schema

_READ: Final = "SELECT {fields} FROM {sheet} WHERE _part = {kept} ORDER BY ALL"
_WRITE: Final = "INSERT INTO {sheet} BY NAME SELECT *, {kept} AS _part FROM part"


def read(cursor: duckdb.DuckDBPyConnection, table: Table, number: int) -> Iterator[pa.Table]:
    """Yield what each sheet that there is has kept."""
    there = sheets.existing(cursor, gold_prefix(table.pipeline_id, number))
    wanted = {sheet.name: sheet for gold in golds_of(table, number) for sheet in gold.sheets if sheet.name in there}
    for name, sheet in wanted.items():
        schema = sheet_schema(sheet)
        fields = ", ".join(_field(field) for field in schema)
        statement = _READ.format(fields=fields, sheet=quoted(name), kept=Part.KEPT.value)
        part = cursor.sql(statement).to_arrow_table()
        if part.num_rows:
            yield part.cast(schema.remove_metadata()).replace_schema_metadata(schema.metadata)


def write(cursor: duckdb.DuckDBPyConnection, table: Table, number: int, part: pa.Table) -> None:
    """Put in what a sheet has kept; one that is not declared any more is left out."""
    name = sheet_name(part)
    if name in sheets.existing(cursor, gold_prefix(table.pipeline_id, number)):
        cursor.register("part", part)
        cursor.execute(_WRITE.format(sheet=quoted(name), kept=Part.KEPT.value))


def _field(field: pa.Field) -> str:
    cast = "DECIMAL(38, 0)" if field.type == WHOLE else "VARCHAR" if field.type == pa.string() else None
    return f"{quoted(field.name)}::{cast} AS {quoted(field.name)}" if cast else quoted(field.name)
