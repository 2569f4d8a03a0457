"""What a changed mapping asks of a table's columns."""

from typing import Any

import msgspec
import pytest

from appliance.domain.mapping import Mapping
from appliance.services.columns import column_changes


def mapping(**kinds: str) -> Mapping:
    fields = [{"name": name, "path": f"$.{name}", "type": kind} for name, kind in kinds.items()]
    return msgspec.convert({"fields": fields}, Mapping)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": "integer"}, {"a": "integer"}, []),
        ({}, {"a": "integer"}, [("a", "added", False)]),
        ({"a": "integer"}, {}, [("a", "removed", False)]),
        ({"a": "integer"}, {"a": "float"}, [("a", "widened", False)]),
        ({"a": "timestamp"}, {"a": "string"}, [("a", "widened", False)]),
        ({"a": "float"}, {"a": "integer"}, [("a", "retyped", True)]),
        ({"a": "json"}, {"a": "string"}, [("a", "retyped", True)]),
        ({"a": "float", "b": "json"}, {"b": "json", "c": "json"}, [("a", "removed", False), ("c", "added", False)]),
    ],
)  # fmt: skip
def test_columns_are_compared_by_type(before: Any, after: Any, expected: Any) -> None:
    found = column_changes(mapping(**before), mapping(**after), {})
    assert [(one.name, one.change, one.needs_replay) for one in found] == expected


def test_columns_that_hold_something_else_are_told_with_how_many_rows() -> None:
    same = mapping(a="float", b="string")
    found = column_changes(same, same, {"a": 7, "_extra": 2})
    assert [(one.name, one.change, one.rows) for one in found] == [("_extra", "same", 2), ("a", "same", 7)]
