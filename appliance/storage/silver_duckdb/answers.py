"""What DuckDB answers, in the types that readers are promised."""

from collections.abc import Mapping

import pyarrow as pa

from appliance.domain.mapping import FieldType

_INSTANT = pa.timestamp("us", "UTC")
ARROW_TYPES: Mapping[FieldType, pa.DataType] = {
    FieldType.STRING: pa.string(),
    FieldType.INTEGER: pa.int64(),
    FieldType.FLOAT: pa.float64(),
    FieldType.DECIMAL: pa.decimal128(38, 9),
    FieldType.BOOLEAN: pa.bool_(),
    FieldType.TIMESTAMP: _INSTANT,
    FieldType.JSON: pa.string(),
}
_DEAD_SCHEMA = pa.schema(
    [
        ("seq", pa.int64()), ("item", pa.int32()), ("reason", pa.string()), ("field", pa.string()),
        ("value", pa.string()), ("message", pa.string()), ("problems", pa.string()), ("received_at", _INSTANT),
        ("version", pa.int32()),
    ]
)  # fmt: skip


def rows_schema(fields: Mapping[str, FieldType]) -> pa.Schema:
    """Return the schema of rows. A field's metadata has ``type``: JSON columns hold text like strings do."""
    return pa.schema(
        [
            pa.field(name, pa.int32() if name == "_item" else ARROW_TYPES[kind], metadata={"type": kind.value})
            for name, kind in fields.items()
        ]
    )


def as_rows(answer: pa.Table, fields: Mapping[str, FieldType]) -> pa.Table:
    """Return rows with the schema of ``rows_schema``."""
    return answer.cast(rows_schema(fields))


def as_dead_letters(answer: pa.Table) -> pa.Table:
    """Return dead letters with the columns of ``Batch.dead``."""
    return answer.cast(_DEAD_SCHEMA)


def no_dead_letters() -> pa.Table:
    """Return dead letters: none."""
    return _DEAD_SCHEMA.empty_table()


def as_measures(answer: pa.Table) -> pa.Table:
    """Return an aggregation's answer with types that JSON can carry: text, boolean, int64, float64, instants.

    Sums of integers are exact (int64) where all of them fit into 64 bits, else float64. Decimals come as float64.
    """
    columns = [_plain(answer.column(place)) for place in range(answer.num_columns)]
    return pa.table(columns, names=answer.column_names)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type):
        return column.cast(_INSTANT)
    if not pa.types.is_decimal(column.type):
        return column
    try:  # a decimal without places: how Arrow carries DuckDB's HUGEINT
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        return column.cast(pa.float64())
