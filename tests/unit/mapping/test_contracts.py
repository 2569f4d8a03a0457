"""What becomes of events that differ from the mapping, under each contract."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from appliance.components.mapper import Mapped
from appliance.domain.event import Frame
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import Mapping
from appliance.mapping import Mapper, check, compile_mapping

Run = Callable[..., Mapped]
FIELDS = [
    {"name": "device", "path": "$.device", "type": "string", "required": True},
    {"name": "temp_c", "path": "$.temp", "type": "float", "max": 200},
    {"name": "count", "path": "$.n", "type": "integer"},
]
HOT = {"device": "a", "temp": "hot", "n": 1, "fw": "1.2"}


def by(contract: str, **more: Any) -> dict[str, Any]:
    return {"fields": FIELDS, "contract": contract, **more}


def extras(answer: Mapped) -> list[Any]:
    return [json.loads(text) if text is not None else None for text in answer.rows["_extra"].to_pylist()]


def problems(answer: Mapped) -> list[tuple[str, str | None, str]]:
    told = [problem for text in answer.dead["problems"].to_pylist() for problem in json.loads(text)]
    return [(one["reason"], one["field"], one["message"]) for one in told]


def test_evolve_keeps_what_is_new_and_what_does_not_fit(mapped: Run) -> None:
    answer = mapped(by("evolve"), HOT, {"device": "b", "temp": 20.5}, {"device": "c", "temp": {"c": 7}, "n": [1]})
    assert answer.rows.select(["device", "temp_c", "count"]).to_pylist() == [
        {"device": "a", "temp_c": None, "count": 1},
        {"device": "b", "temp_c": 20.5, "count": None},
        {"device": "c", "temp_c": None, "count": None},
    ]
    assert extras(answer) == [
        {"fw": "1.2", "_variant": {"temp_c": "hot"}},
        None,
        {"_variant": {"temp_c": {"c": 7}, "count": [1]}},
    ]
    assert answer.outcome == Outcome(stored=3)


def test_discard_value_forgets_what_is_new_and_keeps_what_does_not_fit(mapped: Run) -> None:
    answer = mapped(by("discard_value"), HOT, {"device": "b", "temp": 20.5, "fw": "1.3"})
    assert answer.rows["temp_c"].to_pylist() == [None, 20.5]
    assert extras(answer) == [{"_variant": {"temp_c": "hot"}}, None]


def test_discard_row_makes_a_dead_letter_that_names_the_contract(mapped: Run) -> None:
    answer = mapped(by("discard_row"), HOT, {"device": "b", "temp": 20.5})
    assert answer.rows["device"].to_pylist() == ["b"]
    assert extras(answer) == [None]
    assert answer.dead["reason"].to_pylist() == ["contract"]
    assert problems(answer) == [
        ("contract", "temp_c", "temp_c must be a number, got hot"),
        ("contract", None, "the event has keys that no field reads: fw"),
    ]
    assert answer.outcome == Outcome(stored=1, dead=1)


def test_freeze_stops_before_the_first_event_that_differs(mapped: Run) -> None:
    good, dead = {"device": "a"}, {"device": "b", "temp": 300}
    answer = mapped(by("freeze"), good, dead, good, {"device": "c", "fw": "1.2"}, good, {"temp": 1})
    assert (answer.first_seq, answer.last_seq) == (1, 3)
    assert answer.rows["_seq"].to_pylist() == [1, 3]
    assert answer.dead["seq"].to_pylist() == [2]
    assert answer.outcome == Outcome(stored=2, dead=1)
    assert answer.stopped == (
        "event 4 differs from the mapping and its contract is 'freeze': the event has keys that no field reads: fw"
    )


def test_freeze_can_stop_before_the_very_first(mapped: Run) -> None:
    answer = mapped(by("freeze"), HOT, {"device": "b"})
    assert (answer.first_seq, answer.last_seq, answer.outcome) == (1, 0, Outcome())
    assert (answer.rows.num_rows, answer.dead.num_rows) == (0, 0)
    assert answer.stopped is not None
    assert "temp_c must be a number, got hot" in answer.stopped


def test_freeze_maps_everything_while_nothing_differs(mapped: Run) -> None:
    answer = mapped(by("freeze"), {"device": "a", "temp": 1, "n": 2}, {"device": "b"})
    assert (answer.rows.num_rows, answer.last_seq, answer.stopped) == (2, 2, None)


def test_freeze_stops_at_an_element_and_leaves_its_whole_event(mapped: Run) -> None:
    fields = [{"name": "v", "path": "$.list.v", "type": "integer"}]
    events = [{"list": [{"v": 1}]}, {"list": [{"v": 2}, {"v": "x"}]}, {"list": [{"v": 3}]}]
    answer = mapped({"fields": fields, "explode": "$.list", "contract": "freeze"}, *events)
    assert (answer.rows["v"].to_pylist(), answer.last_seq, answer.outcome) == ([1], 1, Outcome(stored=1))
    assert answer.stopped is not None


@pytest.mark.parametrize("contract", ["evolve", "freeze", "discard_row", "discard_value"])
def test_what_no_row_can_do_without_is_a_dead_letter_under_every_contract(mapped: Run, contract: str) -> None:
    fields = [
        {"name": "a", "path": "$.a", "type": "integer", "required": True},
        {"name": "k", "path": "$.k", "type": "integer"},
        {"name": "half", "expr": "whole / 2", "type": "float", "required": True},
    ]
    document = {"fields": fields, "key": ["k"], "where": "seen > 0", "time": {"path": "$.ts"}, "contract": contract}
    good = {"a": 1, "k": 2, "whole": 4, "seen": 1, "ts": 5}
    answer = mapped(document, good, *({**good, name: "x"} for name in ("a", "k", "whole", "seen", "ts")))
    assert answer.rows["_seq"].to_pylist() == [1]
    assert answer.dead["reason"].to_pylist() == ["type", "type", "type", "type", "time"]
    assert (answer.outcome, answer.stopped) == (Outcome(stored=1, dead=5), None)


@pytest.mark.parametrize("contract", ["evolve", "freeze", "discard_row", "discard_value"])
def test_events_that_nobody_wants_may_differ(mapped: Run, contract: str) -> None:
    answer = mapped(by(contract, where="device <> 'test'"), {"device": "test", "temp": "x", "fw": 1}, {"device": "a"})
    assert (answer.outcome, answer.stopped) == (Outcome(stored=1, filtered=1), None)


def test_computed_values_and_names_in_expressions_are_kept_too(mapped: Run) -> None:
    fields = [
        {"name": "c", "expr": "(temp_f - 32) / 2", "type": "integer"},
        {"name": "d", "expr": "c * 2", "type": "integer"},
    ]
    answer = mapped({"fields": fields, "contract": "evolve"}, {"temp_f": 36}, {"temp_f": 33}, {"temp_f": "warm"})
    assert answer.rows.select(["c", "d"]).to_pylist() == [
        {"c": 2, "d": 4}, {"c": None, "d": None}, {"c": None, "d": None},
    ]  # fmt: skip
    assert extras(answer) == [None, {"_variant": {"c": 0.5}}, {"_variant": {"temp_f": "warm"}}]


def test_elements_of_an_array_keep_their_own_values(mapped: Run) -> None:
    fields = [
        {"name": "v", "path": "$.list.v", "type": "integer"},
        {"name": "site", "path": "$.site", "type": "integer"},
    ]
    event = {"site": "north", "list": [{"v": 1}, {"v": "x", "q": 2}]}
    answer = mapped({"fields": fields, "explode": "$.list", "contract": "evolve"}, event)
    assert extras(answer) == [
        {"_variant": {"site": "north"}},
        {"list": {"q": 2}, "_variant": {"v": "x", "site": "north"}},
    ]


def test_an_events_own_variant_is_not_mistaken_for_dashs(mapped: Run) -> None:
    event = {"device": "a", "temp": "x", "_variant": None, "fw": None}
    answer = mapped(by("evolve"), event, {"device": "a", "temp": "x", "_variant": {"o": 1}})
    assert extras(answer) == [
        {"fw": None, "_variant": {"temp_c": "x", "_variant": None}},
        {"_variant": {"temp_c": "x", "_variant": {"o": 1}}},
    ]


def test_what_is_left_may_be_an_array(mapped: Run) -> None:
    fields = [{"name": "first", "path": "$[0]", "type": "integer"}]
    answer = mapped({"fields": fields, "contract": "evolve"}, b' ["x", 5]', [1])
    assert extras(answer) == [{"_rest": ["x", 5], "_variant": {"first": "x"}}, [1]]


@pytest.mark.parametrize(
    ("contract", "unmapped", "agree"),
    [
        ("evolve", "keep", True), ("evolve", "drop", False), ("evolve", "reject", False),
        ("freeze", "keep", True), ("freeze", "drop", False), ("freeze", "reject", False),
        ("discard_row", "keep", True), ("discard_row", "drop", False), ("discard_row", "reject", True),
        ("discard_value", "keep", True), ("discard_value", "drop", True), ("discard_value", "reject", False),
    ],
)  # fmt: skip
def test_a_contract_and_unmapped_must_agree(
    document: Callable[..., Mapping], contract: str, unmapped: str, agree: bool
) -> None:
    found = check(document(contract=contract, unmapped=unmapped))
    told = f"'unmapped' is {unmapped!r} and the contract {contract!r} decides about unknown fields"
    assert [(one.pointer, one.message) for one in found] == ([] if agree else [("/mapping/unmapped", told)])


def test_withdrawn_events_do_not_stop_a_frozen_mapping(mapper: Mapper, document: Callable[..., Mapping]) -> None:
    compiled = compile_mapping(document(**by("freeze")))
    answer = mapper.run(compiled, [Frame(7, 2, 0, b'{"new":1}\n{"device":"a"}', withdrawn=(7,))])
    assert (answer.rows["_seq"].to_pylist(), answer.outcome) == ([8], Outcome(stored=1, filtered=1))
    assert answer.stopped is None
