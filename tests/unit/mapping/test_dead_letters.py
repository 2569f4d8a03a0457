import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from appliance.components.mapper import Mapped
from appliance.domain.ledger import Outcome

Run = Callable[..., Mapped]

FIELDS = [
    {"name": "device", "path": "$.device", "type": "string", "required": True, "enum": ["a", "b"]},
    {"name": "temp_c", "path": "$.temp", "type": "float", "min": -80, "max": 200},
    {"name": "count", "path": "$.n", "type": "integer", "min": 1},
]


def reasons(answer: Mapped) -> list[tuple[str, str | None]]:
    return list(zip(answer.dead["reason"].to_pylist(), answer.dead["field"].to_pylist(), strict=True))


def problems(answer: Mapped) -> list[dict[str, Any]]:
    (told,) = answer.dead["problems"].to_pylist()
    found: list[dict[str, Any]] = json.loads(told)
    return found


@pytest.mark.parametrize(
    ("event", "reason", "field", "value", "message"),
    [
        (
            {"device": "a", "temp": -300}, "min", "temp_c", "-300.0",
            "temp_c must be at least -80, got -300.0",
        ),
        ({"device": "a", "temp": 201}, "max", "temp_c", "201.0", "temp_c must be at most 200, got 201.0"),
        ({"device": "a", "temp": "hot"}, "type", "temp_c", "hot", "temp_c must be a number, got hot"),
        ({"device": "a", "n": 0}, "min", "count", "0", "count must be at least 1, got 0"),
        ({"device": "c"}, "enum", "device", "c", "device must be one of a, b, got c"),
        ({"temp": 5}, "required", "device", None, "device is required and $.device is missing or null"),
        ({"device": None}, "required", "device", None, "device is required and $.device is missing or null"),
        (b"[1]", "json", None, "[1]", "the event must be a JSON object, got [1]"),
        (b"null", "json", None, "null", "the event must be a JSON object, got null"),
        (b"rubbish", "json", None, "rubbish", "the event is not readable as JSON: rubbish"),
        (b'{"a":1', "json", None, '{"a":1', 'the event is not readable as JSON: {"a":1'),
        (
            b'{"device":"a","device":"b"}', "json", None, '{"device":"a","device":"b"}',
            "the event has a key more than once, so that its value is unclear: device",
        ),
    ],
)  # fmt: skip
def test_a_dead_letter_says_what_is_wrong_and_where(
    mapped: Run, event: Any, reason: str, field: str | None, value: str | None, message: str
) -> None:
    answer = mapped({"fields": FIELDS}, {"device": "a"}, event, {"device": "b"})
    assert answer.rows["_seq"].to_pylist() == [1, 3]
    assert answer.outcome == Outcome(stored=2, dead=1)
    (letter,) = answer.dead.to_pylist()
    assert json.loads(letter.pop("problems")) == [
        {"reason": reason, "field": field, "value": value, "message": message}
    ]
    assert letter == {
        "seq": 2,
        "item": 0,
        "reason": reason,
        "field": field,
        "value": value,
        "message": message,
        "received_at": datetime(2025, 10, 9, 8, 53, 20, tzinfo=UTC),
        "version": 3,
    }


def test_all_problems_of_an_event_are_told_and_the_first_stands_in_the_columns(mapped: Run) -> None:
    answer = mapped({"fields": FIELDS, "time": {"path": "$.ts"}}, {"temp": 1e9, "n": "x", "ts": "soon"})
    assert [(problem["reason"], problem["field"]) for problem in problems(answer)] == [
        ("time", "_time"), ("required", "device"), ("max", "temp_c"), ("type", "count"),
    ]  # fmt: skip
    assert reasons(answer) == [("time", "_time")]


def test_long_values_are_shortened(mapped: Run) -> None:
    answer = mapped({"fields": FIELDS}, {"device": "x" * 1000})
    (problem,) = problems(answer)
    assert problem["value"] == "x" * 256
    assert problem["message"] == f"device must be one of a, b, got {'x' * 80}…"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b'{"device":"\xff"}', '{"device":"\x1a"}'),
        (b'{"device":"\\\xff"}', '{"device":"\\\x1a"}'),
        (b"\xed\xa0\x80", "\x1a\x1a\x1a"),
        (b'{"device":"\\ud800"}', '{"device":"\\ud800"}'),
        (b'{"device":"a\tb"}', '{"device":"a\tb"}'),
        (b'{"device":"a"} {}', '{"device":"a"} {}'),
        (b"\xef\xbb\xbf{}", "\ufeff{}"),
        (b"", ""),
    ],
)
def test_what_is_no_json_text_is_dead_and_its_neighbours_are_not(mapped: Run, line: bytes, shown: str) -> None:
    answer = mapped({"fields": FIELDS}, "größe".encode().join([b'{"device":"a","x":"', b'"}']), line, {"device": "b"})
    assert answer.rows["_seq"].to_pylist() == [1, 3]
    assert answer.rows["_extra"].to_pylist() == ['{"x":"größe"}', None]
    assert reasons(answer) == [("json", None)]
    assert answer.dead["value"].to_pylist() == [shown]


