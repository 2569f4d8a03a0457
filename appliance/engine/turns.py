"""Turns: how pollers begin one, and which pipelines of this node take turns with other nodes at all."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from appliance.components.bronze import BronzeLog
from appliance.components.nodes import Lease
from appliance.components.partitions import Partitioned, others_of
from appliance.components.polls import PageLog, TakesTurns
from appliance.components.silver import SilverStore
from appliance.components.source import Page
from appliance.domain.ids import PipelineId
from appliance.engine.tenure import AGAIN_SECS, Tenure
from appliance.engine.workers import Workers
from appliance.errors import TransientError


class Turn:
    """A tenure as its poller sees it, on the event loop. ``moved``: called when a checkpoint moved without an event."""

    def __init__(self, tenure: Tenure, workers: Workers) -> None:
        self.tenure, self._workers = tenure, workers
        self.moved: Callable[[], None] = lambda: None

    async def begin(self, keep: Callable[[Page], Awaitable[None]]) -> bool:
        """Have the tenure. The log's checkpoint is where to poll then; return whether nobody has ever polled before.

        ``keep``: makes a page durable. Raises TransientError: it cannot be had now.
        """
        tenure, run = self.tenure, self._workers.run
        if tenure.running is not None:
            return False
        before = await run("control", tenure.look)
        if before.holder == tenure.partition:  # as before a restart, or the lease was lost: nobody has come between
            return False
        if before.holder is not None:
            told: dict[str, Any] = msgspec.json.decode(before.checkpoint) if before.checkpoint else {}
            await keep(Page((), told))  # first, so that whoever holds a tenure has the place in the log
        await run("control", tenure.claim, before)
        return before.holder is None

    def named(self, page: Page) -> Page:
        """Return ``page`` with a name of this tenure: fetched in an earlier one as well, it was withdrawn there.

        Raises TransientError: the tenure has ended, as far as is known.
        """
        if page.delivery_id is None:
            return page
        if (tenure := self.tenure.running) is None:
            raise TransientError("another node may poll by now: what was fetched is not kept", AGAIN_SECS)
        return msgspec.structs.replace(page, delivery_id=f"{tenure}/{page.delivery_id}")


class Turns:
    """Of one node among several. ``lease_of``: the lease to poll a pipeline under, if this node holds it."""

    def __init__(self, bronze: BronzeLog, workers: Workers, lease_of: Callable[[PipelineId], Lease | None]) -> None:
        self._bronze, self._workers, self._lease_of = bronze, workers, lease_of

    def of(self, pipeline_id: PipelineId, silver: SilverStore) -> Turn | None:
        """Return the turn of a pipeline that is polled; None: stores or logs that only one node has."""
        if not isinstance(silver, TakesTurns) or not isinstance(self._bronze, PageLog):
            return None
        tenure = Tenure(pipeline_id, self._bronze, silver.polls, partial(self._lease_of, pipeline_id))
        return Turn(tenure, self._workers)


async def checkpoints_elsewhere(
    bronze: BronzeLog, workers: Workers, pipeline_id: PipelineId
) -> list[dict[str, Any] | None]:
    """Return the checkpoints of when other nodes polled the pipeline."""

    def look() -> list[dict[str, Any] | None]:
        return [log.checkpoint(pipeline_id) for log in others_of(bronze, pipeline_id)]

    return await workers.run("feed", look) if isinstance(bronze, Partitioned) else []
