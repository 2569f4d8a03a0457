from typing import Any

import pytest

from appliance.domain.differences import Change, changes, in_words

TEMP = {"name": "temp", "path": "$.temp", "type": "integer"}
SITE = {"name": "site", "path": "$.site", "type": "string"}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [Change("changed", "/a", 1, 2)]),
        ({"a": 1}, {}, [Change("removed", "/a", 1, None)]),
        ({}, {"a/b~": {"c": 1}}, [Change("added", "/a~1b~0", None, {"c": 1})]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [Change("changed", "/a/c", 2, 3)]),
        ({"a": 1}, {"a": True}, [Change("changed", "/a", 1, True)]),
        ({"key": ["a"]}, {"key": ["a", "b"]}, [Change("changed", "/key", ["a"], ["a", "b"])]),
        ([TEMP, SITE], [SITE], [Change("removed", "/0", TEMP, None)]),
        ([SITE], [TEMP, SITE | {"type": "json"}],
         [Change("changed", "/1/type", "string", "json"), Change("added", "/0", None, TEMP)]),
        ([TEMP, SITE], [SITE, TEMP], [Change("changed", "", ["temp", "site"], ["site", "temp"])]),
        ([{"name": "a"}, {"name": "a"}], [{"name": "a"}],
         [Change("changed", "", [{"name": "a"}, {"name": "a"}], [{"name": "a"}])]),
    ],
)  # fmt: skip
def test_changes_name_the_place(before: Any, after: Any, expected: list[Change]) -> None:
    assert changes(before, after) == expected


def document(*fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "p", "mapping": {"fields": list(fields)}, **more}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (document(TEMP), document(TEMP), []),
        (document(TEMP), document(TEMP | {"type": "float", "max": 200}),
         ["field 'temp': type integer → float; max none → 200"]),
        (document(TEMP), document(TEMP | {"name": "temp_c"}), ["field 'temp' renamed to 'temp_c'"]),
        (document(TEMP), document(TEMP | {"name": "temp_c", "type": "float"}),
         ["field 'temp' renamed to 'temp_c'; type integer → float"]),
        (document(TEMP, SITE), document(SITE), ["field 'temp' removed"]),
        (document(), document(SITE, {"name": "k", "expr": "a + 1", "type": "float"}),
         ["field 'site' added: string, read from $.site", "field 'k' added: float, computed as a + 1"]),
        (document(TEMP, SITE), document(SITE, TEMP), ["the fields stand in another order"]),
        (document(), document(description="by the door"), ["description: none → by the door"]),
        (document() | {"mapping": {"fields": [], "where": "a > 1"}}, document(), ["mapping.where: a > 1 → none"]),
    ],
)  # fmt: skip
def test_words_tell_it_by_field(before: dict[str, Any], after: dict[str, Any], expected: list[str]) -> None:
    assert in_words(before, after) == expected
