"""A start that cannot be whole at once: the port opens, and events are received by what this node knows of its doors.

Its database is away, or the appliance is being moved.
"""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

import structlog

from appliance import handbook
from appliance.api.handbook import Handbook
from appliance.api.ingest import Bounds, Ingest
from appliance.api.waiting import WaitingRooms
from appliance.components.bronze import BronzeLog
from appliance.components.source import PullSource, PushSource
from appliance.domain.partition import ALONE, Partition
from appliance.domain.pipeline import Pipeline
from appliance.early import Early
from appliance.engine.disk_guard import DiskGuard
from appliance.engine.numbering import keep_numbers
from appliance.errors import DashError, TransientError
from appliance.knowing import known_of
from appliance.life import ACCEPTS_WITHIN_SECS
from appliance.observe.service_manager import ServiceManager
from appliance.placing import ORDERED
from appliance.rooms import import_rooms
from appliance.server import App, Entrance, Listener, url_of
from appliance.settings import Settings
from appliance.storage.control.last_known import LastKnown

if TYPE_CHECKING:
    from appliance.compose import Appliance
    from appliance.moving import Order
    from appliance.relocating import Relocation

AGAIN_SECS: Final = 1.0

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

    opened: Callable[[Settings, L | None], AbstractAsyncContextManager["Appliance"]]
    log: Callable[[], L]  # not open yet
    outward: Callable[[L, Partition], BronzeLog]
    disk: Callable[[], DiskGuard]
    source_of: Callable[[Pipeline], PushSource | PullSource]
    order: "Callable[[Relocation, L], Order]"


class Start(Generic[L]):
    """One start of a node that serves: by its database at once, or later by what it knew before.

    ``ready`` is told the address when the port takes requests, once. ``port``: bound already, for the listener.
    """

    def __init__(
        self,
        settings: Settings,
        service: ServiceManager,
        ready: Callable[[str], None],
        means: Means[L],
        port: socket.socket | None = None,
    ) -> None:
        self._settings, self._service, self._ready, self._means = settings, service, ready, means
        self._entrance, self._port = Entrance(), port
        self._listener: Listener | None = None
        self._why = ""

    def ready(self, url: str) -> None:
        """Tell, unless it was told already."""
        told, self._ready = self._ready, lambda _: None
        told(url)

    def listener(self, root: App) -> Listener:
        """Return who listens on the port, for ``root`` from now on."""
        self._entrance.room = root
        if self._listener is None:
            server = self._settings.server
            self._listener = Listener(self._entrance, server.host, server.port, self._port)
        return self._listener

    async def whole(self, stack: AsyncExitStack) -> "Appliance | None":
        """Return the open appliance, as soon as it can be; None: it was told to stop before.

        ``stack`` is given what is to be closed. Raises as ``Means.opened``; TransientError only where nothing is known.
        """
        move = await self._move_under_way()
        if move is None:
            try:
                return await stack.enter_async_context(self._means.opened(self._settings, None))
            except TransientError as error:
                known = await self._known_of(error)
        own = self._means.log()
        stack.push_async_callback(own.close)
        await asyncio.to_thread(own.open)
        async with AsyncExitStack() as waiting:
            stopping = _stopping(waiting)
            if move is not None:
                known, move = await self._known_at(move, own)
            early = await self._receive(known, self._means.outward(own, known.partition), waiting, move)
            stack.callback(asyncio.create_task(self._service.beat(self._answers), name="watchdog").cancel)
            stack.push_async_callback(self._shut)
            await asyncio.to_thread(import_rooms, self._settings.server)  # else senders would wait for that later
            if move is not None:
                self._settings = await move.run(self._means.order(move, own), stopping)
            return await self._wait(stopping, early, lambda: self._opened(stack, own))

    async def _move_under_way(self) -> "Relocation | None":
        """Return the move that was ordered and has not ended; what moves is imported for that alone, for its memory."""
        if not (self._settings.server.data_dir / ORDERED).exists():
            return None
        from appliance.relocating import under_way

        self._settings, move = await asyncio.to_thread(under_way, self._settings)
        return move

    async def _opened(self, stack: AsyncExitStack, own: L) -> "Appliance":
        return await stack.enter_async_context(self._means.opened(self._settings, own))

    async def _known_of(self, error: TransientError) -> LastKnown:
        """Return what the node knew last; ``error`` says why it has to do."""
        known = await asyncio.to_thread(known_of, self._settings)
        if known is None:
            raise error
        self._say(error)
        return known

    def _say(self, error: TransientError) -> None:
        self._why = (
            f"this node has started without its database ({error}): events are received by what it knew last, and all "
            "else begins when the database answers"
        )

    async def _known_at(self, move: "Relocation", own: L) -> "tuple[LastKnown, Relocation | None]":
        """Return what there is where the appliance is, and the move; None: that waits until its database answers."""
        try:
            async with self._means.opened(move.source, own) as it:
                pipelines = await it.services.pipelines.stored()
                await keep_numbers(it.engine, pipelines)
                return LastKnown(
                    database="", partition=it.events.partition or ALONE, pipelines=pipelines, refined={}
                ), move
        except TransientError as error:
            return await self._known_of(error), None
        except DashError as error:
            await asyncio.to_thread(move.fail, error)
            raise

    async def _receive(
        self, known: LastKnown, events: BronzeLog, waiting: AsyncExitStack, move: "Relocation | None"
    ) -> Early:
        """Open the port, and the doors of the pipelines whose log goes on from where it was."""
        disk = self._means.disk()
        disk.look()
        waiting.callback(asyncio.create_task(disk.run(), name="disk").cancel)
        early = Early(events, disk, lambda: self._why or (move.told() if move is not None else ""))
        await early.open_doors(known, self._means.source_of)
        ingest = self._settings.ingest
        bounds = Bounds(ingest.max_body, ingest.max_inflight_bytes)
        share = move.share if move is not None else lambda: None
        door = Ingest(early.receiver, bounds, _uncounted)
        rooms = WaitingRooms(door, early.checks, share, Handbook(handbook.find))
        listener = self.listener(rooms)
        listener.start()
        await listener.accepts(ACCEPTS_WITHIN_SECS)
        log.warning("appliance.waiting", reason=early.checks()["database"][1], pipelines=len(known.pipelines))
        self.ready(url_of(self._settings.server))
        return early

    async def _answers(self) -> bool:
        return self._listener is not None and await self._listener.answers()

    async def _wait(
        self, stopping: asyncio.Event, early: Early, opened: Callable[[], Awaitable["Appliance"]]
    ) -> "Appliance | None":
        """Try until the database answers, or a signal says stop."""
        while not stopping.is_set():
            try:
                early.whole = await opened()
            except TransientError as error:
                self._say(error)
            else:
                return None if stopping.is_set() else early.whole
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), AGAIN_SECS)
        return None

    async def _shut(self) -> None:
        """Take no more requests. Where the appliance became whole, it has done so by itself."""
        if self._listener is not None:
            await self._listener.stop(self._settings.server.drain_timeout.total_seconds())


def _stopping(waiting: AsyncExitStack) -> asyncio.Event:
    """Return what a signal sets until ``waiting`` ends: whoever goes on with the appliance hears them himself."""
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stopping.set)
        waiting.callback(loop.remove_signal_handler, number)
    return stopping


def _uncounted(pipeline_id: str, outcome: str, size: int) -> None:
    """Metrics begin with the whole appliance."""
