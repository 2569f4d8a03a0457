"""Server-sent events: one event a commit, until the client leaves, loses its right, or the appliance stops."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from appliance.api.authentication import principal_of
from appliance.api.exchange import AnyRequest, services_of
from appliance.services.ports import Hub, Mailbox

QUIET_SECS: Final = 15.0  # then a comment is sent, so that proxies keep the connection
LOOK_SECS: Final = 15.0  # how often whoever listens is asked for again, however much there is to tell


async def commits(request: AnyRequest, topic: str) -> AsyncIterator[bytes]:
    """Yield each payload of ``topic`` as a server-sent event."""
    hub: Hub = request.app.state["hub"]
    stopping: asyncio.Event = request.app.state["stopping"]
    async with hub.mailbox() as mailbox:
        mailbox.follow(topic)
        yield b"retry: 2000\n\n"
        looked = time.monotonic()
        while not stopping.is_set():
            payload = await _next(mailbox, stopping)
            if payload is None and stopping.is_set():
                return
            if time.monotonic() - looked >= LOOK_SECS or payload is None:
                if await principal_of(request.scope, services_of(request)) is None:
                    return
                looked = time.monotonic()
            yield b": quiet\n\n" if payload is None else b"event: commit\ndata: " + payload + b"\n\n"


async def _next(mailbox: Mailbox, stopping: asyncio.Event) -> bytes | None:
    """Return the next payload; None: it has been quiet, or the appliance stops."""
    getting, stop = asyncio.ensure_future(mailbox.get()), asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({getting, stop}, timeout=QUIET_SECS, return_when=asyncio.FIRST_COMPLETED)
        return getting.result() if getting.done() else None
    finally:
        for task in (getting, stop):
            task.cancel()
        await asyncio.gather(getting, stop, return_exceptions=True)
