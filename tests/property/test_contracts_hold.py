"""Contracts over any JSON: nothing that an event holds goes into nothing, and frozen mappings stop where they must."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.components.mapper import Mapped
from appliance.domain.event import Frame
from appliance.domain.mapping import Mapping
from appliance.mapping import Mapper, compile_mapping

NAMES = ["a", "b", "c", "list", "_variant"]
MISSING = object()

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(-1e9, 1e9, width=32)
    | st.text(st.characters(codec="utf-8"), max_size=6)
    | st.sampled_from(["5", "true", "2026-01-02T03:04:05Z", "NaN", "x"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=10,
)
events = st.dictionaries(st.sampled_from(NAMES), values, max_size=5)
paths = st.sampled_from(["$.a", "$.b", "$.a.b", "$.list", "$.list[0]", "$.c.a.b", "$.c", "$._variant"])
kinds = st.sampled_from(["string", "integer", "float", "decimal", "boolean", "timestamp", "json"])


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    fields = [
        {"name": f"f{place}", "path": path, "type": kind, "required": required}
        for place, (path, kind, required) in enumerate(
            draw(st.lists(st.tuples(paths, kinds, st.sampled_from([False, False, True])), max_size=4))
        )
    ]
    if draw(st.booleans()):
        fields.append({"name": "twice", "expr": "b * 2", "type": draw(st.sampled_from(["integer", "float"]))})
    return {
        "fields": fields,
        "where": draw(st.none() | st.just("a IS NOT NULL")),
        "key": draw(st.sampled_from([[], ["c"]])),
    }


Run = Callable[[dict[str, Any], list[Any]], Mapped]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    mapper = Mapper()

    def mapped(document: dict[str, Any], found: list[Any]) -> Mapped:
        lines = b"\n".join(json.dumps(event).encode() for event in found)
        return mapper.run(compile_mapping(msgspec.convert(document, Mapping)), [Frame(1, len(found), 0, lines)])

    yield mapped
    mapper.close()


def leaves(value: Any, steps: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every value that is no object, with the keys that lead to it; nothing for null: null is no value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*steps, key))
    elif value is not None:
        yield steps, value


def at(value: Any, steps: tuple[str, ...]) -> Any:
    for step in steps:
        if not isinstance(value, dict) or step not in value:
            return MISSING
        value = value[step]
    return value


def is_kept(leaf: tuple[tuple[str, ...], Any], row: dict[str, Any], document: dict[str, Any]) -> bool:
    """Return whether a value of an event is found in its row: in what is left, in a column, or as a misfit."""
    steps, value = leaf
    extra = json.loads(row["_extra"]) if row["_extra"] is not None else {}
    variant = extra.get("_variant", {}) if isinstance(extra.get("_variant"), dict) else {}
    if at(extra, steps) == value or (steps[0] == "_variant" and at(variant, steps) == value):
        return True
    for field in document["fields"]:
        read = tuple(field.get("path", "$.b")[2:].replace("[", ".").rstrip("]").split("."))
        if steps[: len(read)] != read:
            continue
        name = field["name"] if "path" in field else "b"
        if row.get(field["name"]) is not None or at(variant, (name, *steps[len(read) :])) == value:
            return True
        if "expr" in field and field["name"] in variant:  # what it gave is kept, and what it was made of was read
            return True
    read_by_name = {"a"} if document["where"] else set()
    return steps[0] in read_by_name | set(document["key"])


@settings(deadline=None, max_examples=250)
@given(document=documents(), found=st.lists(events, min_size=1, max_size=6))
def test_evolve_lets_nothing_go_into_nothing(run: Run, document: dict[str, Any], found: list[Any]) -> None:
    mapped = run({**document, "contract": "evolve"}, found)
    assert mapped.outcome.total == len(found)
    assert mapped.stopped is None
    for row in mapped.rows.to_pylist():
        event = found[row["_seq"] - 1]
        assert [leaf for leaf in leaves(event) if not is_kept(leaf, row, document)] == []


@settings(deadline=None, max_examples=150)
@given(document=documents(), found=st.lists(events, min_size=1, max_size=6))
def test_lenient_contracts_differ_only_in_what_is_unknown(run: Run, document: dict[str, Any], found: list[Any]) -> None:
    evolve, discard = (run({**document, "contract": name}, found) for name in ("evolve", "discard_value"))
    assert evolve.rows.drop_columns("_extra").equals(discard.rows.drop_columns("_extra"))
    assert evolve.dead.equals(discard.dead)
    for kept, left in zip(*(one.rows["_extra"].to_pylist() for one in (evolve, discard)), strict=True):
        if left is not None:
            (inside,) = json.loads(left).values()
            assert inside.items() <= json.loads(kept)["_variant"].items()


@settings(deadline=None, max_examples=150)
@given(document=documents(), found=st.lists(events, min_size=1, max_size=6))
def test_freeze_stops_where_discard_row_would_first_discard(
    run: Run, document: dict[str, Any], found: list[Any]
) -> None:
    frozen, discarded = (run({**document, "contract": name}, found) for name in ("freeze", "discard_row"))
    letters = zip(discarded.dead["seq"].to_pylist(), discarded.dead["problems"].to_pylist(), strict=True)
    drift = [seq for seq, told in letters if {one["reason"] for one in json.loads(told)} == {"contract"}]
    stop = drift[0] if drift else len(found) + 1
    assert (frozen.last_seq, frozen.stopped is not None) == (stop - 1, bool(drift))
    assert frozen.outcome.total == stop - 1
    before = [row for row in discarded.rows.to_pylist() if row["_seq"] < stop]
    assert frozen.rows.to_pylist() == before
    assert frozen.dead["seq"].to_pylist() == [seq for seq in discarded.dead["seq"].to_pylist() if seq < stop]
