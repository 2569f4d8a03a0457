"""Drift of several nodes as one: what each has found, held against what all of them know."""

from typing import Any

from appliance.domain.drift import LEARNING, Drift, Sighting
from appliance.domain.drift_merging import baseline_of, merged
from appliance.domain.partition import Partition, base_of

NORMAL = {"device": "a", "temp": 1.5}


def seen(partition: int, *events: Any, of: Drift | None = None) -> Drift:
    """Return what the node of a partition knows that has seen these events, one a second."""
    drift = of or Drift()
    for place, event in enumerate(events, drift.events + 1):
        drift.observe(event, Sighting(base_of(Partition(partition)) + place, place * 1_000_000 + partition))
    return drift


def taught(partition: int, event: Any = NORMAL) -> Drift:
    return seen(partition, *[event] * LEARNING)


def told(drift: Drift) -> dict[str, tuple[int, int, int, int]]:
    """Return events with it, events since, and the partitions that saw it first and last, of each finding."""
    return {
        name: (one.count, one.since, one.first.seq >> 44, one.last.seq >> 44) for name, one in drift.findings.items()
    }


def test_what_two_nodes_have_found_is_one_finding() -> None:
    odd = NORMAL | {"fw": {"v": "1.2"}}
    here, there = seen(0, odd, NORMAL, odd, of=taught(0)), seen(1, NORMAL, odd, NORMAL, NORMAL, odd, of=taught(1))
    together = merged([here, there])
    assert told(together) == {"new_field:$.fw": (4, 7, 0, 1)}  # 2 and 2 events; of 3 and, from the second on, of 4
    assert (together.events, together.taught) == (2 * LEARNING + 8, 2 * LEARNING)
    assert (together.known["$.temp"].seen, together.known["$.temp"].types) == (2 * LEARNING, ["number"])


def test_what_another_node_has_always_seen_is_no_drift() -> None:
    here = seen(0, NORMAL | {"fw": 1}, NORMAL | {"temp": "hot"}, of=taught(0))
    assert set(told(merged([here]))) == {"new_field:$.fw", "type_changed:$.temp"}
    assert told(merged([here, taught(1, {"device": "b", "temp": "mild", "fw": 7})])) == {}
    assert set(told(merged([here, taught(1, {"device": "b", "temp": 1, "fw": "7"})]))) == set(told(here))


def test_a_node_that_has_just_begun_changes_nothing_that_is_known() -> None:
    here, new = seen(0, NORMAL | {"fw": 1}, of=taught(0)), seen(1, NORMAL | {"fw": 1})
    together = merged([new, here])
    assert (together.learned, set(together.findings), together.taught) == (True, {"new_field:$.fw"}, LEARNING)
    assert "$.fw" not in together.known
    assert (merged([new]).learned, merged([new]).taught) == (False, 1)


def test_a_node_begins_with_what_the_others_have_learned() -> None:
    begun = baseline_of([seen(0, NORMAL | {"fw": 1}, of=taught(0)), taught(1, NORMAL | {"at": "x"})])
    assert (begun.learned, begun.events, begun.last_seq, begun.findings) == (True, 0, 0, {})
    assert set(told(seen(2, NORMAL | {"at": "y"}, NORMAL | {"loud": True}, of=begun))) == {"new_field:$.loud"}
    assert baseline_of([seen(0, NORMAL)]) == Drift()


def test_what_one_node_takes_note_of_is_normal_at_the_other() -> None:
    odd = NORMAL | {"fw": {"v": "1.2"}}
    here, there = seen(0, odd, of=taught(0)), taught(1)
    [finding] = merged([here, there]).findings.values()
    for _ in range(2):  # said twice, it is the same
        here.note(finding)
        there.note(finding)
        assert told(merged([here, there])) == {}
        assert (there.known["$.fw.v"].types, there.known["$.fw"].seen) == (["string"], LEARNING)
    assert told(seen(1, odd, of=there)) == {}


def test_what_has_vanished_at_one_node_stays_expected_where_it_comes() -> None:
    here, there = seen(0, *[{"device": "a"}] * 60, of=taught(0)), taught(1)
    [finding] = merged([here, there]).findings.values()
    assert finding.id == "vanished:$.temp"
    for one in (here, there):
        one.note(finding)
    assert ("$.temp" in here.known, "$.temp" in there.known) == (False, True)
