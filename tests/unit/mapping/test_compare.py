"""Two mappings over the same events: which rows and dead letters differ, and in what."""

from collections.abc import Callable
from typing import Any

import pytest

from appliance.components.comparison import ChangedRow, Comparison
from appliance.components.mapper import Mapped
from appliance.mapping import compare

Run = Callable[..., Mapped]
Compared = Callable[..., Comparison]

DEVICE = {"name": "device", "path": "$.device", "type": "string"}
TEMP = {"name": "temp", "path": "$.temp", "type": "float"}
EVENTS = [
    {"device": "a", "temp": 20},
    {"device": "b", "temp": 21.5},
    {"device": "test"},
    {"device": "c", "temp": "hot"},
]


@pytest.fixture
def compared(mapped: Run) -> Compared:
    """Compare two documents over some events: ``compared({"fields": …}, {"fields": …}, event, …)``."""

    def run(before: dict[str, Any], after: dict[str, Any], *events: Any, most: int = 50) -> Comparison:
        given = events or tuple(EVENTS)
        defaults = {"time": {"path": "$.ts"}, "unmapped": "drop"}
        return compare(mapped(defaults | before, *given), mapped(defaults | after, *given), most)

    return run


def fields(*given: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"fields": list(given), **more}


def kinds(found: Comparison) -> tuple[int, int, int, int]:
    return found.added.count, found.removed.count, found.changed.count, found.unchanged


def values(row: ChangedRow) -> tuple[Any, ...]:
    sides = [
        {name: value for name, value in side.items() if name[0] != "_"} if side is not None else None
        for side in (row.before, row.after)
    ]
    return row.seq, *sides, row.columns


def test_the_same_mapping_changes_nothing(compared: Compared) -> None:
    found = compared(fields(DEVICE, TEMP), fields(DEVICE, TEMP))
    assert kinds(found) == (0, 0, 0, 3)
    assert (found.changed_by_column, found.new_dead, found.healed, found.duplicates) == ({}, [], [], (0, 0))


def test_a_value_that_becomes_another_is_told_with_its_column(compared: Compared) -> None:
    doubled = {"name": "temp", "expr": "t * 2", "type": "float"}
    source = {"name": "t", "path": "$.temp", "type": "float"}
    found = compared(fields(DEVICE, TEMP), fields(DEVICE, doubled, source))
    assert kinds(found) == (0, 0, 2, 1)
    assert found.changed_by_column == {"temp": 2, "t": 2}
    assert values(found.changed.examples[0]) == (
        1, {"device": "a", "temp": 20.0}, {"device": "a", "temp": 40.0, "t": 20.0}, ["temp", "t"],
    )  # fmt: skip


def test_rows_come_and_go_with_where(compared: Compared) -> None:
    wanted = fields(DEVICE, TEMP, where="device <> 'test'")
    found = compared(fields(DEVICE, TEMP), wanted)
    assert kinds(found) == (0, 1, 0, 2)
    assert values(found.removed.examples[0]) == (3, {"device": "test", "temp": None}, None, [])
    back = compared(wanted, fields(DEVICE, TEMP))
    assert kinds(back) == (1, 0, 0, 2)
    assert values(back.added.examples[0]) == (3, None, {"device": "test", "temp": None}, [])


def test_dead_letters_are_told_by_cause(compared: Compared) -> None:
    text = TEMP | {"type": "string"}
    healed = compared(fields(DEVICE, TEMP), fields(DEVICE, text))
    assert [(one.reason, one.field, one.count, one.seqs) for one in healed.healed] == [("type", "temp", 1, [4])]
    assert healed.healed[0].message == "temp must be a number, got hot"
    assert (healed.new_dead, kinds(healed)) == ([], (1, 0, 1, 2))  # the text 20 is not the text of 20.0
    needed = compared(fields(DEVICE, TEMP), fields(DEVICE | {"enum": ["a"]}, TEMP | {"required": True}))
    assert [(one.reason, one.count, one.seqs) for one in needed.new_dead] == [("enum", 2, [2, 3])]
    assert needed.healed == []


def test_a_number_of_another_type_is_the_same_number(compared: Compared) -> None:
    whole, text = ({"name": "n", "path": "$.n", "type": kind} for kind in ("integer", "string"))
    events = [{"n": 5}, {"n": None}, {"n": 7}]
    for kind in ("float", "decimal"):
        assert kinds(compared(fields(whole), fields(whole | {"type": kind}), *events)) == (0, 0, 0, 3)
    assert kinds(compared(fields(whole), fields(text), *events)) == (0, 0, 0, 3)


def test_items_of_arrays_are_compared_each(compared: Compared) -> None:
    value = {"name": "v", "path": "$.list.v", "type": "integer"}
    before = fields(value, explode="$.list")
    events = [{"list": [{"v": 1}, {"v": 2}]}, {"list": [{"v": 3}]}]
    found = compared(before, before | {"where": "v <> 2"}, *events)
    assert [(one.seq, one.item) for one in found.removed.examples] == [(1, 1)]
    assert kinds(compared(before, fields(), *events)) == (0, 1, 2, 0)


def test_rows_that_replace_each_other_are_counted(compared: Compared) -> None:
    events = [{"device": "a"}, {"device": "a"}, {"device": "b"}]
    assert compared(fields(DEVICE), fields(DEVICE, key=["device"]), *events).duplicates == (0, 1)


def test_examples_show_every_kind_of_change_before_more_of_the_same(compared: Compared) -> None:
    events = [{"a": number, "b": 0} for number in range(1, 9)] + [{"a": 0, "b": 1}]
    a, b = ({"name": name, "path": f"$.{name}", "type": "integer"} for name in "ab")
    after = fields(*({"name": name, "expr": f"{name}_ * 2", "type": "integer"} for name in "ab"),
                   *({"name": f"{name}_", "path": f"$.{name}", "type": "float"} for name in "ab"))  # fmt: skip
    found = compared(fields(a, b), after, *events, most=2)
    assert found.changed.count == 9
    assert [(one.seq, "b" in one.columns) for one in found.changed.examples] == [(1, False), (9, True)]


def test_columns_may_be_called_anything(compared: Compared) -> None:
    names = [
        {"name": name, "path": f"$.{name}", "type": "integer"} for name in ("added", "seq", "kind", "d0", "select")
    ]
    found = compared(fields(*names), fields(), {"added": 1, "seq": 2, "kind": 3, "d0": 4, "select": 5})
    assert found.changed_by_column == {"added": 1, "seq": 1, "kind": 1, "d0": 1, "select": 1}


def test_only_what_both_came_to_is_compared(mapped: Run) -> None:
    frozen = mapped(fields(DEVICE, contract="freeze"), {"device": "a"}, {"new": 1}, {"device": "b"})
    loose = mapped(fields(DEVICE), {"device": "a"}, {"new": 1}, {"device": "b"})
    assert kinds(compare(frozen, loose, 50)) == (0, 0, 0, 1)
    assert kinds(compare(loose, frozen, 50)) == (0, 0, 0, 1)
