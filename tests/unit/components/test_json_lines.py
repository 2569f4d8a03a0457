import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa

from appliance.components.json_lines import json_lines

ROWS = pa.table(
    {
        "_time": pa.array([datetime(2026, 1, 31, 8, 0, 0, 5, UTC)] * 2, pa.timestamp("us", "UTC")),
        'a "b"': ['x\ny"', None],
        "exact": pa.array([Decimal("12.500000001")] * 2, pa.decimal128(38, 9)),
        "tags": ['{"big": 123456789012345678901234567890,\n "a": [1.10, 2]}', "not JSON"],
        "_extra": ['{"k": null}', None],
        "number": [1.5, float("nan")],
    }
)
SCHEMA = ROWS.schema.set(3, pa.field("tags", pa.string(), metadata={"type": "json"}))


def test_each_row_is_one_line() -> None:
    lines = json_lines(ROWS, SCHEMA, left_out=("_extra",)).decode().split("\n")
    assert lines == [
        '{"_time":"2026-01-31T08:00:00.000005Z","a \\"b\\"":"x\\ny\\"","exact":12.500000001,'
        '"tags":{"big":123456789012345678901234567890,"a":[1.1,2]},"_extra":{"k":null},"number":1.5}',
        '{"_time":"2026-01-31T08:00:00.000005Z","a \\"b\\"":null,"exact":12.500000001,"tags":null,"number":null}',
        "",
    ]


def test_what_is_not_left_out_is_null() -> None:
    assert json.loads(json_lines(ROWS.slice(1), SCHEMA))["_extra"] is None
