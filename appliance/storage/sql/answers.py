"""What a database answers, in the types that readers are promised."""

from collections.abc import Mapping

import pyarrow as pa

from appliance.components.arrow import ARROW_TYPES, DEAD_SCHEMA, INSTANT
from appliance.domain.mapping import FieldType


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
    return answer.cast(DEAD_SCHEMA)


def no_dead_letters() -> pa.Table:
    """Return dead letters: none."""
    return DEAD_SCHEMA.empty_table()


def as_measures(answer: pa.Table, source: str) -> pa.Table:
    """Return an aggregation's answer with types that JSON can carry: text, boolean, int64, float64, instants.

    Sums of integers are exact (int64) where all of them fit into 64 bits, else float64. Decimals come as float64.
    ``source``: what was read, told in the schema's metadata.
    """
    columns = [_plain(answer.column(place)) for place in range(answer.num_columns)]
    return pa.Table.from_arrays(columns, names=answer.column_names).replace_schema_metadata({"source": source})


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type):
        return column.cast(INSTANT)
    if not pa.types.is_decimal(column.type):
        return column
    try:  # a whole number of more than 64 bits, perhaps
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        return column.cast(pa.float64())
