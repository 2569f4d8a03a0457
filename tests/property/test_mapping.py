"""Mappings over any JSON: every event has one outcome, neighbours do not touch each other, types are never guessed."""

import json
import math
import re
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.components.mapper import Mapped
from appliance.domain.event import Frame
from appliance.domain.mapping import Mapping
from appliance.mapping import Mapper, compile_mapping

NAMES = ["a", "b", "c", "list", "ts"]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.sampled_from(["5", "5.5", "true", "2026-01-02T03:04:05Z", "NaN", "1e400", "0x10", " 1", "x"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(NAMES), values, max_size=5)
lines = (
    objects.map(lambda event: json.dumps(event).encode())
    | values.map(lambda event: json.dumps(event, ensure_ascii=False).encode())
    | st.binary(max_size=20).map(lambda line: line.replace(b"\n", b""))
    | st.sampled_from([b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":"\\ud800"}', b'{"list":[{"a":1},{"a":"x"},3]}', b""])
)
paths = st.sampled_from(["$.a", "$.b", "$.a.b", "$.list", "$.list.a", "$.list[0]", "$.list[1].b", "$.c.a.b", "$"])
kinds = st.sampled_from(["string", "integer", "float", "decimal", "boolean", "timestamp", "json"])
formulas = st.sampled_from(
    [("a * 2", "float"), ("b / a", "float"), ("upper(c)", "string"), ("cast(c as integer)", "integer")]
)


@st.composite
def documents(draw: st.DrawFn) -> Mapping:
    fields: list[dict[str, Any]] = []
    for place, (path, kind, required) in enumerate(draw(st.lists(st.tuples(paths, kinds, st.booleans()), max_size=4))):
        fields.append({"name": f"f{place}", "path": path, "type": kind, "required": required})
        if kind in {"integer", "float", "decimal"}:
            fields[-1] |= {"min": draw(st.none() | st.just(0)), "max": draw(st.none() | st.just(100))}
    for place, (expr, kind) in enumerate(draw(st.lists(formulas, max_size=2))):
        fields.append({"name": f"e{place}", "expr": expr, "type": kind})
    members: dict[str, Any] = {
        "fields": fields,
        "explode": draw(st.none() | st.sampled_from(["$.list", "$", "$.c.list"])),
        "where": draw(st.none() | st.sampled_from(["a > 1", "b IS NOT NULL", "c <> 'x' OR b", "cast(c as float) > 0"])),
        "time": draw(st.none() | st.just({"path": "$.ts"})),
        "key": draw(st.sampled_from([[], ["a"], ["b", "c"]])),
        "unmapped": draw(st.sampled_from(["keep", "drop", "reject"])),
    }
    return msgspec.convert(members, Mapping)


Run = Callable[..., Mapped]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    mapper = Mapper()

    def mapped(mapping: Mapping, events: list[bytes], first_seq: int = 1) -> Mapped:
        frames = [Frame(first_seq, len(events), 0, b"\n".join(events))]
        return mapper.run(compile_mapping(mapping), frames)

    yield mapped
    mapper.close()


@settings(deadline=None, max_examples=150)
@given(mapping=documents(), events=st.lists(lines, min_size=1, max_size=12))
def test_every_event_has_exactly_one_outcome(run: Run, mapping: Mapping, events: list[bytes]) -> None:
    mapped = run(mapping, events)
    with_rows, dead = set(mapped.rows["_seq"].to_pylist()), set(mapped.dead["seq"].to_pylist())
    assert with_rows | dead <= set(range(1, len(events) + 1))
    assert mapped.outcome.stored == len(with_rows - dead)
    assert mapped.outcome.dead == len(dead)
    assert mapped.outcome.total == len(events)
    places = list(zip(mapped.rows["_seq"].to_pylist(), mapped.rows["_item"].to_pylist(), strict=True))
    assert places == sorted(set(places))
    letters = list(zip(mapped.dead["seq"].to_pylist(), mapped.dead["item"].to_pylist(), strict=True))
    assert letters == sorted(set(letters))
    assert not set(places) & set(letters)
    for reason, message, problems in zip(
        *(mapped.dead[n].to_pylist() for n in ("reason", "message", "problems")), strict=True
    ):
        first = json.loads(problems)[0]
        assert (first["reason"], first["message"]) == (reason, message)
    for extra in mapped.rows["_extra"].to_pylist():
        assert extra is None or json.loads(extra) is not None


@settings(deadline=None, max_examples=75)
@given(mapping=documents(), events=st.lists(lines, min_size=2, max_size=6))
def test_neighbours_do_not_touch_each_other(run: Run, mapping: Mapping, events: list[bytes]) -> None:
    together = run(mapping, events)
    alone = [run(mapping, [event], first_seq=place + 1) for place, event in enumerate(events)]
    assert together.rows.to_pylist() == [row for one in alone for row in one.rows.to_pylist()]
    assert together.dead.to_pylist() == [row for one in alone for row in one.dead.to_pylist()]


numeric_looking = st.text("0123456789+-.eE_ xNaIinf", max_size=12)


def read(run: Run, kind: str, value: Any) -> Any:
    mapped = run(
        msgspec.convert({"fields": [{"name": "v", "path": "$.v", "type": kind}]}, Mapping),
        [json.dumps({"v": value}).encode()],
    )
    return mapped.rows["v"][0].as_py() if mapped.rows.num_rows else "dead"


def number(value: Any) -> Decimal | None:
    """Return the number that ``value`` writes; None where it writes none. The reference for all numeric types."""
    text = repr(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", text, re.ASCII):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


@settings(deadline=None, max_examples=300)
@given(
    value=numeric_looking | st.integers() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e20, 1e20) | st.booleans()
)
def test_integers_are_never_guessed(run: Run, value: Any) -> None:
    exact = number(value)
    fits = exact is not None and exact == exact.to_integral_value() and -(2**63) <= exact < 2**63
    assert read(run, "integer", value) == (int(exact) if fits and exact is not None else "dead")


@settings(deadline=None, max_examples=300)
@given(value=numeric_looking | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans())
def test_floats_are_never_guessed(run: Run, value: Any) -> None:
    exact = number(value)
    fits = exact is not None and math.isfinite(float(exact))
    assert read(run, "float", value) == (float(exact) if fits and exact is not None else "dead")


@settings(deadline=None, max_examples=300)
@given(
    value=numeric_looking
    | st.decimals(-(10**28), 10**28, places=9).map(str)
    | st.integers(-(10**29) + 1, 10**29 - 1)
    | st.booleans()
)
def test_decimals_are_exact_to_nine_places(run: Run, value: Any) -> None:
    exact = number(value)
    got = read(run, "decimal", value)
    wide = Context(prec=1000)  # the usual 28 digits would round
    rounded = None if exact is None or exact.adjusted() > 40 else exact.quantize(Decimal("1e-9"), ROUND_HALF_UP, wide)
    assert got == ("dead" if rounded is None or not -(10**29) < rounded < 10**29 else rounded)


@pytest.mark.parametrize("kind", ["boolean", "timestamp"])
@settings(deadline=None, max_examples=100)
@given(value=st.text(st.characters(codec="utf-8"), max_size=30) | values)
def test_other_types_are_read_or_dead(run: Run, kind: str, value: Any) -> None:
    got = read(run, kind, value)
    assert (got is None) == (value is None)
    if kind == "boolean" and value is not None:
        known = [True, False] if isinstance(value, bool) else ["true", "false"] if isinstance(value, str) else []
        assert got == (str(value).lower() == "true" if value in known else "dead")
