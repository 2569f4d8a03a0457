"""Events found by their payloads: text, numbers, anything in a list, and rows of another pipeline."""

import json
from typing import Any

import pytest

from appliance.domain.erasure import PayloadCondition
from appliance.domain.event import Frame
from appliance.domain.ids import PipelineId
from appliance.mapping.search import PayloadSearch

ADA = {"user": {"email": "ada@example.org", "id": 7}, "items": [{"sku": "a1"}, {"sku": "b2"}], "vip": True}
BOB = {"user": {"email": "bob@example.org", "id": 8.0}, "items": [{"sku": "b2"}], "vip": False}
EVE = {"user": {"email": "e\"v'e", "id": "7"}, "a/b": {"c": "x"}}


def frame(first_seq: int, *payloads: Any) -> Frame:
    lines = b"\n".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in payloads)
    return Frame(first_seq, len(payloads), 0, lines)


FRAMES = [frame(1, ADA, BOB), frame(3, EVE, b"not json", b"null", b"[1,2]"), frame(7, ADA)]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([("$.user.email", ("ada@example.org",))], [1, 7]),
        ([("$.user.email", ("bob@example.org", "e\"v'e"))], [2, 3]),
        ([("$.user.id", (7,))], [1, 3, 7]),  # "7" too: what people write as a number
        ([("$.user.id", (8,))], [2]),
        ([("$.user.id", ("7",))], [1, 3, 7]),
        ([("$.vip", (True,))], [1, 7]),
        ([("$.items[*].sku", ("a1",))], [1, 7]),
        ([("$.items[*].sku", ("b2",)), ("$.user.id", (8,))], [2]),
        ([("$.items[1].sku", ("b2",))], [1, 7]),
        ([('$["a/b"].c', ("x",))], [3]),
        ([("$[*]", (2,))], [6]),
        ([("$.nothing", ("x",))], []),
    ],
)
def test_events_are_found(wanted: list[tuple[str, tuple[Any, ...]]], found: list[int]) -> None:
    conditions = [PayloadCondition(path, values) for path, values in wanted]
    assert PayloadSearch().matching(FRAMES, conditions) == found


def test_large_integers_are_not_taken_for_their_neighbours() -> None:
    frames = [frame(1, {"id": (1 << 53) + 1}, {"id": 1 << 53}, {"id": (1 << 53) - 1})]
    for place, value in enumerate(((1 << 53) + 1, 1 << 53, (1 << 53) - 1), 1):
        assert PayloadSearch().matching(frames, [PayloadCondition("$.id", (value,))]) == [place]


def test_what_is_damaged_is_passed_over() -> None:
    damaged = Frame(9, 2, 0, b"null\nnull", damaged="the checksum is wrong")
    wanted = [PayloadCondition("$.user.id", (7,))]
    assert PayloadSearch().matching([damaged], wanted) == []
    assert PayloadSearch().matching([damaged, frame(11, ADA)], wanted) == [11]


def test_events_that_came_from_rows_of_another_pipeline() -> None:
    frames = [
        frame(1, {"_pipeline": "pl_a", "_seq": 4, "x": 1}, {"_pipeline": "pl_b", "_seq": 4}, {"_seq": 4}),
        frame(4, {"_pipeline": "pl_a", "_seq": 5}, {"_pipeline": "pl_a", "_seq": 6}),
    ]
    assert PayloadSearch().derived(frames, PipelineId("pl_a"), [4, 6, 99]) == [1, 5]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("user", "must begin with '$'"),
        ("$.a[?(@.b)]", "wildcards"),
        ('$["a\\"b"][*].c', "quotes"),
        ("$..a", "wildcards"),
    ],
)
def test_what_is_no_path_is_told(path: str, told: str) -> None:
    assert told in (PayloadSearch().problem(path) or "")
    assert PayloadSearch().problem("$.a[*].b") is None
