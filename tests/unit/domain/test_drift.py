"""What events look like, learned from some and told of others."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.domain.drift import LEARNING, MOST_FINDINGS, Drift, DriftKind, Sighting
from appliance.domain.places import ancestors, is_below, parent_of, places, step

NORMAL = {"device": "a", "temp": 20.5, "n": 1, "gps": {"lat": 1.5}, "list": [{"v": 1}]}


class Stream:
    """Events one after the other, numbered from 1."""

    def __init__(self) -> None:
        self.drift, self.seq = Drift(), 0

    def send(self, *events: Any, times: int = 1) -> "Stream":
        for _ in range(times):
            for event in events:
                self.seq += 1
                self.drift.observe(event, Sighting(self.seq, self.seq * 1_000))
        return self

    def found(self) -> list[tuple[str, str, list[str], list[str], int]]:
        return [(one.kind.value, one.path, one.before, one.after, one.count) for one in self.drift.findings.values()]


@pytest.fixture
def stream() -> Stream:
    """A stream that has learned ``NORMAL``."""
    return Stream().send(NORMAL, times=LEARNING)


def test_nothing_is_told_while_it_learns_and_nothing_of_what_it_learned(stream: Stream) -> None:
    learning = Stream().send(NORMAL, {"other": 1}, times=LEARNING // 2)
    assert (learning.found(), learning.drift.learned) == ([], True)
    assert stream.send(NORMAL, {**NORMAL, "device": None, "n": None}, times=40).found() == []
    assert sorted(stream.drift.known) == [
        "$", "$.device", "$.gps", "$.gps.lat", "$.list", "$.list[*]", "$.list[*].v", "$.n", "$.temp",
    ]  # fmt: skip


def test_a_new_field_is_told_once_and_not_what_stands_below_it(stream: Stream) -> None:
    stream.send({**NORMAL, "fw": {"version": "1.2", "beta": True}}, NORMAL, times=3)
    assert stream.found() == [("new_field", "$.fw", [], ["object"], 3)]
    (finding,) = stream.drift.findings.values()
    assert (finding.first, finding.last, finding.example_seq, finding.since) == (
        Sighting(1001, 1_001_000), Sighting(1005, 1_005_000), 1001, 6,
    )  # fmt: skip
    assert finding.below == {"$.fw.version": ["string"], "$.fw.beta": ["boolean"]}


@pytest.mark.parametrize(
    ("member", "told"),
    [
        ({"temp": "hot"}, ("type_changed", "$.temp", ["number"], ["string"], 1)),
        ({"n": 1.5}, ("type_changed", "$.n", ["integer"], ["number"], 1)),
        ({"gps": [1]}, ("type_changed", "$.gps", ["object"], ["array"], 1)),
        ({"list": [{"v": 1}, {"v": "x"}]}, ("type_changed", "$.list[*].v", ["integer"], ["string"], 1)),
        ({"temp": 20}, None),  # a whole number is a number
        ({"temp": None}, None),
        ({"list": []}, None),
    ],
)  # fmt: skip
def test_a_type_that_changes_is_told_with_both(stream: Stream, member: dict[str, Any], told: Any) -> None:
    found = [one for one in stream.send({**NORMAL, **member}).found() if one[0] == "type_changed"]
    assert found == ([told] if told else [])


def test_a_field_has_vanished_when_chance_does_not_explain_it(stream: Stream) -> None:
    without = {name: value for name, value in NORMAL.items() if name not in ("temp", "gps")}
    assert stream.send(without, times=49).found() == []
    assert stream.send(without).found() == [
        ("vanished", "$.temp", ["number"], [], 50), ("vanished", "$.gps", ["object"], [], 50),
    ]  # fmt: skip
    first = stream.drift.findings["vanished:$.temp"]
    assert (first.first.seq, first.last.seq, first.example_seq) == (1001, 1050, 1001)
    assert stream.send(NORMAL, without).found()[0][4] == 50  # it came back


def test_a_field_that_is_often_missing_is_missed_later() -> None:
    stream = Stream().send(NORMAL, *[{"device": "a"}] * 9, times=LEARNING // 10)  # temp is in 1 of 10
    assert stream.send({"device": "a"}, times=138).found() == []
    told = {one[1] for one in stream.send({"device": "a"}, times=3).found()}  # 14 * 10 in a row
    assert told == {"$.temp", "$.n", "$.gps", "$.list"}


@pytest.mark.parametrize(
    ("kind", "event", "path"),
    [
        (DriftKind.NEW_FIELD, {**NORMAL, "fw": {"version": "1.2"}}, "$.fw"),
        (DriftKind.TYPE_CHANGED, {**NORMAL, "temp": "hot"}, "$.temp"),
        (DriftKind.VANISHED, {"device": "a", "temp": 1.5, "n": 1, "list": [{"v": 1}]}, "$.gps"),
    ],
)
def test_what_is_acknowledged_is_normal_from_then_on(stream: Stream, kind: DriftKind, event: Any, path: str) -> None:
    stream.send(event, times=60)
    stream.drift.note(stream.drift.findings[f"{kind.value}:{path}"])
    assert stream.found() == []
    assert stream.send(event, times=200).found() == []


def test_keys_that_are_data_are_one_path() -> None:
    events = [{"by_id": {f"id-{number}": {"v": number}}} for number in range(LEARNING)]
    stream = Stream().send(*events)
    assert stream.drift.wide == {"$.by_id"}
    assert stream.send(*({"by_id": {f"new-{number}": {"v": 1}}} for number in range(100))).found() == []
    assert stream.send({"by_id": {"x": {"v": "text"}}}).found() == [
        ("type_changed", "$.by_id.*.v", ["integer"], ["string"], 1),
    ]  # fmt: skip


def test_keys_that_turn_out_to_be_data_do_not_flood_the_findings(stream: Stream) -> None:
    stream.send(*({**NORMAL, f"key-{number}": 1} for number in range(2 * MOST_FINDINGS)))
    assert stream.drift.wide == {"$"}
    assert stream.found() == []


def test_many_fields_are_still_fields(stream: Stream) -> None:
    metrics = {f"metric-{number}": 1 for number in range(100)}
    assert len(stream.send({**NORMAL, **metrics}, times=5).found()) == 100
    assert Stream().send(metrics, times=LEARNING).drift.wide == set()


def test_events_are_looked_at_once(stream: Stream) -> None:
    stream.drift.observe({**NORMAL, "late": 1}, Sighting(1000, 0))
    assert (stream.found(), stream.drift.events) == ([], 1000)


def test_what_was_looked_at_in_another_partition_hides_nothing_here(stream: Stream) -> None:
    there = 52_776_558_133_248  # 3 · 2^44
    stream.drift.observe({**NORMAL, "new": 1}, Sighting(there + 1, 1))
    assert (len(stream.found()), stream.drift.last_seq) == (1, there + 1)
    stream.send({**NORMAL, "newer": 1})
    assert [path for _, path, *_ in stream.found()] == ["$.new", "$.newer"]


def test_what_is_known_survives_being_kept(stream: Stream) -> None:
    stream.send({**NORMAL, "fw": {"v": 1}}, {"device": "a"}, times=10)
    kept = msgspec.json.encode(stream.drift)
    assert msgspec.json.decode(kept, type=Drift) == stream.drift


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6) | st.sampled_from(
    ["a", 'x["y', "a.b", "[*]", "*"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=15,
)


@settings(deadline=None, max_examples=200)
@given(values)
def test_every_place_but_the_root_stands_below_its_parent(event: Any) -> None:
    found = places(event)
    for path in found:
        if path != "$":
            assert parent_of(path) in found
            assert is_below(path, parent_of(path))
            assert list(ancestors(path))[-1] == "$"


@settings(deadline=None, max_examples=50)
@given(st.lists(values, min_size=1, max_size=20))
def test_the_same_events_again_are_no_drift(events: list[Any]) -> None:
    again = Stream()
    while not again.drift.learned:
        again.send(*events)
    assert [one for one in again.send(*events).found() if one[0] != "vanished"] == []


def test_steps_are_written_as_in_mappings() -> None:
    assert [step(name) for name in ("a", "a b", 'say "hi"')] == [".a", '["a b"]', '["say \\"hi\\""]']
