"""Leases: one owner at a time, an epoch for each, and a fence for whoever comes too late."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from appliance.components.nodes import Lease, Sharer
from appliance.domain.ids import NodeId
from appliance.domain.node import Card, Load, NodeState
from appliance.errors import FatalError, TransientError
from appliance.storage.control.leases import Leases, fence
from appliance.storage.control.nodes import Nodes
from appliance.storage.control.plane import ControlPlane

Of = Callable[[str], Leases]


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, secs: float) -> None:
        self.now += timedelta(seconds=secs)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def of(plane: ControlPlane, clock: Clock) -> Of:
    return lambda life: Leases(plane, NodeId(f"node_{life}"), life, clock)


def card(name: str, **more: object) -> Card:
    told: dict[str, object] = {
        "id": NodeId(f"node_{name}"), "life": name, "name": name, "role": "all", "address": "http://x", "version": "1",
        "offers": ("poll",), "every_secs": 3.0,
    }  # fmt: skip
    return Card(**(told | more))  # type: ignore[arg-type]


def test_what_is_held_is_nobody_elses(of: Of) -> None:
    assert of("a").acquire(["poll:1", "poll:2"], 9) == [Lease("poll:1", 1), Lease("poll:2", 1)]
    assert of("b").acquire(["poll:1", "poll:3"], 9) == [Lease("poll:3", 1)]
    assert of("a").acquire(["poll:1"], 9) == []  # also not once more


def test_an_epoch_rises_with_each_taking_and_stays_when_renewed(of: Of, clock: Clock) -> None:
    of("a").acquire(["poll:1"], 9)
    clock.forward(8)
    assert of("a").renew(9) == [Lease("poll:1", 1)]
    clock.forward(8)
    assert of("b").acquire(["poll:1"], 9) == []
    clock.forward(1)  # run out, to the instant
    assert of("a").renew(9) == []
    assert of("b").acquire(["poll:1"], 9) == [Lease("poll:1", 2)]
    of("b").release(["poll:1"])
    assert of("b").acquire(["poll:1"], 9) == [Lease("poll:1", 3)]


def test_only_who_holds_it_lets_go_of_it(of: Of) -> None:
    of("a").acquire(["poll:1"], 9)
    of("b").release(["poll:1"])
    assert of("b").acquire(["poll:1"], 9) == []


def test_the_fence_lets_nobody_through_who_comes_too_late(of: Of, plane: ControlPlane, clock: Clock) -> None:
    [held] = of("a").acquire(["poll:1"], 9)
    plane.write_now(lambda tx: fence(tx, held, "a", clock))
    clock.forward(9)
    with pytest.raises(TransientError, match="held no more"):
        plane.write_now(lambda tx: fence(tx, held, "a", clock))
    [later] = of("b").acquire(["poll:1"], 9)
    plane.write_now(lambda tx: fence(tx, later, "b", clock))
    with pytest.raises(TransientError):
        plane.write_now(lambda tx: fence(tx, later, "a", clock))


def test_a_survey_tells_who_there_is_and_who_holds_what(of: Of, plane: ControlPlane, clock: Clock) -> None:
    nodes = Nodes(plane, clock)
    for name in ("a", "b", "c"):
        nodes.enter(card(name))
    of("a").acquire(["poll:1"], 60)
    of("b").acquire(["poll:2"], 9)
    clock.forward(11)
    assert nodes.beat(card("a"), Load()) is NodeState.RUNNING  # b has been silent for 11 s, c says goodbye
    nodes.leave(card("c"))
    survey = of("a").survey()
    assert survey.sharers == (Sharer("a", frozenset({"poll"}), settled=False),)
    assert survey.holders == {"poll:1": "a", "poll:2": None}
    clock.forward(19)
    nodes.beat(card("a"), Load())
    assert of("a").survey().sharers[0].settled is True


def test_a_new_life_of_a_node_does_not_hold_what_the_old_one_held(of: Of, plane: ControlPlane, clock: Clock) -> None:
    nodes = Nodes(plane, clock)
    nodes.enter(card("a"))
    of("a").acquire(["poll:1"], 9)
    nodes.enter(card("a", life="a2"))
    again = Leases(plane, NodeId("node_a"), "a2", clock)
    assert again.renew(9) == []
    assert again.acquire(["poll:1"], 9) == []  # the old one may not know yet that it is over
    clock.forward(9)
    assert again.acquire(["poll:1"], 9) == [Lease("poll:1", 2)]


def test_a_copied_data_directory_is_noticed_by_the_older_process(plane: ControlPlane, clock: Clock) -> None:
    nodes = Nodes(plane, clock)
    nodes.enter(card("a"))
    nodes.enter(card("a", life="copy", address="http://elsewhere:8080"))
    with pytest.raises(FatalError, match="http://elsewhere:8080"):
        nodes.beat(card("a"), Load())
    assert nodes.beat(card("a", life="copy"), Load()) is NodeState.RUNNING


def test_a_node_that_was_thought_gone_comes_back_by_its_heartbeat(plane: ControlPlane, clock: Clock) -> None:
    nodes = Nodes(plane, clock)
    nodes.enter(card("a"))
    clock.forward(10.5)
    assert [one.state for one in nodes.nodes()] == [NodeState.GONE]
    nodes.beat(card("a"), Load())
    assert [one.state for one in nodes.nodes()] == [NodeState.RUNNING]