@pytest.mark.parametrize("shape", [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000])
def test_depth_bombs_are_rows_or_dead_letters(mapped: Run, shape: bytes) -> None:
    answer = mapped(
        {"fields": FIELDS}, {"device": "a"}, b'{"device":"b","deep":' + shape + b"}", shape, {"device": "a"}
    )
    assert answer.rows["_seq"].to_pylist() == [1, 2, 4]
    assert answer.dead["seq"].to_pylist() == [3]


def test_line_ends_of_other_systems_and_unicode_are_no_ends_of_events(mapped: Run) -> None:
    answer = mapped({"fields": FIELDS}, b'{"device":"a"}\r', '{"device":"b","x":"\u2028\u0085"}'.encode())
    assert answer.rows["device"].to_pylist() == ["a", "b"]
    assert answer.rows["_extra"].to_pylist() == [None, '{"x":"\u2028\u0085"}']


def test_keys_that_come_twice_are_found_once_known_and_again(mapped: Run) -> None:
    twice, once = b'{"device":"a","zz":1,"zz":2}', b'{"device":"a","zz":1,"zy":2}'
    for _ in range(2):
        answer = mapped({"fields": FIELDS}, once, twice, b'{"device":"a","x":{"y":1,"y":2}}')
        assert answer.rows["_seq"].to_pylist() == [1, 3]
        assert reasons(answer) == [("json", None)]


def test_a_path_to_nowhere_reads_nothing(mapped: Run) -> None:
    field = {"name": "n", "path": "$.a.b[3].c", "type": "integer"}
    answer = mapped({"fields": [field]}, {"a": 5}, {"a": {"b": [1]}}, {"a": {"b": [0, 0, 0, {"c": 7}]}})
    assert answer.rows["n"].to_pylist() == [None, None, 7]
    answer = mapped({"fields": [field | {"required": True}]}, {"a": 5})
    assert reasons(answer) == [("required", "n")]


def test_any_key_can_be_read(mapped: Run) -> None:
    keys = ['select"; drop', "it's", "a/b~c", "", "0", "null"]
    fields = [
        {"name": f"f{n}", "path": f'$["{key}"]'.replace('$["select"', '$["select\\"'), "type": "string"}
        for n, key in enumerate(keys)
    ]
    answer = mapped({"fields": fields}, {key: f"value {n}" for n, key in enumerate(keys)})
    assert [answer.rows[f"f{n}"][0].as_py() for n in range(6)] == [f"value {n}" for n in range(6)]
    assert answer.rows["_extra"].to_pylist() == [None]


def test_limits_are_inclusive_and_exact(mapped: Run) -> None:
    fields = [
        {"name": "f", "path": "$.f", "type": "float", "min": 0.1, "max": 0.3},
        {"name": "d", "path": "$.d", "type": "decimal", "max": 0.1},
        {"name": "n", "path": "$.n", "type": "integer", "max": 2**53},
        {"name": "e", "path": "$.e", "type": "decimal", "enum": [0.1, 2]},
        {"name": "b", "path": "$.b", "type": "boolean", "enum": [True]},
        {"name": "s", "path": "$.s", "type": "string", "enum": ["it's"]},
    ]
    good = {"f": 0.1, "d": "0.1", "n": 2**53, "e": "2.0", "b": True, "s": "it's"}
    answer = mapped(
        {"fields": fields},
        good,
        {"f": 0.09999999999999999},
        {"d": "0.100000001"},
        {"n": 2**53 + 1},
        {"e": "0.100000001"},
        {"b": False},
        {"s": "its"},
        {},
    )
    assert answer.rows["_seq"].to_pylist() == [1, 8]
    assert reasons(answer) == [("min", "f"), ("max", "d"), ("max", "n"), ("enum", "e"), ("enum", "b"), ("enum", "s")]


def test_the_tables_have_the_agreed_shape(mapped: Run) -> None:
    kinds = ["string", "integer", "float", "decimal", "boolean", "timestamp", "json"]
    fields = [{"name": kind, "path": f"$.{kind}", "type": kind} for kind in kinds]
    instant = pa.timestamp("us", tz="UTC")
    rows = pa.schema(
        [
            ("_time", instant), ("_seq", pa.int64()), ("_item", pa.int32()), ("_key", pa.binary(16)),
            ("_extra", pa.string()), ("string", pa.string()), ("integer", pa.int64()), ("float", pa.float64()),
            ("decimal", pa.decimal128(38, 9)), ("boolean", pa.bool_()), ("timestamp", instant), ("json", pa.string()),
        ]
    )  # fmt: skip
    dead = pa.schema(
        [
            ("seq", pa.int64()), ("item", pa.int32()), ("reason", pa.string()), ("field", pa.string()),
            ("value", pa.string()), ("message", pa.string()), ("problems", pa.string()), ("received_at", instant),
            ("version", pa.int32()),
        ]
    )  # fmt: skip
    for event in ({"string": "x", "integer": 1}, b"rubbish"):
        answer = mapped({"fields": fields, "key": ["string"]}, event)
        assert answer.rows.schema == rows
        assert answer.dead.schema == dead
