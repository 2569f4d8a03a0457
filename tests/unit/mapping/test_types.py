from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from appliance.mapping.mapper import Mapper
from appliance.mapping.sandbox import result_types

Read = Callable[[str, Any], Any]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (5, 5),
        (-0, 0),
        ("5", 5),
        ("+5", 5),
        ("007", 7),
        (b"5.0", 5),
        ("5.000", 5),
        (b"1e3", 1000),
        ("15e1", 150),
        ("15e-1", "!type"),
        ("1e-30", "!type"),
        (b"9223372036854775807", 9223372036854775807),
        ("9223372036854775807.0", 9223372036854775807),
        (b"-9223372036854775808", -9223372036854775808),
        (b"9223372036854775808", "!type"),
        (b"123456789012345678901234567890", "!type"),
        (9007199254740993, 9007199254740993),
        (b"1e400", "!type"),
        (5.7, "!type"),
        ("5.7", "!type"),
        ("0x10", "!type"),
        ("0b1", "!type"),
        ("1_000", "!type"),
        ("1,000", "!type"),
        (" 5", "!type"),
        ("5 ", "!type"),
        ("5\n", "!type"),
        ("", "!type"),
        (".5", "!type"),
        ("5.", "!type"),
        ("١٢", "!type"),
        ("NaN", "!type"),
        (True, "!type"),
        ([5], "!type"),
        ({"a": 5}, "!type"),
        (None, None),
    ],
)
def test_integers_are_whole_numbers_of_64_bits(read: Read, given: Any, wanted: Any) -> None:
    assert read("integer", given) == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (5, 5.0),
        (0.1, 0.1),
        ("-1.5e-3", -0.0015),
        (b"1e308", 1e308),
        (b"123456789012345678901234567890", 1.2345678901234568e29),
        (b"1e400", "!type"),
        ("1e400", "!type"),
        ("NaN", "!type"),
        ("inf", "!type"),
        ("-Infinity", "!type"),
        (b"NaN", "!type"),
        (b"Infinity", "!type"),
        ("1_0.5", "!type"),
        ("0x1p3", "!type"),
        (" 1.5", "!type"),
        ("1,5", "!type"),
        ("abc", "!type"),
        ("", "!type"),
        (False, "!type"),
        (None, None),
    ],
)
def test_floats_are_finite_numbers(read: Read, given: Any, wanted: Any) -> None:
    assert read("float", given) == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("12345678901234567890.123456789", Decimal("12345678901234567890.123456789")),
        ("0.1234567894", Decimal("0.123456789")),
        (12, Decimal(12)),
        (1.25, Decimal("1.25")),
        ("1e3", Decimal(1000)),
        ("1" * 29, Decimal("1" * 29)),
        ("1" * 30, "!type"),
        ("NaN", "!type"),
        ("1_0", "!type"),
        (None, None),
    ],
)
def test_decimals_keep_nine_digits_after_the_point(read: Read, given: Any, wanted: Any) -> None:
    assert read("decimal", given) == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (True, True),
        (False, False),
        ("true", True),
        ("false", False),
        ("True", "!type"),
        ("t", "!type"),
        ("yes", "!type"),
        (1, "!type"),
        (0, "!type"),
        ("", "!type"),
        (None, None),
    ],
)
def test_booleans_are_true_or_false(read: Read, given: Any, wanted: Any) -> None:
    assert read("boolean", given) == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("abc", "abc"),
        ("", ""),
        ("null", "null"),
        ("x\u0000y", "x\u0000y"),
        ("line\u2028break", "line\u2028break"),
        ("größe 温度 🔥", "größe 温度 🔥"),
        (5, "5"),
        (b"1.10", "1.1"),
        (b"123456789012345678901234567890", "123456789012345678901234567890"),
        (True, "true"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        ([], "[]"),
        (None, None),
    ],
)
def test_strings_take_the_text_of_any_value(read: Read, given: Any, wanted: Any) -> None:
    assert read("string", given) == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("abc", '"abc"'), (5, "5"), ({"a": None}, '{"a":null}'), ("null", '"null"'), ([], "[]"), (None, None)],
)
def test_json_keeps_the_value_as_json(read: Read, given: Any, wanted: Any) -> None:
    assert read("json", given) == wanted


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("2026-01-02T03:04:05Z", at(2026, 1, 2, 3, 4, 5)),
        ("2026-01-02t03:04:05z", at(2026, 1, 2, 3, 4, 5)),
        ("2026-01-02 03:04:05.123456789+02:00", at(2026, 1, 2, 1, 4, 5, 123456)),
        ("2026-01-02T03:04:05-0130", at(2026, 1, 2, 4, 34, 5)),
        ("2026-01-02T03:04:05+02", at(2026, 1, 2, 1, 4, 5)),
        ("2026-01-02T03:04", at(2026, 1, 2, 3, 4)),
        ("2026-01-02", at(2026, 1, 2)),
        ("1900-01-01", at(1900, 1, 1)),
        ("2199-12-31T23:59:59Z", at(2199, 12, 31, 23, 59, 59)),
        (0, at(1970, 1, 1)),
        (-1, at(1969, 12, 31, 23, 59, 59)),
        (1767323045, at(2026, 1, 2, 3, 4, 5)),  # s
        ("1767323045", at(2026, 1, 2, 3, 4, 5)),
        (1767323045.25, at(2026, 1, 2, 3, 4, 5, 250000)),
        (b"1.767323045e9", at(2026, 1, 2, 3, 4, 5)),
        (1767323045123, at(2026, 1, 2, 3, 4, 5, 123000)),  # ms
        (1767323045123456, at(2026, 1, 2, 3, 4, 5, 123456)),  # µs
        (1767323045123456789, at(2026, 1, 2, 3, 4, 5, 123456)),  # ns
        ("1899-12-31T23:59:59Z", "!type"),
        ("2200-01-01", "!type"),
        (9999999999, "!type"),  # the year 2286 in seconds, too little for milliseconds
        (10**19, "!type"),
        ("2026-02-30", "!type"),
        ("2026-13-01", "!type"),
        ("2026-01-02T24:00:00Z", "!type"),
        ("2026-01-02T03:04:05+99:00", "!type"),
        ("2026-01-02T03:04:05 Europe/Berlin", "!type"),
        ("2026-1-2", "!type"),
        ("20260102", at(1970, 8, 23, 11, 48, 22)),  # a number of seconds
        ("epoch", "!type"),
        ("infinity", "!type"),
        ("yesterday", "!type"),
        (" 2026-01-02", "!type"),
        ("", "!type"),
        (True, "!type"),
        (None, None),
    ],
)
def test_timestamps_are_iso_or_counted_since_1970(read: Read, given: Any, wanted: Any) -> None:
    assert read("timestamp", given) == wanted


