"""Nodes as people see them: who runs, how busy; drained, taken back, forgotten."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.orm import Session

from appliance.components.partitions import Received
from appliance.components.silver import Progress
from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import NodeId, OrganisationId, PipelineId
from appliance.domain.node import Load, Node, NodeState
from appliance.domain.partition import base_of, partition
from appliance.engine.bells import Bell
from appliance.services.erasure_job import let_go
from appliance.services.ports import Engine
from appliance.services.views import Page
from appliance.storage.control import nodes as registry
from appliance.storage.control import partitions
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.moment import moment
from appliance.storage.control.plane import ControlPlane


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """``here``: the node that answers. ``silent_secs``: since its last heartbeat. ``load``: as of then.

    ``partition``: what the numbers of its events begin with; None: it keeps no events.
    """

    id: str
    name: str
    role: str
    address: str
    version: str
    partition: int | None
    state: NodeState
    here: bool
    started_at: datetime
    silent_secs: float
    load: Load


class Nodes:
    """``here``: this node; ``bell``: rung when it may have been told something."""

    def __init__(self, plane: ControlPlane, engine: Engine, here: NodeId, bell: Bell, clock: Clock = utc_now) -> None:
        self._plane, self._engine, self._here, self.bell, self._clock = plane, engine, here, bell, clock

    async def list(self, who: Principal) -> Page[NodeView]:
        """Return every node there is, by name."""
        require(who, Action.NODE_READ)
        return await self._plane.read(self._all)

    def _all(self, tx: Session) -> Page[NodeView]:
        now = moment(tx, self._clock)
        return Page([self._view(one, now) for one in registry.all_nodes(tx, self._clock)])

    async def get(self, who: Principal, node_id: str) -> NodeView:
        """Return one node. Raises NotFound."""
        require(who, Action.NODE_READ)
        return await self._plane.read(
            lambda tx: self._view(registry.find(tx, node_id, self._clock), moment(tx, self._clock))
        )

    async def drain(self, who: Principal, node_id: str) -> NodeView:
        """Have a node take on nothing new and hand over what it holds; it hears of it within seconds.

        Raises:
            NotFound: there is none.
            Conflict: it is gone.
        """
        return await self._tell(who, node_id, NodeState.DRAINING, "node.drain")

    async def resume(self, who: Principal, node_id: str) -> NodeView:
        """Have a node that drains take its part again. Raises as ``drain``."""
        return await self._tell(who, node_id, NodeState.RUNNING, "node.resume")

    async def forget(self, who: Principal, node_id: str) -> int:
        """Remove a node that is gone and will not come back; what it alone could have done is cancelled.

        Return how many events it had taken that nobody has refined: they are given up, and the trail tells of which
        pipelines. The ledgers count them no more.

        Raises:
            NotFound: there is none.
            Conflict: it lives.
        """
        require(who, Action.NODE_MANAGE)

        received = await self._plane.read(lambda tx: partitions.received_by(tx, node_id))
        given_up = await self._engine.workers.run("control", self._unrefined, received)

        def work(tx: Session) -> None:
            node = registry.forget(tx, node_id, self._clock)
            partitions.let_go(tx, node_id)
            let_go(tx, node.card.id, self._clock)
            self._note(tx, who, "node.forget", node, **({"given_up": given_up} if given_up else {}))

        await self._plane.write(work)
        return sum(given_up.values())

    def _unrefined(self, received: Sequence[tuple[OrganisationId, Received]]) -> dict[PipelineId, int]:
        """Return how many events of each pipeline are not refined; blocking."""
        found = {}
        for organisation_id, one in received:
            refined = self._engine.silver(organisation_id).partitions([one.pipeline_id]).get(one.pipeline_id, {})
            reached = refined.get(one.partition, Progress(base_of(partition(one.partition)))).seq
            if one.last_seq > reached:
                found[one.pipeline_id] = one.last_seq - reached
        return found

    async def _tell(self, who: Principal, node_id: str, state: NodeState, action: str) -> NodeView:
        require(who, Action.NODE_MANAGE)

        def work(tx: Session) -> NodeView:
            node = registry.tell(tx, node_id, state, self._clock)
            self._note(tx, who, action, node)
            return self._view(node, moment(tx, self._clock))

        view = await self._plane.write(work)
        self.bell.ring()
        return view

    def _note(self, tx: Session, who: Principal, action: str, node: Node, **more: Any) -> None:
        deed = Deed(
            organisation_id=who.organisation_id, who=who.name, action=action, target=node.card.id,
            detail={"name": node.card.name, **more},
        )  # fmt: skip
        record(tx, deed, self._clock())

    def _view(self, node: Node, now: datetime) -> NodeView:
        card = node.card
        return NodeView(
            id=card.id,
            name=card.name,
            role=card.role,
            address=card.address,
            version=card.version,
            partition=node.partition,
            state=node.state,
            here=card.id == self._here,
            started_at=node.started_at,
            silent_secs=round(max(0.0, (now - node.seen_at).total_seconds()), 1),
            load=node.load,
        )
