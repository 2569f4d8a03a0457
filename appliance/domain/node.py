"""A node: one process of Dash, its place among the others, and when it counts as gone."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

import msgspec
from msgspec.structs import replace

from appliance.domain.ids import NodeId, PipelineId
from appliance.domain.pipeline import State
from appliance.domain.stats import LiveStats

MISSED_BEATS: Final = 3  # in a row, and a second: then a node is gone
LATE: Final = timedelta(seconds=1)


class NodeState(Enum):
    """``TRANSITIONS`` says what follows what. A node comes back from GONE by its next heartbeat, or its next start."""

    RUNNING = "running"
    DRAINING = "draining"  # takes on nothing new and hands over what it holds; what comes in is still taken
    GONE = "gone"  # it said goodbye, or has not been heard of for too long


TRANSITIONS: dict[NodeState, frozenset[NodeState]] = {
    NodeState.RUNNING: frozenset({NodeState.DRAINING, NodeState.GONE}),
    NodeState.DRAINING: frozenset({NodeState.RUNNING, NodeState.GONE}),
    NodeState.GONE: frozenset({NodeState.RUNNING}),
}


class Load(msgspec.Struct, frozen=True):
    """What a node does at present. ``cpu``: cores' worth of computing time; ``lag_secs``: of its slowest pipeline."""

    events_per_sec: float = 0.0
    lag_events: int = 0
    lag_secs: float = 0.0
    cpu: float = 0.0
    memory_bytes: int = 0
    leases: int = 0
    jobs: int = 0


class Doing(msgspec.Struct, frozen=True):
    """One pipeline on one node. ``stats``: of the events that this node itself has received."""

    state: State
    stats: LiveStats


class Report(Load, frozen=True):
    """What goes with a heartbeat where there are other nodes: for those that show pipelines and run none."""

    pipelines: dict[PipelineId, Doing] = {}


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """How a node introduces itself. ``id`` lasts as long as its data directory, ``life`` as long as the process.

    ``address``: where other nodes reach it. ``offers``: capabilities, for jobs and leases. ``every_secs``: the pace of
    its heartbeat, by which others judge its silence.
    """

    id: NodeId
    life: str
    name: str
    role: str
    address: str
    version: str
    offers: tuple[str, ...]
    every_secs: float


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A node as the others see it. ``seen_at``: its last heartbeat, by the clock of the database.

    ``partition``: of its events; None: it was given none, it keeps no events.
    """

    card: Card
    state: NodeState
    started_at: datetime
    seen_at: datetime
    load: Load
    partition: int | None = None


def told_apart(nodes: Sequence[Node]) -> list[Node]:
    """Return ``nodes``, those of one name by their port too: several on one machine are called as that is."""
    names = Counter(one.card.name for one in nodes)
    return [one if names[one.card.name] == 1 else _with_port(one) for one in nodes]


def _with_port(node: Node) -> Node:
    port = node.card.address.rpartition(":")[2]
    name = f"{node.card.name}:{port}" if port.isdecimal() else f"{node.card.name} ({node.card.address})"
    return replace(node, card=replace(node.card, name=name))


def gone_after(every_secs: float) -> timedelta:
    """Return how long a node that promised a heartbeat so often may be silent: 10 s for one every 3 s."""
    return timedelta(seconds=MISSED_BEATS * every_secs) + LATE


def state_of(said: NodeState, seen_at: datetime, every_secs: float, now: datetime) -> NodeState:
    """Return the state of a node that said ``said`` when it was seen last."""
    return NodeState.GONE if now - seen_at > gone_after(every_secs) else said
