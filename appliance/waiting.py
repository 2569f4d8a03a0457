"""A start while the database is away: the port opens, and events are received by what this node knew last."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

import structlog

from appliance.api.ingest import Bounds, Ingest
from appliance.api.waiting import Check, WaitingRooms
from appliance.components.bronze import BronzeLog
from appliance.components.source import InboundRequest, PullSource, PushSource
from appliance.domain.clock import utc_now
from appliance.domain.event import Receipt
from appliance.domain.ids import PipelineId
from appliance.domain.partition import Partition
from appliance.domain.pipeline import Pipeline
from appliance.engine.disk_guard import DiskGuard
from appliance.engine.receive import Receiver, door_of
from appliance.errors import DashError, TransientError
from appliance.knowing import known_of
from appliance.life import ACCEPTS_WITHIN_SECS
from appliance.observe.service_manager import ServiceManager
from appliance.rooms import import_rooms
from appliance.server import App, Entrance, Listener, url_of
from appliance.settings import Settings
from appliance.storage.control.last_known import LastKnown

if TYPE_CHECKING:
    from appliance.compose import Appliance

AGAIN_SECS: Final = 1.0
UNKNOWN: Final = "this node started while its database is away, and knows no such pipeline: send the request again"

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

log = structlog.get_logger("appliance")


class OwnLog(Protocol):
    """A log of this node's, in files."""

    def open(self) -> None: ...

    async def close(self) -> None: ...


L = TypeVar("L", bound=OwnLog)


@dataclass(frozen=True, slots=True)
class Means(Generic[L]):
    """What a node starts with. ``opened``: everything, over its log, or over one that is not open yet (None)."""

    opened: Callable[[L | None], AbstractAsyncContextManager["Appliance"]]
    log: Callable[[], L]  # not open yet
    outward: Callable[[L, Partition], BronzeLog]
    disk: Callable[[], DiskGuard]
    source_of: Callable[[Pipeline], PushSource | PullSource]


class EarlyReceiver(Receiver):
    """Who is not known may have been made on another node meanwhile: he is asked to come again, not sent away."""

    async def post(self, pipeline_id: PipelineId, request: InboundRequest) -> Receipt:
        if not self.knows(pipeline_id):
            raise TransientError(UNKNOWN, retry_after_secs=5)
        return await super().post(pipeline_id, request)


