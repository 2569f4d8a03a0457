"""Receiving while the appliance is not whole: doors of pipelines that are known, over this node's own log."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from appliance.api.waiting import Check
from appliance.components.bronze import BronzeLog
from appliance.components.source import InboundRequest, PullSource, PushSource
from appliance.domain.clock import utc_now
from appliance.domain.event import Receipt
from appliance.domain.ids import PipelineId
from appliance.domain.pipeline import Pipeline
from appliance.engine.disk_guard import DiskGuard
from appliance.engine.receive import Receiver, door_of
from appliance.errors import DashError, TransientError
from appliance.storage.control.last_known import LastKnown

if TYPE_CHECKING:
    from appliance.compose import Appliance

UNKNOWN: Final = "this node has started and knows no such pipeline yet: send the request again"


class EarlyReceiver(Receiver):
    """Who is not known may have been made on another node meanwhile: he is asked to come again, not sent away."""

    async def post(self, pipeline_id: PipelineId, request: InboundRequest) -> Receipt:
        if not self.knows(pipeline_id):
            raise TransientError(UNKNOWN, retry_after_secs=5)
        return await super().post(pipeline_id, request)


class Early:
    """``told``: why it is not whole. ``whole``: set once it is, while requests may still come in here."""

    def __init__(self, events: BronzeLog, disk: DiskGuard, told: Callable[[], str]) -> None:
        self.receiver = EarlyReceiver(events, utc_now, disk)
        self.whole: Appliance | None = None
        self._events, self._disk, self._told = events, disk, told

    async def open_doors(self, known: LastKnown, source_of: Callable[[Pipeline], PushSource | PullSource]) -> None:
        """A log that has lost events would give their numbers to new ones, which would then pass for refined."""
        for pipeline in known.pipelines:
            refined = known.refined.get(pipeline.id, 0)
            try:
                last = await asyncio.to_thread(self._events.last_seq, pipeline.id)
                if last < refined:
                    self.receiver.refuse(pipeline.id, f"its log ends at event {last}, and {refined} were refined of it")
                else:
                    door = door_of(pipeline, source_of(pipeline))
                    door.told.append(partial(self._arrived, pipeline.id))
                    self.receiver.open(pipeline.id, door)
            except DashError as error:
                self.receiver.refuse(pipeline.id, str(error))

    def _arrived(self, pipeline_id: PipelineId, events: int) -> None:
        """Have refined what comes in by this door when the pipeline runs already, and the room is not changed yet."""
        if self.whole is not None and self.whole.engine.runs_here(pipeline_id):
            self.whole.engine.run_of(pipeline_id).arrived(utc_now, events)

    def checks(self) -> Mapping[str, Check]:
        """Return the parts of ``/readyz``."""
        refused = "; ".join(f"{one}: {reason}" for one, reason in self.receiver.out_of_order().items())
        return {
            "receiving": (not self._disk.stopped and not refused, refused or self._disk.told()),
            "database": (False, self._told()),
        }
