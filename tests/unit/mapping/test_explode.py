import json
from collections.abc import Callable
from typing import Any

from appliance.components.mapper import Mapped
from appliance.domain.event import Frame
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import Mapping
from appliance.mapping import Mapper, compile_mapping

Run = Callable[..., Mapped]

READINGS: dict[str, Any] = {
    "explode": "$.readings",
    "fields": [
        {"name": "device", "path": "$.device", "type": "string", "required": True},
        {"name": "temp", "path": "$.readings.temp", "type": "integer", "required": True},
    ],
}


def rows(answer: Mapped, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in ("_seq", "_item", *names)) for row in answer.rows.to_pylist()]


def test_each_element_is_a_row_with_its_place(mapped: Run) -> None:
    answer = mapped(
        READINGS,
        {"device": "a", "readings": [{"temp": 1}, {"temp": 2}]},
        {"device": "b", "readings": [{"temp": 3}]},
    )
    assert rows(answer, "device", "temp") == [(1, 0, "a", 1), (1, 1, "a", 2), (2, 0, "b", 3)]
    assert answer.outcome == Outcome(stored=2)


def test_events_without_elements_are_filtered(mapped: Run) -> None:
    answer = mapped(READINGS, {"device": "a", "readings": []}, {"device": "b"}, {"readings": None}, {"device": None})
    assert answer.outcome == Outcome(filtered=4)
    assert answer.rows.num_rows == answer.dead.num_rows == 0


def test_what_is_no_array_is_dead(mapped: Run) -> None:
    answer = mapped(READINGS, {"device": "a", "readings": {"temp": 1}}, {"readings": 5}, [1], b"x")
    assert answer.dead.select(["seq", "item", "reason", "value"]).to_pylist() == [
        {"seq": 1, "item": 0, "reason": "explode", "value": '{"temp":1}'},
        {"seq": 2, "item": 0, "reason": "explode", "value": "5"},
        {"seq": 3, "item": 0, "reason": "json", "value": "[1]"},
        {"seq": 4, "item": 0, "reason": "json", "value": "x"},
    ]
    assert answer.dead["message"][0].as_py() == '$.readings must be an array to make rows of, got {"temp":1}'


def test_a_bad_element_is_a_dead_letter_and_the_others_are_rows(mapped: Run) -> None:
    answer = mapped(
        READINGS,
        {"device": "a", "readings": [{"temp": 1}, {"temp": "x"}, 7, None, {"temp": 2}]},
        {"device": "b", "readings": [{"temp": 3}]},
    )
    assert rows(answer, "temp") == [(1, 0, 1), (1, 4, 2), (2, 0, 3)]
    assert answer.dead.select(["seq", "item", "reason"]).to_pylist() == [
        {"seq": 1, "item": 1, "reason": "type"},
        {"seq": 1, "item": 2, "reason": "required"},
        {"seq": 1, "item": 3, "reason": "required"},
    ]
    assert answer.outcome == Outcome(stored=1, dead=1)


def test_where_sees_each_element(mapped: Run) -> None:
    mapping = READINGS | {"where": "temp > 1 and site = 'x'"}
    answer = mapped(
        mapping,
        {"device": "a", "site": "x", "readings": [{"temp": 1}, {"temp": 2}]},
        {"device": "a", "site": "y", "readings": [{"temp": 2}]},
    )
    assert rows(answer, "temp") == [(1, 1, 2)]
    assert answer.outcome == Outcome(stored=1, filtered=1)


def test_elements_that_are_values_are_read_by_the_path_itself(mapped: Run) -> None:
    mapping = {"explode": "$.n", "fields": [{"name": "n", "path": "$.n", "type": "integer"}]}
    answer = mapped(mapping, {"n": [1, None, "3"], "x": 1})
    assert rows(answer, "n", "_extra") == [(1, 0, 1, '{"x":1}'), (1, 1, None, '{"x":1}'), (1, 2, 3, '{"x":1}')]


def test_time_and_key_may_come_from_the_element(mapped: Run) -> None:
    mapping = READINGS | {"time": {"path": "$.readings.ts"}, "key": ["device", "temp"]}
    answer = mapped(mapping, {"device": "a", "readings": [{"temp": 1, "ts": 60}, {"temp": 1, "ts": 120}]})
    assert [at.timestamp() for at in answer.rows["_time"].to_pylist()] == [60, 120]
    first, second = answer.rows["_key"].to_pylist()
    assert first == second


