"""A node's room for other nodes, served on loopback by the real server in a thread of its own."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from appliance.api.internal import Internal, Me
from appliance.components.bronze import BronzeLog
from appliance.components.handshake import Seal
from appliance.components.partitions import Holder
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import NodeId
from appliance.server import App, Listener
from appliance.storage.bronze_cluster.caller import Caller

KEY = bytes(range(32))
STOP_SECS = 5.0


async def in_thread(work: Any, *args: Any) -> Any:
    return await asyncio.to_thread(work, *args)


def room(log: BronzeLog | None, *, node_id: str = "nd_3", key: bytes = KEY, clock: Clock = utc_now) -> Internal:
    return Internal(Me(NodeId(node_id), "1.2.3"), log, Seal(key), in_thread, clock)


@contextmanager
def served(app: App, partition: int = 3) -> Iterator[Holder]:
    """Serve ``app``; the node that it belongs to is ``nd_<partition>``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    loop, ready = asyncio.new_event_loop(), threading.Event()
    stop = asyncio.Event()
    thread = threading.Thread(target=partial(_serve, loop, app, port, ready, stop), name="room")
    thread.start()
    try:
        assert ready.wait(10), "the room does not open"
        yield Holder(NodeId(f"nd_{partition}"), f"node-{partition}", f"http://127.0.0.1:{port}", partition)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


@contextmanager
def calling(**options: Any) -> Iterator[Caller]:
    caller = Caller(Seal(options.pop("key", KEY)), **options)
    try:
        yield caller
    finally:
        caller.close()


def _serve(loop: asyncio.AbstractEventLoop, app: App, port: int, ready: threading.Event, stop: asyncio.Event) -> None:
    async def until_told() -> None:
        listener = Listener(app, "127.0.0.1", port)
        listener.start()
        await listener.accepts(10)
        ready.set()
        await stop.wait()
        await listener.stop(STOP_SECS)

    asyncio.set_event_loop(loop)
    loop.run_until_complete(until_told())
