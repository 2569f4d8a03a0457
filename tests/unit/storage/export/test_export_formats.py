import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet
import pytest

from appliance.errors import UnsupportedMedia
from appliance.storage.export.formats import Format
from appliance.storage.export.write import export, export_pages

INSTANT = datetime(2026, 1, 31, 8, 0, 0, 250_000, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        pa.field("_time", pa.timestamp("us", "UTC")),
        pa.field("_seq", pa.int64()),
        pa.field("_item", pa.int32()),
        pa.field("_extra", pa.string()),
        pa.field("na\"me's", pa.string()),
        pa.field("price", pa.decimal128(38, 9)),
        pa.field("temp", pa.float64()),
        pa.field("ok", pa.bool_()),
        pa.field("tags", pa.string(), metadata={"type": "json"}),
    ]
)
ROWS = pa.table(
    [
        [INSTANT, INSTANT], [1, 2**62], [0, 0], ['{"a": [1]}', None], ['ß,"\n\u2028', ""],
        [Decimal("12345678901234567890123456789.000000001"), None], [0.1, float("inf")], [True, None],
        ['["x"]', "not JSON"],
    ],
    schema=SCHEMA,
)  # fmt: skip
EMPTY = SCHEMA.empty_table()


def whole(rows: pa.Table, format: Format) -> bytes:
    return b"".join(export(rows, format.value))


def test_json_is_an_array_of_objects() -> None:
    text = whole(ROWS, Format.JSON)
    assert json.loads(text, parse_float=Decimal) == [
        {
            "_time": "2026-01-31T08:00:00.250000Z", "_seq": 1, "_extra": {"a": [1]}, "na\"me's": 'ß,"\n\u2028',
            "price": Decimal("12345678901234567890123456789.000000001"), "temp": Decimal("0.1"), "ok": True,
            "tags": ["x"],
        },
        {
            "_time": "2026-01-31T08:00:00.250000Z", "_seq": 2**62, "_extra": None, "na\"me's": "", "price": None,
            "temp": None, "ok": None, "tags": None,
        },
    ]  # fmt: skip
    assert json.loads(whole(EMPTY, Format.JSON)) == []


def test_ndjson_is_an_object_a_line() -> None:
    lines = whole(ROWS, Format.NDJSON).split(b"\n")
    assert [json.loads(line)["_seq"] for line in lines[:-1]] == [1, 2**62]
    assert lines[-1] == b""
    assert whole(EMPTY, Format.NDJSON) == b""


def test_csv_has_a_header_and_tells_null_from_empty() -> None:
    text = whole(ROWS, Format.CSV).decode()
    header, first, second = csv.reader(io.StringIO(text, newline=""))
    assert header == ["_time", "_seq", "_extra", "na\"me's", "price", "temp", "ok", "tags"]
    assert first[0] == "2026-01-31T08:00:00.250000Z"
    assert first[3:6] == ['ß,"\n\u2028', "12345678901234567890123456789.000000001", "0.1"]
    assert second[4:7] == ["", "", ""]
    assert ',"",,,,"not JSON"\n' in text
    assert whole(EMPTY, Format.CSV).decode().count("\n") == 1


def test_parquet_and_arrow_keep_the_types() -> None:
    shown = ROWS.drop_columns(["_item"])
    assert pyarrow.parquet.read_table(io.BytesIO(whole(ROWS, Format.PARQUET))).equals(shown)
    assert pa.ipc.open_stream(whole(ROWS, Format.ARROW)).read_all().equals(shown)
    assert pyarrow.parquet.read_table(io.BytesIO(whole(EMPTY, Format.PARQUET))).num_rows == 0
    assert pa.ipc.open_stream(whole(EMPTY, Format.ARROW)).read_all().schema.equals(shown.schema)


@pytest.mark.parametrize("format", Format)
def test_pages_become_one_file_in_pieces(format: Format) -> None:
    numbers = pa.schema([pa.field("n", pa.int64())])
    taken = 0

    def pages() -> Iterator[pa.Table]:
        nonlocal taken
        for start in range(0, 100_000, 25_000):
            taken += 1
            yield pa.table([range(start, start + 25_000)], schema=numbers)

    pieces = export_pages(pages(), numbers, format)
    first = next(pieces)
    assert taken <= 1
    data = first + b"".join(pieces)
    read = {
        Format.JSON: lambda: [one["n"] for one in json.loads(data)],
        Format.NDJSON: lambda: [json.loads(line)["n"] for line in data.splitlines()],
        Format.CSV: lambda: [int(line) for line in data.splitlines()[1:]],
        Format.PARQUET: lambda: pyarrow.parquet.read_table(io.BytesIO(data))["n"].to_pylist(),
        Format.ARROW: lambda: pa.ipc.open_stream(data).read_all()["n"].to_pylist(),
    }
    assert read[format]() == list(range(100_000))


def test_an_unknown_format_is_told_with_those_there_are() -> None:
    assert Format.of("text/csv; charset=utf-8") is Format.CSV
    with pytest.raises(UnsupportedMedia, match="application/x-ndjson"):
        export(ROWS, "application/xml")


def test_suffixes() -> None:
    assert [one.suffix for one in Format] == [".json", ".ndjson", ".csv", ".parquet", ".arrows"]
