"""Receive: the only writer of Bronze. A request is judged by its source, counted against its limit, made durable."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeGuard

from appliance.components.bronze import BronzeLog
from appliance.components.source import Admission, InboundRequest, Page, PullSource, PushSource
from appliance.domain.clock import Clock
from appliance.domain.event import Delivery, Envelope, Receipt
from appliance.domain.ids import PipelineId
from appliance.domain.pipeline import Pipeline, State
from appliance.engine.bucket import TokenBucket
from appliance.engine.disk_guard import DiskGuard
from appliance.errors import Conflict, NotFound, RateLimited, TransientError

OUT_OF_ORDER_SECS = 30.0
KEPT_HEADERS = ("content-type", "user-agent", "x-github-event", "x-request-id", "traceparent")


@dataclass(slots=True)
class Door:
    """Where one pipeline's events come in."""

    source_type: str
    source: PushSource | None  # None: polled, nothing may be posted
    limit: TokenBucket | None = None
    open: bool = True
    told: list[Callable[[int], None]] = field(default_factory=list)  # called with the count, after durability


class Receiver:
    """All doors of this process. Belongs to the event loop."""

    def __init__(self, bronze: BronzeLog, clock: Clock, disk: DiskGuard | None = None) -> None:
        self._bronze = bronze
        self._clock = clock
        self._disk = disk
        self._doors: dict[PipelineId, Door] = {}
        self._out_of_order: dict[PipelineId, str] = {}  # pipelines that exist and could not be started, and why
        self._under_way = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self.draining = False

    def open(self, pipeline_id: PipelineId, door: Door) -> None:
        """Let events in for ``pipeline_id``; replaces the door it had."""
        self._doors[pipeline_id] = door
        self._out_of_order.pop(pipeline_id, None)

    def refuse(self, pipeline_id: PipelineId, reason: str) -> None:
        """Answer senders of a pipeline that could not be started that it may work later, until its door opens."""
        self._out_of_order[pipeline_id] = reason

    def knows(self, pipeline_id: PipelineId) -> bool:
        """Return whether there is a door of that pipeline."""
        return pipeline_id in self._doors

    def out_of_order(self) -> dict[PipelineId, str]:
        return dict(self._out_of_order)

    def shut(self, pipeline_id: PipelineId) -> None:
        self._doors.pop(pipeline_id, None)
        self._out_of_order.pop(pipeline_id, None)

    async def post(self, pipeline_id: PipelineId, request: InboundRequest) -> Receipt:
        """Judge one request and return when its events are durable.

        Raises:
            NotFound: no such pipeline, or not one that can be posted to.
            Conflict: the pipeline is paused.
            RateLimited, TransientError, and whatever ``PushSource.admit`` raises.
        """
        door = self._doors.get(pipeline_id)
        if door is None and pipeline_id in self._out_of_order:
            raise TransientError("the pipeline could not be started: send the request again later", OUT_OF_ORDER_SECS)
        if door is None or door.source is None:
            raise NotFound(f"no pipeline {pipeline_id!r} takes events here: copy the ingest URL from its page")
        if self.draining:
            raise TransientError("the appliance is shutting down: send the request again", retry_after_secs=5)
        admission = door.source.admit(request)
        if not door.open:
            raise Conflict("the pipeline is paused and takes no events: resume it on its page, then send again")
        self.check_room()
        _keep_to_limit(door, admission)
        if self._disk is not None and self._disk.slow:
            await self._disk.slow_down()
        headers = {name: request.headers[name] for name in KEPT_HEADERS if name in request.headers}
        envelope = Envelope(
            received_at=request.received_at,
            source=door.source_type,
            delivery_id=admission.delivery_id,
            remote=request.remote,
            headers=headers,
        )
        return await self._append(pipeline_id, door, Delivery(envelope, admission.payloads))

    async def pull(self, pipeline_id: PipelineId, page: Page) -> Receipt:
        """Make one page of a polled source durable, with the source's new checkpoint."""
        door = self._doors.get(pipeline_id)
        if door is None:
            raise NotFound(f"pipeline {pipeline_id!r} has gone")
        self.check_room()
        envelope = Envelope(
            received_at=self._clock(),
            source=door.source_type,
            delivery_id=page.delivery_id,
            remote=page.remote,
            checkpoint=page.checkpoint,
        )
        return await self._append(pipeline_id, door, Delivery(envelope, page.payloads))

    def check_room(self) -> None:
        """Return if the disk has room for more events. Raises TransientError."""
        if self._disk is not None:
            self._disk.check()

    async def drain(self) -> None:
        """Refuse new requests and wait until every accepted one has its answer."""
        self.draining = True
        await self._quiet.wait()

    async def _append(self, pipeline_id: PipelineId, door: Door, delivery: Delivery) -> Receipt:
        self._under_way += 1
        self._quiet.clear()
        try:
            receipt = await self._bronze.append(pipeline_id, delivery)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._quiet.set()
        if not receipt.duplicate and receipt.count:
            for tell in door.told:
                tell(receipt.count)
        return receipt


def pushed(source: PushSource | PullSource) -> TypeGuard[PushSource]:
    """Return whether it is posted to; whatever is not is polled: catalog tests prove it."""
    return hasattr(source, "admit")


def door_of(pipeline: Pipeline, source: PushSource | PullSource) -> Door:
    """Return the door of ``pipeline``, whose source is ``source``."""
    document = pipeline.document
    return Door(
        source_type=str(document.source.get("type")),
        source=source if pushed(source) else None,
        limit=TokenBucket(document.rate_limit.events_per_sec) if document.rate_limit else None,
        open=pipeline.state is not State.PAUSED,
    )


def _keep_to_limit(door: Door, admission: Admission) -> None:
    if door.limit is None:
        return
    wait = door.limit.take(len(admission.payloads))
    if wait > 0:
        raise RateLimited(
            f"the pipeline's rate limit does not allow {len(admission.payloads)} more events now: "
            f"send again in {wait:.1f} s",
            retry_after_secs=wait,
        )
