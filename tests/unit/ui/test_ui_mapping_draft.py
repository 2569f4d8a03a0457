from typing import Any

import msgspec
import pytest

from appliance.domain.mapping import Mapping
from ui.examples import example_event
from ui.mapping_draft import MappingDraft, parse_values

DOCUMENT: dict[str, Any] = {
    "fields": [
        {"name": "id", "type": "string", "path": "$.id", "required": True},
        {"name": "net", "type": "float", "expr": "amount / 1.19", "min": 0, "max": 100},
    ],
    "where": "status <> 'test'",
    "key": ["id"],
}


def test_a_document_comes_back_as_it_was() -> None:
    assert MappingDraft(DOCUMENT).document() == DOCUMENT


def test_what_is_emptied_is_left_out() -> None:
    draft = MappingDraft(DOCUMENT)
    draft.fields[1]["min"] = ""
    draft.fields[0]["required"] = False
    draft.options["where"] = ""
    draft.options["key"] = []
    assert draft.document() == {
        "fields": [
            {"name": "id", "type": "string", "path": "$.id"},
            {"name": "net", "type": "float", "expr": "amount / 1.19", "max": 100},
        ]
    }


@pytest.mark.parametrize(("typed", "number"), [("3", 3), ("-0.5", -0.5), ("−2", -2), ("many", "many")])
def test_bounds_become_numbers_or_stay_for_the_check(typed: str, number: object) -> None:
    draft = MappingDraft({"fields": [{"name": "a", "type": "float", "path": "$.a", "max": typed}]})
    assert draft.document()["fields"][0]["max"] == number


def test_changing_the_origin_leaves_one_of_them() -> None:
    draft = MappingDraft({"fields": [{"name": "a", "type": "float", "path": "$.a"}]})
    draft.set_origin(0, "expr")
    assert "path" not in draft.fields[0]
    assert draft.fields[0]["expr"] == ""
    draft.set_origin(0, "path")
    assert draft.fields[0] == {"name": "a", "type": "float", "path": "$.a"}


def test_time_is_set_and_taken_away() -> None:
    draft = MappingDraft({})
    draft.set_time("$.ts", "unix_ms")
    assert draft.document()["time"] == {"path": "$.ts", "format": "unix_ms"}
    draft.set_time("", "unix_ms")
    assert "time" not in draft.document()


SUGGESTED: dict[str, Any] = {
    "fields": [
        {"name": "temp", "type": "float", "path": "$.temp"},
        {"name": "device", "type": "string", "path": "$.device"},
    ],
    "time": {"path": "$.ts", "format": "unix_ms"},
}


def test_an_empty_draft_takes_a_suggestion_whole() -> None:
    draft = MappingDraft({"unmapped": "keep", "where": "temp > 0"})
    assert draft.take(SUGGESTED) == 2
    assert draft.document() == {**SUGGESTED, "where": "temp > 0"}


def test_a_draft_takes_the_fields_it_lacks_and_keeps_its_own() -> None:
    own = {"name": "celsius", "type": "integer", "path": "$.temp"}
    draft = MappingDraft({"fields": [own]})
    assert draft.take(SUGGESTED) == 1
    assert draft.document() == {"fields": [own, SUGGESTED["fields"][1]]}
    assert draft.take(SUGGESTED) == 0


@pytest.mark.parametrize("wrong", [{"fields": "x"}, {"fields": [1, {"name": "a"}]}, {"fields": None}])
def test_parts_of_a_wrong_shape_do_no_harm(wrong: dict[str, Any]) -> None:
    assert isinstance(MappingDraft(wrong).document()["fields"], list)


@pytest.mark.parametrize(
    ("typed", "values"),
    [("", None), ("a, b", ["a", "b"]), ('["a", 1, null]', ["a", 1, None]), ("3", [3]), ("x", ["x"])],
)
def test_allowed_values_are_words_or_json(typed: str, values: object) -> None:
    assert parse_values(typed) == values


def test_an_example_event_fits_its_mapping() -> None:
    mapping = msgspec.convert(
        {
            "fields": [
                {"name": "id", "type": "string", "path": "$.order.id"},
                {"name": "n", "type": "integer", "path": "$.n", "min": 5},
                {"name": "kind", "type": "string", "path": "$.order.kind", "enum": ["paid", "open"]},
                {"name": "c", "type": "float", "expr": "(temp_f - 32) * round(n, 1)"},
                {"name": "odd", "type": "string", "path": "$['x y']"},
            ]
        },
        Mapping,
    )
    assert example_event(mapping) == {"order": {"id": "id-1", "kind": "paid"}, "n": 5, "temp_f": 68.5}
    assert example_event(Mapping()) == {"device": "boiler-1", "temp_f": 68.5, "status": "ok"}
