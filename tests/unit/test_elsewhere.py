"""What a node that keeps no events says of those that do; and how nodes of one machine are told apart."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.conditions import Conditions
from appliance.domain.ids import NodeId
from appliance.domain.incident import Severity
from appliance.domain.node import Card, Load, Node, NodeState, told_apart
from appliance.engine.elsewhere import NOBODY, Elsewhere

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


def node(name: str, state: NodeState = NodeState.RUNNING, address: str = "http://10.0.0.1:8080") -> Node:
    card = Card(
        id=NodeId(f"node_{name}_{address}"), life="l", name=name, role="ingestor", address=address, version="1",
        offers=(), every_secs=3.0,
    )  # fmt: skip
    return Node(card=card, state=state, started_at=AT, seen_at=AT, load=Load())


@pytest.mark.parametrize(
    ("there", "told"),
    [
        ([], NOBODY),
        ([node("a"), node("b", NodeState.DRAINING)], None),
        ([node("a"), node("b", NodeState.GONE)], "b is away: what it received before waits there"),
        ([node("a", NodeState.GONE), node("b", NodeState.GONE)], NOBODY),
    ],
)
def test_who_is_away_is_named(there: list[Node], told: str | None) -> None:
    elsewhere = Elsewhere()
    elsewhere.said = [(one, {}) for one in there]
    assert elsewhere.away() == told


def test_that_nothing_is_received_is_grave_for_whoever_looks_on() -> None:
    elsewhere = Elsewhere()
    it: Any = SimpleNamespace(elsewhere=elsewhere)
    conditions = Conditions(it, None, None)  # type: ignore[arg-type] # of ingestors neither of them tells
    (found,) = conditions._ingestors()
    assert (found.severity, found.page, found.message) == (Severity.P0, "runbook#ingestors", NOBODY)
    elsewhere.said = [(node("a"), {}), (node("b", NodeState.GONE), {})]
    assert list(conditions._ingestors()) == []
    it.elsewhere = None
    assert list(conditions._ingestors()) == []


def test_nodes_of_one_machine_are_told_apart_by_their_ports() -> None:
    there = [
        node("vm", address="http://10.0.0.1:8081"), node("vm", address="http://[fe80::1]:8082"),
        node("vm", address="http://vm"), node("other"),
    ]  # fmt: skip
    assert [one.card.name for one in told_apart(there)] == ["vm:8081", "vm:8082", "vm (http://vm)", "other"]