class Start(Generic[L]):
    """One start of a node that serves: by its database at once, or later by what it knew before.

    ``ready`` is told the address when the port takes requests, once.
    """

    def __init__(
        self, settings: Settings, service: ServiceManager, ready: Callable[[str], None], means: Means[L]
    ) -> None:
        self._settings, self._service, self._ready, self._means = settings, service, ready, means
        self._entrance = Entrance()
        self._listener: Listener | None = None
        self._why = ""
        self._it: Appliance | None = None  # once it is whole

    def ready(self, url: str) -> None:
        """Tell, unless it was told already."""
        told, self._ready = self._ready, lambda _: None
        told(url)

    def listener(self, root: App) -> Listener:
        """Return who listens on the port, for ``root`` from now on."""
        self._entrance.room = root
        if self._listener is None:
            self._listener = Listener(self._entrance, self._settings.server.host, self._settings.server.port)
        return self._listener

    async def whole(self, stack: AsyncExitStack) -> "Appliance | None":
        """Return the open appliance, as soon as its database answers; None: it was told to stop before.

        ``stack`` is given what is to be closed. Raises as ``Means.opened``; TransientError only where nothing is known.
        """
        try:
            return await stack.enter_async_context(self._means.opened(None))
        except TransientError as error:
            known = await asyncio.to_thread(known_of, self._settings)
            if known is None:
                raise
            self._why = str(error)
        own = self._means.log()
        stack.push_async_callback(own.close)
        await asyncio.to_thread(own.open)
        async with AsyncExitStack() as waiting:
            stopping = _stopping(waiting)
            await self._receive(known, self._means.outward(own, known.partition), waiting)
            stack.callback(asyncio.create_task(self._service.beat(self._answers), name="watchdog").cancel)
            stack.push_async_callback(self._shut)
            await asyncio.to_thread(import_rooms, self._settings.server)  # else senders would wait for that later
            return await self._wait(stopping, lambda: stack.enter_async_context(self._means.opened(own)))

    async def _receive(self, known: LastKnown, events: BronzeLog, waiting: AsyncExitStack) -> None:
        """Open the port, and the doors of the pipelines whose log goes on from where it was."""
        disk = self._means.disk()
        disk.look()
        waiting.callback(asyncio.create_task(disk.run(), name="disk").cancel)
        receiver = EarlyReceiver(events, utc_now, disk)
        await self._open_doors(receiver, events, known)
        ingest = self._settings.ingest
        bounds = Bounds(ingest.max_body, ingest.max_inflight_bytes)
        rooms = WaitingRooms(Ingest(receiver, bounds, _uncounted), partial(self._checks, receiver, disk))
        listener = self.listener(rooms)
        listener.start()
        await listener.accepts(ACCEPTS_WITHIN_SECS)
        log.warning("appliance.waiting", reason=self._why, pipelines=len(known.pipelines))
        self.ready(url_of(self._settings.server))

    async def _answers(self) -> bool:
        return self._listener is not None and await self._listener.answers()

    async def _open_doors(self, receiver: Receiver, events: BronzeLog, known: LastKnown) -> None:
        """A log that has lost events would give their numbers to new ones, which would then pass for refined."""
        for pipeline in known.pipelines:
            refined = known.refined.get(pipeline.id, 0)
            try:
                last = await asyncio.to_thread(events.last_seq, pipeline.id)
                if last < refined:
                    receiver.refuse(pipeline.id, f"its log ends at event {last}, and {refined} were refined of it")
                else:
                    door = door_of(pipeline, self._means.source_of(pipeline))
                    door.told.append(partial(self._arrived, pipeline.id))
                    receiver.open(pipeline.id, door)
            except DashError as error:
                receiver.refuse(pipeline.id, str(error))

    def _arrived(self, pipeline_id: PipelineId, events: int) -> None:
        """Have refined what comes in by this door when the pipeline runs already, and the room is not changed yet."""
        if self._it is not None and self._it.engine.runs_here(pipeline_id):
            self._it.engine.run_of(pipeline_id).arrived(utc_now, events)

    async def _wait(self, stopping: asyncio.Event, opened: Callable[[], Awaitable["Appliance"]]) -> "Appliance | None":
        """Try until the database answers, or a signal says stop."""
        while not stopping.is_set():
            try:
                self._it = await opened()
            except TransientError as error:
                self._why = str(error)
            else:
                return None if stopping.is_set() else self._it
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), AGAIN_SECS)
        return None

    async def _shut(self) -> None:
        """Take no more requests. Where the appliance became whole, it has done so by itself."""
        if self._listener is not None:
            await self._listener.stop(self._settings.server.drain_timeout.total_seconds())

    def _checks(self, receiver: Receiver, disk: DiskGuard) -> dict[str, Check]:
        refused = "; ".join(f"{pipeline_id}: {reason}" for pipeline_id, reason in receiver.out_of_order().items())
        told = (
            f"this node has started without its database ({self._why}): events are received by what it knew last, and "
            "all else begins when the database answers"
        )
        return {
            "receiving": (not disk.stopped and not refused, refused or disk.told()),
            "database": (False, told),
        }  # fmt: skip


def _stopping(waiting: AsyncExitStack) -> asyncio.Event:
    """Return what a signal sets until ``waiting`` ends: whoever goes on with the appliance hears them himself."""
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stopping.set)
        waiting.callback(loop.remove_signal_handler, number)
    return stopping


def _uncounted(pipeline_id: str, outcome: str, size: int) -> None:
    """Metrics begin with the whole appliance."""
