import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from appliance.components.mapper import Mapped
from appliance.domain.ledger import Outcome

Run = Callable[..., Mapped]


def computed(expr: str, kind: str = "float", **members: Any) -> dict[str, Any]:
    return {"name": "y", "expr": expr, "type": kind} | members


def reasons(answer: Mapped) -> list[tuple[str, str | None]]:
    return list(zip(answer.dead["reason"].to_pylist(), answer.dead["field"].to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("expr", "kind", "event", "wanted"),
    [
        ("(temp_f - 32) * 5 / 9", "float", {"temp_f": 50}, 10.0),
        ("(temp_f - 32) * 5 / 9", "float", {"temp_f": "50"}, 10.0),
        ("(temp_f - 32) * 5 / 9", "float", {}, None),
        ("1 / 4", "float", {}, 0.25),
        ("n // 2", "integer", {"n": 7}, 3),
        ("n % 4", "integer", {"n": 7}, 3),
        ("n ** 2 + mod(n, 4)", "integer", {"n": 7}, 52),
        ("abs(n) + sign(n) + round(n) + floor(n) + ceil(n) + trunc(n)", "float", {"n": -1.5}, 1.5 - 1 - 2 - 2 - 1 - 1),
        ("round(n, 2)", "float", {"n": 1.239}, 1.24),
        ("sqrt(n) + ln(exp(n)) + log10(100) + power(n, 2)", "float", {"n": 4}, 2 + 4 + 2 + 16.0),
        ("greatest(a, 3) + least(b, 3)", "float", {"a": 5, "b": 1}, 6.0),
        ("coalesce(a, b, 0)", "float", {"b": 2}, 2.0),
        ("nullif(a, 0)", "float", {"a": 0}, None),
        ("CASE WHEN a > 10 THEN 'hot' WHEN a > 5 THEN 'warm' ELSE 'cold' END", "string", {"a": 7}, "warm"),
        ("CASE status WHEN 'on' THEN 1 ELSE 0 END", "integer", {"status": "on"}, 1),
        ("if(a > 1, 'x', 'y')", "string", {"a": 2}, "x"),
        ("upper(a) || '-' || lower('X') || length(a)", "string", {"a": "bé"}, "BÉ-x2"),
        ("a || b", "string", {"a": "x"}, None),
        ("concat(a, b, 'z')", "string", {"a": "x"}, "xz"),
        ("trim(a) || ltrim('  l') || rtrim('r  ')", "string", {"a": " t "}, "tlr"),
        ("substring(a, 2, 3) || left(a, 1) || right(a, 1) || reverse(a)", "string", {"a": "abcd"}, "bcdaddcba"),
        ("replace(a, '-', '+')", "string", {"a": "1-2"}, "1+2"),
        ("split_part(a, '/', 2)", "string", {"a": "x/y/z"}, "y"),
        ("starts_with(a, 'x') AND contains(a, 'y') AND strpos(a, 'z') = 3", "boolean", {"a": "xyz"}, True),
        ("regexp_matches(a, '^d-[0-9]+$')", "boolean", {"a": "d-12"}, True),
        ("a LIKE 'x%' AND NOT a ILIKE '%Q' AND a IN ('xy', 'z')", "boolean", {"a": "xy"}, True),
        ("n BETWEEN 1 AND 3 AND n IS NOT NULL", "boolean", {"n": 2}, True),
        ("muted OR NOT muted", "boolean", {"muted": False}, True),
        ("cast(a as float) + 1", "float", {"a": "1.5"}, 2.5),
        ("try_cast(a as integer)", "integer", {"a": "x"}, None),
        ("a", "integer", {"a": "12"}, 12),
        ("a", "decimal", {"a": "0.5"}, Decimal("0.5")),
        ("n + 0.5", "decimal", {"n": 1}, Decimal("1.5")),
        ("extract(year from _time) + date_part('month', _time)", "integer", {}, 2035),
        ("date_trunc('hour', _time)", "string", {}, "2025-10-09 08:00:00"),
        ("strftime(_time, '%Y/%m/%d')", "string", {}, "2025/10/09"),
        ("epoch(_time)", "integer", {}, 1_760_000_000),
        ("epoch(cast(a as timestamp))", "integer", {"a": "1970-01-01T02:00:00+01:00"}, 3600),
        ("date_diff('day', cast('2025-10-01' as timestamp), _time + interval '1 day')", "integer", {}, 9),
        ("NULL", "float", {}, None),
        ("n", "json", {"n": "x"}, '"x"'),
    ],
)
def test_expressions_compute(mapped: Run, expr: str, kind: str, event: dict[str, Any], wanted: Any) -> None:
    answer = mapped({"fields": [computed(expr, kind)]}, event)
    assert answer.dead.to_pylist() == []
    assert answer.rows["y"].to_pylist() == [wanted]


def test_fields_are_computed_from_fields_in_any_order_and_case(mapped: Run) -> None:
    fields = [
        {"name": "c", "expr": "B * 2", "type": "integer"},
        {"name": "b", "expr": "a + 1", "type": "integer"},
        {"name": "a", "path": "$.deep.a", "type": "integer"},
    ]
    answer = mapped({"fields": fields}, {"deep": {"a": 3}, "a": 100})
    assert answer.rows.select(["c", "b", "a"]).to_pylist() == [{"c": 8, "b": 4, "a": 3}]
    assert answer.rows["_extra"].to_pylist() == ['{"a":100}']


def test_many_levels_do_not_grow_the_query_beyond_measure(mapped: Run) -> None:
    fields = [{"name": "x0", "path": "$.x", "type": "float"}] + [
        {"name": f"x{n}", "expr": f"x{n - 1} + x{n - 1} / 2", "type": "float"} for n in range(1, 30)
    ]
    answer = mapped({"fields": fields}, {"x": 0})
    assert answer.rows["x29"].to_pylist() == [0.0]


@pytest.mark.parametrize(
    ("expr", "kind", "event", "reason", "message"),
    [
        ("a / 0", "float", {"a": 1}, "expr", "y must be a number and a / 0 gives inf"),
        ("sqrt(a)", "float", {"a": -1}, "expr", "y must be a number and sqrt(a) gives -nan"),
        ("exp(a)", "float", {"a": 1000}, "expr", "y must be a number and exp(a) gives inf"),
        ("n * n", "integer", {"n": 2**62}, "expr", "y cannot be computed: n * n fails on this event's values"),
        ("cast(t as integer)", "integer", {"t": "x"}, "expr",
         "y cannot be computed: cast(t as integer) fails on this event's values"),
        ("a / 2", "integer", {"a": 5}, "type", "y must be a whole number of 64 bits and a / 2 gives 2.5"),
        ("t || 'x'", "float", {"t": "1"}, "type", "y must be a number and t || 'x' gives 1x"),
        ("t || 'x'", "boolean", {"t": "1"}, "type", "y must be true or false and t || 'x' gives 1x"),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_kills_its_event_only(
    mapped: Run, expr: str, kind: str, event: dict[str, Any], reason: str, message: str
) -> None:
    fields = [
        {"name": "n", "path": "$.n", "type": "integer"},
        {"name": "t", "path": "$.t", "type": "string"},
        computed(expr, kind),
    ]
    answer = mapped({"fields": fields}, {}, event, {})
    assert answer.rows["_seq"].to_pylist() == [1, 3]
    (letter,) = answer.dead.to_pylist()
    assert (letter["reason"], letter["field"], letter["message"]) == (reason, "y", message)


def test_the_values_that_went_in_are_told(mapped: Run) -> None:
    answer = mapped({"fields": [computed("cast(t as integer) + n", "integer")]}, {"t": "x", "n": 2})
    assert json.loads(answer.dead["value"][0].as_py()) == {"t": "x", "n": 2.0}


def test_a_name_that_is_there_and_no_number_is_dead(mapped: Run) -> None:
    answer = mapped({"fields": [computed("temp_f * 2", required=True)]}, {"temp_f": "warm"}, {"temp_f": None})
    assert reasons(answer) == [("type", "temp_f"), ("required", "y")]
    assert answer.dead["message"].to_pylist() == [
        "temp_f must be a number, got warm",
        "y is required and temp_f * 2 gives no value",
    ]
    assert [len(json.loads(told)) for told in answer.dead["problems"].to_pylist()] == [1, 1]


WHERE = {"fields": [{"name": "n", "path": "$.n", "type": "integer", "required": True}], "where": "status <> 'test'"}


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        ({"n": 1, "status": "ok"}, Outcome(stored=1)),
        ({"n": 1, "status": "test"}, Outcome(filtered=1)),
        ({"n": "x", "status": "test"}, Outcome(filtered=1)),
        ({"status": "test"}, Outcome(filtered=1)),
        ({"n": 1}, Outcome(filtered=1)),  # NULL <> 'test' is unknown, which counts as no
        ({"n": "x", "status": "ok"}, Outcome(dead=1)),
        (b"rubbish", Outcome(dead=1)),
    ],
)
def test_where_comes_before_the_checks(mapped: Run, event: Any, outcome: Outcome) -> None:
    assert mapped(WHERE, event).outcome == outcome


@pytest.mark.parametrize(
    ("event", "outcome", "reason"),
    [
        ({"n": 5}, Outcome(stored=1), []),
        ({"n": 0}, Outcome(filtered=1), []),
        ({"n": 11}, Outcome(filtered=1), []),  # out of its bounds, but where can judge it
        ({"n": 9}, Outcome(dead=1), [("max", "n")]),
        ({"n": "x"}, Outcome(dead=1), [("type", "n")]),
        ({}, Outcome(dead=1), [("required", "n")]),
    ],
)
def test_where_cannot_judge_by_what_cannot_be_read(
    mapped: Run, event: Any, outcome: Outcome, reason: list[tuple[str, str]]
) -> None:
    field = {"name": "n", "path": "$.n", "type": "integer", "required": True, "max": 8}
    answer = mapped({"fields": [field], "where": "n > 0 and n < 10"}, event)
    assert answer.outcome == outcome
    assert reasons(answer) == reason


def test_where_that_fails_makes_a_dead_letter(mapped: Run) -> None:
    answer = mapped({"where": "cast(a as integer) > 1"}, {"a": "2"}, {"a": "x"}, {"a": "1"}, {})
    assert answer.outcome == Outcome(stored=1, filtered=2, dead=1)
    (letter,) = answer.dead.to_pylist()
    assert (letter["seq"], letter["reason"], letter["value"]) == (2, "where", '{"a":"x"}')
    assert letter["message"] == "the condition (cast(a as integer) > 1) cannot be computed from this event's values"


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("active", [{"active": True}, {"active": "true"}]),
        ("NOT active", [{"active": False}]),
        ("active IS NULL", [{}]),
        ("level >= 3", [{"level": 3}, {"level": "4"}]),
        ("3 IN (1, level)", [{"level": 3}]),
        ('"select""; drop" = 1', [{'select"; drop': 1}]),
        ("coalesce(level, 0) = 0", [{}, {"level": 0}]),
        ("name = 'it''s'", [{"name": "it's"}]),
        ("length(name) > 2", [{"name": "abc"}]),
        ("(active)", [{"active": True}]),
        ("CASE name WHEN 'abc' THEN 1 ELSE 0 END = 1", [{"name": "abc"}]),
        ("CASE WHEN active THEN level ELSE 0 END > 2", [{"active": True, "level": 3}]),
        ("CASE level WHEN 3 THEN name ELSE 'x' END = 'abc'", [{"level": 3, "name": "abc"}]),
        ("nullif(name, 'ab') IS NOT NULL AND coalesce(level, 1) * 2 = 2", [{"name": "abc"}]),
    ],
)
def test_undeclared_names_are_read_as_they_are_used(mapped: Run, where: str, kept: list[dict[str, Any]]) -> None:
    others = [{"active": False, "level": 1, "name": "ab", 'select"; drop': 2}]
    if where == "NOT active":
        others = [{"active": True}]
    answer = mapped({"where": where}, *kept, *others)
    assert answer.rows["_seq"].to_pylist() == list(range(1, len(kept) + 1))
    assert answer.dead.num_rows == 0
