"""The heartbeat of this node: says that it lives and how busy it is, and hears whether it is to drain."""

from collections.abc import Callable

import structlog

from appliance.components.nodes import NodeStore
from appliance.domain.clock import elapsed_secs
from appliance.domain.node import Card, Load, NodeState
from appliance.engine.bells import Bell, rung
from appliance.engine.workers import Workers
from appliance.errors import DashError, FatalError

log = structlog.get_logger("node")


class Heart:
    """``changed`` is called, on the event loop, with each new state of this node."""

    def __init__(self, store: NodeStore, card: Card, load: Callable[[], Load], workers: Workers, bell: Bell) -> None:
        """``bell``: rung when somebody may have told this node something."""
        self.card = card
        self._store, self._load, self._workers = store, load, workers
        self.state = NodeState.RUNNING
        self.changed: list[Callable[[NodeState], None]] = []
        self._bell, self._entered = bell, False
        self.trouble: str | None = None
        self._beaten = elapsed_secs()

    @property
    def draining(self) -> bool:
        """Return whether this node is to take on nothing new."""
        return self.state is not NodeState.RUNNING

    def silent_secs(self) -> float:
        """Return the seconds since the others heard of this node last."""
        return elapsed_secs() - self._beaten

    async def run(self) -> None:
        """Beat at the pace that was promised, until cancelled; call ``close`` afterwards."""
        while True:
            await self.beat()
            await rung(self._bell, self.card.every_secs)

    async def beat(self) -> None:
        """Beat once, the first time by saying that this life begins; what goes wrong is told in ``trouble``."""
        try:
            if not self._entered:
                await self._workers.run("control", self._store.enter, self.card)
                self._entered = True
                log.info("node.entered", node=self.card.id, name=self.card.name, role=self.card.role)
            state = await self._workers.run("control", self._store.beat, self.card, self._load())
        except FatalError as error:
            self._say(f"{error}: {error.hint}")
            self._become(NodeState.GONE)
            return
        except DashError as error:
            self._say(str(error))
            return
        if self.trouble is not None:
            log.info("node.heard_again")
        self.trouble, self._beaten = None, elapsed_secs()
        self._become(state)

    async def close(self) -> None:
        """Say goodbye, so that nobody waits for this node."""
        try:
            await self._workers.run("control", self._store.leave, self.card)
        except DashError as error:
            log.warning("node.no_goodbye", error=str(error))

    def _become(self, state: NodeState) -> None:
        if state is self.state:
            return
        log.info("node.state", state=state.value, before=self.state.value)
        self.state = state
        for tell in self.changed:
            tell(state)

    def _say(self, trouble: str) -> None:
        if self.trouble is None:
            log.warning("node.unheard", error=trouble)
        self.trouble = trouble
