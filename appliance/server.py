"""The outer ASGI application: four rooms behind one port, told apart by path before any framework wakes up."""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from appliance.api.feed import PATH as FEED_PATH
from appliance.api.ingest import PREFIX as INGEST_PREFIX

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

API_PATHS = ("/livez", "/readyz", "/healthz", "/metrics")


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """``/in/…`` → ingest · the feed's WebSocket → feed · ``/api/…``, health, metrics → API · all else → screens."""

    ingest: App
    feed: App
    api: App
    screens: App

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if path.startswith(INGEST_PREFIX):
            await self.ingest(scope, receive, send)
        elif path == FEED_PATH and scope["type"] == "websocket":
            await self.feed(scope, receive, send)
        elif path.startswith("/api/") or path == "/api" or path in API_PATHS:
            await self.api(scope, receive, send)
        else:
            await self.screens(scope, receive, send)
