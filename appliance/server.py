"""The one port: rooms told apart by path before any framework wakes up, served by Granian in this process."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from granian._granian import SocketHolder
from granian.constants import Interfaces
from granian.server.embed import Server

from appliance.api.feed import PATH as FEED_PATH
from appliance.api.handbook import leads_here
from appliance.api.ingest import PREFIX as INGEST_PREFIX
from appliance.api.internal import PREFIX as INTERNAL_PREFIX
from appliance.errors import TransientError
from appliance.settings.sections import Server as ServerSettings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

API_PATHS: Final = frozenset({"/livez", "/readyz", "/healthz", "/metrics", "/api"})
GOODBYE_SECS: Final = 1.0
ANSWERS_WITHIN_SECS: Final = 5.0
_REACHABLE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
CONNECTIONS: Final = 2048  # Granian's default of 128 lets that many open streams freeze the whole server


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """``/in/…`` → ingest · the feed's WebSocket → feed · ``/api/…``, health, metrics → API · ``/docs`` → handbook.

    All else → screens.
    ``internal`` (``/internal/…``, for other nodes) is None where there are no others: then that is a path like any.
    """

    ingest: App
    feed: App
    api: Any  # Litestar, whose own types of scope and messages are narrower than ASGI's
    screens: App
    handbook: App
    internal: App | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if path.startswith(INGEST_PREFIX):
            await self.ingest(scope, receive, send)
        elif self.internal is not None and path.startswith(INTERNAL_PREFIX):
            await self.internal(scope, receive, send)
        elif path == FEED_PATH and scope["type"] == "websocket":
            await self.feed(scope, receive, send)
        elif path.startswith("/api/") or path in API_PATHS:
            await self.api(scope, receive, send)
        elif leads_here(path):
            await self.handbook(scope, receive, send)
        else:
            await self.screens(scope, receive, send)


class Goodbyes:
    """Closes WebSockets and waits for the answer, but only for a second.

    While Granian stops, its answer to a close may never come, and waiting for that answer cannot be cancelled: the
    process would hang at its end.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def tell(message: MutableMapping[str, Any]) -> None:
            if message["type"] != "websocket.close":
                await send(message)
                return
            await asyncio.wait({asyncio.ensure_future(send(message))}, timeout=GOODBYE_SECS)

        await self._app(scope, receive, tell if scope["type"] == "websocket" else send)


class Entrance:
    """What stands at the port: whichever room is behind it at the moment a request comes in."""

    room: App

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.room(scope, receive, send)


class _Server(Server):
    """Granian on a socket that others may go on with after it."""

    port_taken: socket.socket | None = None

    def _init_shared_socket(self) -> None:
        if self.port_taken is None:
            super()._init_shared_socket()  # type: ignore[no-untyped-call]
        else:  # it closes what it is given
            self._shd = SocketHolder(os.dup(self.port_taken.fileno()), False, CONNECTIONS)  # type: ignore[assignment, call-arg]


class Listener:
    """Accepts connections from ``start`` until ``stop``.

    ``port_taken``: a socket that is bound there; without it Granian binds one, and only traces back if it cannot.
    """

    def __init__(self, root: App, host: str, port: int, port_taken: socket.socket | None = None) -> None:
        self._server = _Server(
            root,
            address=host,
            port=port,
            interface=Interfaces.ASGINL,  # no lifespan: compose has opened everything already
            backlog=CONNECTIONS,
            backpressure=CONNECTIONS,
            log_enabled=False,
        )
        self._server.port_taken = port_taken
        self._address = (host, port)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; a second call does nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._server.serve(), name="granian")

    async def accepts(self, within_secs: float) -> None:
        """Return once a connection is accepted.

        Raises:
            TransientError: not within that time.
        """
        host, port = self._address
        reachable = _REACHABLE.get(host, host)
        try:
            async with asyncio.timeout(within_secs):
                while not await _connects(reachable, port):  # noqa: ASYNC110 - Granian gives no sign of its own
                    await asyncio.sleep(0.01)
        except TimeoutError as error:
            raise TransientError(f"listening on {host} port {port} did not begin within {within_secs:g} s") from error

    async def answers(self) -> bool:
        """Return whether a stranger who asks at the port hears that the process lives, within ``ANSWERS_WITHIN_SECS``.

        This goes the whole way of a request: the port, Granian's threads, the event loop, and back.
        """
        host, port = self._address
        try:
            async with asyncio.timeout(ANSWERS_WITHIN_SECS):
                return await _lives(_REACHABLE.get(host, host), port)
        except (TimeoutError, OSError):
            return False

    async def stop(self, timeout_secs: float, *, keep_port: bool = False) -> None:
        """Stop accepting, let open requests finish, and give up on them after ``timeout_secs``.

        ``keep_port``: who connects from now on waits for whoever goes on with ``port_taken``.
        """
        if self._task is None:
            return
        if self._server.port_taken is not None and not keep_port:
            self._server.port_taken.close()
        self._server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait({self._task}, timeout=timeout_secs)
        self._task = None


def url_of(server: ServerSettings) -> str:
    """Return where this very node answers: ``base_url`` may lead to any of several."""
    return f"http://{bracketed(server.host)}:{server.port}"


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def _connects(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


async def _lives(host: str, port: int) -> bool:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET /livez HTTP/1.1\r\nHost: {bracketed(host)}\r\nConnection: close\r\n\r\n".encode())
        return (await reader.readline()).split()[1:2] == [b"200"]
    finally:
        writer.close()
