"""This node among the others: who it says it is, its heartbeat, its leases and its bus.

An embedded appliance is a node as well, the only one: it has a heartbeat (a rare one, since nobody else looks) and does
its own jobs; it needs neither leases nor a bus.
"""

import asyncio
import secrets
import socket
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from appliance import __version__
from appliance.domain.database.access import Access
from appliance.domain.ids import PipelineId
from appliance.domain.job import on_node
from appliance.domain.node import Card, Doing, NodeState, Report
from appliance.engine.bells import rung
from appliance.engine.commits import CommitNews
from appliance.engine.heart import Heart
from appliance.engine.jobs import Station
from appliance.engine.leases import LeaseKeeper
from appliance.engine.onlooker import Onlooker
from appliance.engine.relay import Relay
from appliance.engine.turns import Turns
from appliance.observe.load import Cores, resident_bytes
from appliance.observe.node_metrics import BusNumbers
from appliance.services.live_dashboards import LiveDashboards
from appliance.storage.control.leases import Leases
from appliance.storage.control.nodes import BRONZE, Nodes

if TYPE_CHECKING:
    from appliance.compose import Appliance
    from appliance.engine.shared_replays import SharedReplays
    from appliance.storage.control.notify import NotifyBus

BEAT_SECS: Final = 3.0  # gone after 10
LONE_BEAT_SECS: Final = 30.0  # of one that is alone
POLL: Final = "poll"  # lease of a pipeline's polling: ``poll:pl_…``
REPLAY: Final = "replay"  # of carrying out a replay: ``replay:rp_…``
UPKEEP: Final = "upkeep"  # lease of the upkeep of what nodes share
ROWS: Final = f"{UPKEEP}:rows"
ALONE_OFFERS: Final = (BRONZE, POLL, UPKEEP)  # of a node that keeps events; among several it carries out replays too
CATCH_UP_SECS: Final = 30.0  # at the latest: usually a bell tells at once
HAND_OVER_SECS: Final = 3.0  # less than leases last beyond a round
SETTLE_SECS: Final = 0.2  # changes that follow one another are caught up with together


