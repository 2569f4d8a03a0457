import json
from collections.abc import Callable
from typing import Any

import pytest

from appliance.components.mapper import Mapped

Run = Callable[..., Mapped]


def path(name: str, at: str, kind: str = "string") -> dict[str, Any]:
    return {"name": name, "path": at, "type": kind}


def extra(answer: Mapped) -> list[Any]:
    return [None if text is None else json.loads(text) for text in answer.rows["_extra"].to_pylist()]


def test_keep_holds_what_nothing_reads(mapped: Run) -> None:
    mapping = {"fields": [path("a", "$.a")], "time": {"path": "$.ts"}, "where": "n > 0", "key": ["k"]}
    answer = mapped(mapping, {"a": 1, "ts": 5, "n": 1, "k": "x", "b": None, "c": {"d": [1]}}, {"n": 1, "k": 2})
    assert extra(answer) == [{"b": None, "c": {"d": [1]}}, None]


def test_without_fields_the_whole_event_is_kept(mapped: Run) -> None:
    assert extra(mapped({}, {"a": 1}, {}, b' {"n": 1.10, "big": 123456789012345678901234567890}')) == [
        {"a": 1},
        None,
        {"n": 1.1, "big": 123456789012345678901234567890},
    ]


def test_nested_members_are_removed_one_by_one(mapped: Run) -> None:
    fields = [path("x", "$.s.x"), path("y", "$.s.deep.y"), path("z", "$.t.z")]
    answer = mapped(
        {"fields": fields},
        {"s": {"x": 1, "deep": {"y": 2}}, "t": {"z": 3}},
        {"s": {"x": 1, "deep": {"y": 2, "n": None}, "w": 4}, "t": {"z": 3, "v": []}, "u": 5},
        {"s": 5, "t": [1]},
        {"s": {"deep": "text"}, "t": None},
        {"s": {"deep": {}}, "t": {}},
        {},
    )
    assert extra(answer) == [
        None,
        {"s": {"deep": {"n": None}, "w": 4}, "t": {"v": []}, "u": 5},
        {"s": 5, "t": [1]},
        {"s": {"deep": "text"}, "t": None},
        None,
        None,
    ]


def test_an_array_of_which_places_are_read_stays_whole(mapped: Run) -> None:
    fields = [path("a", "$.list[0]"), path("b", "$.s.list[1].x")]
    answer = mapped({"fields": fields}, {"list": [1, 2], "s": {"list": [0, {"x": 1}]}})
    assert extra(answer) == [{"list": [1, 2], "s": {"list": [0, {"x": 1}]}}]


def test_a_part_of_what_is_read_whole_is_not_kept(mapped: Run) -> None:
    for fields in ([path("s", "$.s", "json"), path("x", "$.s.x")], [path("x", "$.s.x"), path("s", "$.s", "json")]):
        assert extra(mapped({"fields": fields}, {"s": {"x": 1, "y": 2}})) == [None]
    assert extra(mapped({"fields": [path("all", "$", "json")]}, {"s": 1})) == [None]


def test_names_with_odd_characters_are_removed_too(mapped: Run) -> None:
    fields = [path("a", '$["it\'s \\"x\\""]'), path("b", '$["größe"]["a/b"]')]
    answer = mapped({"fields": fields}, {'it\'s "x"': 1, "größe": {"a/b": 2, "c": 3}})
    assert extra(answer) == [{"größe": {"c": 3}}]


def test_drop_drops(mapped: Run) -> None:
    assert extra(mapped({"fields": [path("a", "$.a")], "unmapped": "drop"}, {"a": 1, "b": 2})) == [None]


def test_reject_makes_dead_letters_of_what_nothing_reads(mapped: Run) -> None:
    fields = [path("a", "$.a"), path("x", "$.s.x"), path("l", "$.list[0]")]
    answer = mapped(
        {"fields": fields, "unmapped": "reject"},
        {"a": 1, "s": {"x": 1}, "list": [1, 2]},
        {"a": 1, "b": 2, "s": {"x": 1, "y": 2}},
        b"rubbish",
    )
    assert answer.rows["_seq"].to_pylist() == [1]
    assert extra(answer) == [None]
    assert answer.dead["reason"].to_pylist() == ["unmapped", "json"]
    assert answer.dead["value"][0].as_py() == '{"b":2,"s":{"y":2}}'
    assert answer.dead["message"][0].as_py() == "the event has keys that no field reads: b, s"


@pytest.mark.parametrize("unmapped", ["keep", "drop", "reject"])
def test_where_decides_before_unmapped(mapped: Run, unmapped: str) -> None:
    answer = mapped({"where": "a = 1", "unmapped": unmapped}, {"a": 2, "b": 3})
    assert answer.outcome.filtered == 1


def test_events_that_are_arrays_can_be_read_by_place(mapped: Run) -> None:
    answer = mapped({"fields": [path("first", "$[0]")]}, [1, 2], {"0": "zero", "b": 1}, b"null")
    assert answer.rows["first"].to_pylist() == ["1", "zero", None]
    assert extra(answer) == [[1, 2], {"0": "zero", "b": 1}, None]