@pytest.mark.parametrize(
    ("form", "given", "wanted"),
    [
        ("rfc3339", "2026-01-02T03:04:05Z", at(2026, 1, 2, 3, 4, 5)),
        ("rfc3339", "2026-01-02", None),
        ("rfc3339", 1767323045, None),
        ("unix_s", 1767323045, at(2026, 1, 2, 3, 4, 5)),
        ("unix_s", "1767323045.5", at(2026, 1, 2, 3, 4, 5, 500000)),
        ("unix_s", 1767323045123, None),
        ("unix_s", "2026-01-02", None),
        ("unix_ms", 86400000, at(1970, 1, 2)),
        ("unix_ms", 1767323045123.5, at(2026, 1, 2, 3, 4, 5, 123500)),
        ("unix_us", 1767323045123456, at(2026, 1, 2, 3, 4, 5, 123456)),
        ("unix_ns", 1767323045123456789, at(2026, 1, 2, 3, 4, 5, 123456)),
        ("unix_ns", "1767323045123456789", at(2026, 1, 2, 3, 4, 5, 123456)),
        ("unix_ns", "NaN", None),
        ("%d.%m.%Y %H:%M", "02.01.2026 03:04", at(2026, 1, 2, 3, 4)),
        ("%d.%m.%Y %H:%M %z", "02.01.2026 03:04 +0200", at(2026, 1, 2, 1, 4)),
        ("it's %Y-%m-%d", "it's 2026-01-02", at(2026, 1, 2)),
        ("%d.%m.%Y", "2026-01-02", None),
        ("%d.%m.%Y", "01.01.1850", None),
        ("%d.%m.%Y", "epoch", None),
    ],
)
def test_the_events_time_is_read_by_its_format(
    mapped: Callable[..., Any], form: str, given: Any, wanted: datetime | None
) -> None:
    answer = mapped({"time": {"path": "$.ts", "format": form}}, {"ts": given})
    assert answer.rows["_time"].to_pylist() == ([wanted] if wanted else [])
    assert answer.dead["reason"].to_pylist() == ([] if wanted else ["time"])


@pytest.mark.parametrize("event", [{}, {"ts": None}, {"ts": {}}])
def test_without_a_time_the_moment_of_receipt_counts(mapped: Callable[..., Any], event: dict[str, Any]) -> None:
    answer = mapped({"time": {"path": "$.ts.at"}}, event)
    assert answer.rows["_time"].to_pylist() == [at(2025, 10, 9, 8, 53, 20)]


def test_types_of_a_formula_are_asked_of_the_mappers_database_or_of_an_own_one_after_it_closed() -> None:
    mapper = Mapper()
    assert result_types("a + 1, b || 'x'", {"a": "INTEGER", "b": "VARCHAR"}) == ["INTEGER", "VARCHAR"]
    mapper.close()
    assert result_types("a / 2", {"a": "INTEGER"}) == ["DOUBLE"]
