"""News of commits for the other nodes: which pipelines have new rows, told together a few times a second at most."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from appliance.domain.ids import PipelineId
from appliance.engine.refine import Commit
from appliance.engine.relay import COMMITS, Relay
from appliance.engine.topics import Hub

PAUSE_SECS: Final = 0.25


class CommitNews:
    """``changed``: called with each pipeline that another node has committed rows of."""

    def __init__(self, hub: Hub, relay: Relay, changed: Callable[[PipelineId], None]) -> None:
        self._hub, self._relay, self._changed = hub, relay, changed
        self._pending: set[PipelineId] = set()
        self._some = asyncio.Event()

    def committed(self, commit: Commit) -> None:
        """Note a commit of this node."""
        self._pending.add(commit.pipeline_id)
        self._some.set()

    async def tell(self) -> None:
        """Tell the others, until cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            news, self._pending = sorted(self._pending), set()
            self._relay.carry(COMMITS, msgspec.json.encode(news))
            await asyncio.sleep(PAUSE_SECS)

    async def hear(self) -> None:
        """Hear the others, until cancelled."""
        async with self._hub.subscribe(COMMITS) as payloads:
            async for payload in payloads:
                for pipeline_id in msgspec.json.decode(payload, type=list[PipelineId]):
                    self._changed(pipeline_id)