def test_what_is_left_of_event_and_element_is_kept_together(mapped: Run) -> None:
    answer = mapped(
        READINGS,
        {"device": "a", "m": {"n": None}, "readings": [{"temp": 1, "u": None}, {"temp": 2}]},
        {"device": "b", "readings": [{"temp": 3, "v": [1]}, {"temp": 4}]},
    )
    assert [json.loads(text or "null") for text in answer.rows["_extra"].to_pylist()] == [
        {"m": {"n": None}, "readings": {"u": None}},
        {"m": {"n": None}},
        {"readings": {"v": [1]}},
        None,
    ]


def test_a_deeper_array_stands_under_its_path(mapped: Run) -> None:
    mapping = {"explode": "$.a[0].list", "fields": [{"name": "x", "path": "$.a[0].list.x", "type": "integer"}]}
    answer = mapped(mapping, {"a": [{"list": [{"x": 1, "y": 2}]}], "b": 3})
    assert rows(answer, "x", "_extra") == [(1, 0, 1, '{"b":3,"a[0].list":{"y":2}}')]


def test_reject_looks_at_event_and_elements(mapped: Run) -> None:
    mapping = READINGS | {"unmapped": "reject"}
    answer = mapped(
        mapping,
        {"device": "a", "readings": [{"temp": 1}, {"temp": 2, "u": 1}]},
        {"device": "b", "readings": [{"temp": 3}], "m": 1},
    )
    assert rows(answer, "temp") == [(1, 0, 1)]
    assert answer.dead["value"].to_pylist() == ['{"readings":{"u":1}}', '{"m":1}']


def test_an_event_that_is_an_array_is_exploded_by_the_root(mapped: Run) -> None:
    mapping = {"explode": "$", "fields": [{"name": "x", "path": "$.x", "type": "integer"}], "where": "y > 0"}
    answer = mapped(mapping, [{"x": 1, "y": 1, "z": 2}, {"x": 2, "y": 0}], {"x": 3, "y": 1}, [])
    assert rows(answer, "x", "_extra") == [(1, 0, 1, '{"z":2}')]
    assert answer.outcome == Outcome(stored=1, dead=1, filtered=1)


def test_events_that_would_repeat_too_much_are_dead(mapped: Run) -> None:
    mapping = {"explode": "$.n", "fields": [{"name": "n", "path": "$.n", "type": "integer"}]}
    event = {"n": [0] * 2_000, "x": "y" * 10_000}  # 20 MB of _extra from 14 kB
    answer = mapped(mapping, event, {"n": [1]})
    assert rows(answer, "n") == [(2, 0, 1)]
    assert answer.dead["reason"].to_pylist() == ["limit"]
    assert answer.dead["message"].to_pylist() == [
        "the event has 2000 elements in $.n and each row would repeat 10008 bytes from around them,"
        " which is too much for one event"
    ]
    assert mapped(mapping | {"unmapped": "drop"}, event).rows.num_rows == 2_000
    copied = mapping | {"unmapped": "drop", "fields": [{"name": "x", "path": "$.x", "type": "string"}]}
    assert mapped(copied, event).dead["reason"].to_pylist() == ["limit"]


def test_a_million_elements_are_the_most(mapped: Run) -> None:
    mapping = {"explode": "$.n", "unmapped": "drop"}
    answer = mapped(mapping, b'{"n":[' + b",".join([b"0"] * 1_000_001) + b"]}", {"n": [1]})
    assert answer.outcome == Outcome(stored=1, dead=1)


def test_a_batch_with_very_many_rows_is_mapped_in_parts(mapper: Mapper, frame: Callable[..., Frame]) -> None:
    compiled = compile_mapping(Mapping(explode="$.n"))
    frames = [frame({"n": [0] * 500_000}, {"n": [1] * 500_000}, first_seq=seq) for seq in (1, 3, 5)]
    first = mapper.run(compiled, frames)
    assert (first.first_seq, first.last_seq) == (1, 5)  # 13 MB of rows each, 64 MiB are enough
    assert first.rows.num_rows == 2_500_000
    assert first.outcome == Outcome(stored=5)
    rest = mapper.run(compiled, frames[2:])
    assert (rest.first_seq, rest.last_seq, rest.outcome) == (5, 6, Outcome(stored=2))


def test_a_large_array_takes_linear_time(mapped: Run) -> None:
    mapping = {"explode": "$.n", "fields": [{"name": "n", "path": "$.n", "type": "integer"}]}
    answer = mapped(mapping, {"n": list(range(100_000)), "x": "y" * 1000})
    assert answer.rows.num_rows == 100_000
    assert answer.rows["_item"][99_999].as_py() == answer.rows["n"][99_999].as_py() == 99_999
    assert answer.outcome == Outcome(stored=1)
