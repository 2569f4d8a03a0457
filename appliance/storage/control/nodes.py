"""The registry of nodes: who runs, since when, how busy; told by the clock of the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from appliance.components.nodes import NodeStore
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import NodeId, PipelineId
from appliance.domain.job import JobState, on_node
from appliance.domain.node import TRANSITIONS, Card, Doing, Load, Node, NodeState, Report, state_of, told_apart
from appliance.errors import Conflict, FatalError, NotFound
from appliance.storage.control.moment import moment
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import JobNeedRow, JobRow, LeaseRow, NodeRow, PartitionRow

BRONZE = "bronze"  # offered by nodes that keep events on their own disk


class Nodes:
    """The registry, as a node uses it about itself."""

    def __init__(self, plane: ControlPlane, clock: Clock = utc_now) -> None:
        self._plane, self._clock = plane, clock

    def enter(self, card: Card) -> None:
        self._plane.write_now(lambda tx: self._enter(tx, card), alone=False)

    def _enter(self, tx: Session, card: Card) -> None:
        now = moment(tx, self._clock)
        row = tx.get(NodeRow, card.id, with_for_update=True)
        told = {name: value for name, value in msgspec.to_builtins(card).items() if name != "id"}
        state = {"state": NodeState.RUNNING.value, "started_at": now, "seen_at": now, "load": {}}
        if row is None:
            tx.add(NodeRow(id=card.id, **told, **state))
            return
        tx.execute(update(NodeRow).where(NodeRow.id == card.id).values(**told, **state))

    def beat(self, card: Card, load: Load) -> NodeState:
        return self._plane.write_now(lambda tx: self._beat(tx, card, load), alone=False)

    def _beat(self, tx: Session, card: Card, load: Load) -> NodeState:
        row = tx.get(NodeRow, card.id, with_for_update=True)
        if row is None:  # somebody has forgotten it, and was wrong
            self._enter(tx, card)
            return NodeState.RUNNING
        if row.life != card.life:
            raise FatalError(
                f"node {card.id!r} is another process now: one that started later, at {row.address}",
                hint="a data directory was copied: stop the copy; a node begins with one that has secret.key alone",
            )
        row.seen_at, row.load = moment(tx, self._clock), msgspec.to_builtins(load)
        if row.state == NodeState.GONE.value:
            row.state = NodeState.RUNNING.value
        return NodeState(row.state)

    def leave(self, card: Card) -> None:
        def work(tx: Session) -> None:
            tx.execute(update(LeaseRow).where(LeaseRow.life == card.life).values(_FREE))
            mine = update(NodeRow).where(NodeRow.id == card.id, NodeRow.life == card.life)
            tx.execute(mine.values(state=NodeState.GONE.value, seen_at=moment(tx, self._clock)))

        self._plane.write_now(work, alone=False)

    def nodes(self) -> list[Node]:
        return self._plane.read_now(lambda tx: all_nodes(tx, self._clock))

    def doings(self) -> list[tuple[Node, dict[PipelineId, Doing]]]:
        def work(tx: Session) -> list[tuple[Node, dict[PipelineId, Doing]]]:
            now = moment(tx, self._clock)
            keeping = [(row, number) for row, number in tx.execute(_BY_NAME) if BRONZE in row.offers]
            return [(node_of(row, now, of), msgspec.convert(row.load, Report).pipelines) for row, of in keeping]

        return self._plane.read_now(work)


_WITH_PARTITION: Final = select(NodeRow, PartitionRow.number).outerjoin(
    PartitionRow, PartitionRow.node_id == NodeRow.id
)  # fmt: skip
_BY_NAME: Final = _WITH_PARTITION.order_by(NodeRow.name, NodeRow.id)
_FREE: dict[str, Any] = {"node_id": None, "life": None, "until": None}


def all_nodes(tx: Session, clock: Clock) -> list[Node]:
    """Return every node there is, by name."""
    now = moment(tx, clock)
    return told_apart([node_of(row, now, number) for row, number in tx.execute(_BY_NAME)])


def find(tx: Session, node_id: str, clock: Clock) -> Node:
    """Return one node. Raises NotFound."""
    found = tx.execute(_WITH_PARTITION.where(NodeRow.id == node_id)).one_or_none()
    if found is None:
        raise NotFound(f"there is no node {node_id!r}")
    return node_of(found[0], moment(tx, clock), found[1])


def keepers(tx: Session) -> Sequence[NodeId]:
    """Return the nodes that have events on their own disk, also those that are down: their disk still holds them."""
    rows = tx.execute(select(NodeRow.id, NodeRow.offers).order_by(NodeRow.id))
    return [NodeId(node_id) for node_id, offers in rows if BRONZE in offers]


def tell(tx: Session, node_id: str, state: NodeState, clock: Clock) -> Node:
    """Have a node drain, or run again; it hears of it at its next heartbeat.

    Raises:
        NotFound: there is none.
        Conflict: it is gone.
    """
    node = find(tx, node_id, clock)
    if node.state is state:
        return node
    if state not in TRANSITIONS[node.state] or node.state is NodeState.GONE:
        raise Conflict(f"node {node.card.name!r} is {node.state.value!r} and cannot be told: start it first")
    tx.execute(update(NodeRow).where(NodeRow.id == node_id).values(state=state.value))
    return find(tx, node_id, clock)


def forget(tx: Session, node_id: str, clock: Clock) -> Node:
    """Remove a node that will not come back, and cancel the jobs that it alone could have done.

    Raises:
        NotFound: there is none.
        Conflict: it lives.
    """
    node = find(tx, node_id, clock)
    if node.state is not NodeState.GONE:
        raise Conflict(f"node {node.card.name!r} is {node.state.value!r}: stop it first, then it can be forgotten")
    alone = select(JobNeedRow.job_id).where(JobNeedRow.capability == on_node(node.card.id))
    cancelled = {
        "state": JobState.CANCELLED.value,
        "error": f"its node {node.card.name!r} was forgotten",
        "finished_at": moment(tx, clock),
        "owner": None,
        "lease_until": None,
    }
    unended = (JobState.READY.value, JobState.RUNNING.value)
    tx.execute(update(JobRow).where(JobRow.id.in_(alone), JobRow.state.in_(unended)).values(cancelled))
    tx.execute(update(LeaseRow).where(LeaseRow.node_id == node_id).values(_FREE))
    tx.execute(delete(NodeRow).where(NodeRow.id == node_id))
    return node


def forget_idle(tx: Session, before: datetime) -> None:
    """Forget nodes that keep no events and were not seen since ``before``: nothing is lost with one."""
    rows = tx.scalars(select(NodeRow).where(NodeRow.seen_at <= before)).all()
    idle = [row.id for row in rows if BRONZE not in row.offers]
    tx.execute(delete(NodeRow).where(NodeRow.id.in_(idle)))


def node_of(row: NodeRow, now: datetime, partition: int | None) -> Node:
    card = Card(
        id=NodeId(row.id),
        life=row.life,
        name=row.name,
        role=row.role,
        address=row.address,
        version=row.version,
        offers=tuple(row.offers),
        every_secs=row.every_secs,
    )
    return Node(
        card=card,
        state=state_of(NodeState(row.state), row.seen_at, row.every_secs, now),
        started_at=row.started_at,
        seen_at=row.seen_at,
        load=msgspec.convert(row.load, Load),
        partition=partition,
    )


_: type[NodeStore] = Nodes