class Membership:
    """Made before pipelines are started, so that none is polled that is another node's."""

    def __init__(self, it: "Appliance", access: Access | None, address: str) -> None:
        """``access``: of the database that is shared; None: this node is alone."""
        self._it, self._cores = it, Cores()
        self.card = Card(
            id=it.node_id,
            life=secrets.token_hex(8),
            name=socket.gethostname(),
            role=it.settings.server.role.value,
            address=address,
            version=__version__,
            offers=() if it.engine.looks else ALONE_OFFERS if access is None else (*ALONE_OFFERS, REPLAY),
            every_secs=LONE_BEAT_SECS if access is None else BEAT_SECS,
        )
        workers = it.engine.workers
        self.heart = Heart(Nodes(it.plane), self.card, self._load, workers, it.services.nodes.bell)
        self.station = Station(
            node_id=it.node_id,
            offers=frozenset({*self.card.offers, on_node(it.node_id)}),
            closed=lambda: self.heart.draining,
            resting=lambda: it.services.maintenance.on,
            bell=it.services.jobs.bell,
        )
        self.count_jobs: Callable[[], int] = lambda: 0
        self._bus: NotifyBus | None = None
        self._relay: Relay | None = None
        self._leases: LeaseKeeper | None = None
        self._news: CommitNews | None = None
        self._replays: SharedReplays | None = None
        if access is not None:
            self._meet(access)

    def _meet(self, access: Access) -> None:
        """Prepare what only several nodes need."""
        from appliance.engine.shared_replays import SharedReplays
        from appliance.storage.control.notify import NotifyBus

        it, services = self._it, self._it.services
        self._bus = NotifyBus(access)
        relay = self._relay = Relay(it.engine.hub, self._bus)
        if isinstance(services.replays.running, SharedReplays):
            self._replays = services.replays.running
        if not it.engine.looks:
            self._share_work()
        bells = {
            "jobs": services.jobs.bell,
            "nodes": services.nodes.bell,
            "pipelines": services.pipelines.bell,
            "licenses": services.licenses.bell,
            "maintenance": services.maintenance.bell,
            "branding": services.branding.bell,
        }
        if self._replays is not None:
            bells["replays"] = self._replays.bell
        for name, bell in bells.items():
            bell.others = partial(relay.ring, name)
            relay.on_ring(name, bell.set)

    def keeps_rows(self) -> bool:
        """Return whether the upkeep of rows, which all nodes share, is for this node to do at present."""
        return self._leases is None or self._leases.lease(ROWS) is not None

    def _share_work(self) -> None:
        """Poll, and keep rows, only as far as this node holds the lease."""
        it = self._it
        store = Leases(it.plane, self.card.id, self.card.life)
        leases = LeaseKeeper(store, self.card.life, it.engine.workers, self._wanted, self._changed)
        self._leases = leases
        it.engine.may_poll = lambda pipeline_id: leases.lease(_lease_of(pipeline_id)) is not None
        it.engine.turns = Turns(it.engine.bronze, it.engine.workers, lambda one: leases.lease(_lease_of(one)))
        self.heart.changed.append(self._drain_leases)
        if self._replays is not None:
            self._replays.changed = leases.bell.set

    def show(self, dashboards: LiveDashboards, onlooker: Onlooker | None) -> None:
        """Have dashboards move when other nodes commit, and the others' when this one does.

        ``onlooker``: who else wants to know; None: nobody.
        """

        def changed(pipeline_id: PipelineId) -> None:
            dashboards.committed(pipeline_id)
            self._it.engine.committed_elsewhere(pipeline_id)
            if onlooker is not None:
                onlooker.committed(pipeline_id)

        if self._relay is not None:
            self._news = CommitNews(self._it.engine.hub, self._relay, changed)
            self._relay.missed.append(dashboards.look_again)
            self._it.engine.followers.append(self._news.committed)

    async def start(self, stack: AsyncExitStack) -> None:
        """Let the others know, and do what a member does until ``stack`` is closed."""
        await self.heart.beat()
        stack.push_async_callback(self.heart.close)
        self._task(stack, "heart", self.heart.run())
        if self._leases is not None:
            stack.push_async_callback(self._leases.close)
            self._task(stack, "leases", self._leases.run())
            if self._replays is not None:
                self._task(stack, "replays", self._replays.run())
        if self._bus is not None and self._relay is not None:
            self._task(stack, "bus", self._bus.run())
            self._task(stack, "relay", self._relay.run())
            self._task(stack, "catching up", self._catch_up())
        if self._news is not None:
            self._task(stack, "commits told", self._news.tell())
            self._task(stack, "commits heard", self._news.hear())

    def told(self) -> tuple[bool, str]:
        """Return whether this node takes on work, and its state in one sentence that anybody may read."""
        if self.heart.state is NodeState.RUNNING:
            return True, "this node runs" if self.heart.trouble is None else "this node runs, unheard by the others"
        if self.heart.state is NodeState.DRAINING:
            return False, "draining: this node takes on nothing new until it is told to, or started again"
        return False, "another process runs as this node: its data directory was copied"

    def labels(self) -> tuple[str, str, str]:
        return self.card.id, self.card.name, self.card.role

    def draining(self) -> bool:
        return self.heart.draining

    def silent_secs(self) -> float:
        return round(self.heart.silent_secs(), 1)

    def jobs(self) -> int:
        return self.count_jobs()

    def leases(self) -> tuple[int, int] | None:
        return None if self._leases is None else (self._leases.count, self._leases.changes)

    def bus(self) -> BusNumbers | None:
        bus = self._bus
        if bus is None:
            return None
        return BusNumbers(bus.connected, bus.sent, bus.received, bus.reconnects, bus.latency_secs)

    def _task(self, stack: AsyncExitStack, name: str, work: Coroutine[Any, Any, None]) -> None:
        stack.callback(asyncio.create_task(work, name=name).cancel)

    def _load(self) -> Report:
        """A node that only looks adds nothing: what it shows of pipelines is the others' to tell."""
        engine = self._it.engine
        doings = {} if engine.looks else {run.pipeline.id: Doing(run.state, run.stats()) for run in engine.runs()}
        stats = [one.stats for one in doings.values()]
        return Report(
            pipelines={} if self._bus is None else doings,
            events_per_sec=round(sum(one.rate_per_sec for one in stats), 1),
            lag_events=sum(one.lag_events for one in stats),
            lag_secs=max((one.lag_secs for one in stats), default=0.0),
            cpu=self._cores.used(),
            memory_bytes=resident_bytes(),
            leases=0 if self._leases is None else self._leases.count,
            jobs=self.jobs(),
        )

    def _wanted(self) -> list[str]:
        """Return the leases there should be: of rows, and one for each pipeline that is polled and for each replay."""
        replays = self._replays.wanted() if self._replays is not None else []
        polled = [_lease_of(run.pipeline.id) for run in self._it.engine.runs() if run.wants_polling]
        return [ROWS, *polled, *(f"{REPLAY}:{replay_id}" for replay_id in replays)]

    async def _changed(self, name: str, held: bool) -> None:
        """Begin or end what a lease is for; a round of retention asks before each step whether it still keeps rows."""
        kind, _, of = name.partition(":")
        if kind == REPLAY and self._replays is not None:
            if held:
                self._replays.took(of)
            else:
                await self._replays.leave(of)
            return
        pipeline_id = PipelineId(of)
        run = next((one for one in self._it.engine.runs() if one.pipeline.id == pipeline_id), None)
        if run is None:
            return
        if held:
            run.poll()
        else:  # what is held still is let go of, and there is time to leave nothing behind
            still = self._leases is not None and self._leases.lease(name) is not None
            await run.leave_polling(HAND_OVER_SECS if still else 0.0)

    def _drain_leases(self, state: NodeState) -> None:
        if self._leases is not None:
            self._leases.draining = state is not NodeState.RUNNING
            self._leases.bell.set()

    async def _catch_up(self) -> None:
        """Run what other nodes have saved, soon after they say so."""
        bell = self._it.services.pipelines.bell
        while True:
            if await rung(bell, CATCH_UP_SECS):
                await asyncio.sleep(SETTLE_SECS)
            await self._it.services.pipelines.catch_up()


def _lease_of(pipeline_id: PipelineId) -> str:
    return f"{POLL}:{pipeline_id}"
