"""The Arrow types of what goes from mapping to Silver and from Silver to readers: declared once, for every adapter."""

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from appliance.domain.mapping import FieldType

INSTANT: Final = pa.timestamp("us", "UTC")
ARROW_TYPES: Final[Mapping[FieldType, pa.DataType]] = {
    FieldType.STRING: pa.string(),
    FieldType.INTEGER: pa.int64(),
    FieldType.FLOAT: pa.float64(),
    FieldType.DECIMAL: pa.decimal128(38, 9),
    FieldType.BOOLEAN: pa.bool_(),
    FieldType.TIMESTAMP: INSTANT,
    FieldType.JSON: pa.string(),
}
DEAD_SCHEMA: Final = pa.schema(
    [
        ("seq", pa.int64()), ("item", pa.int32()), ("reason", pa.string()), ("field", pa.string()),
        ("value", pa.string()), ("message", pa.string()), ("problems", pa.string()), ("received_at", INSTANT),
        ("version", pa.int32()),
    ]
)  # fmt: skip
