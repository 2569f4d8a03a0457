"""The live feed: a plain WebSocket. The client names topics; each change is encoded once and sent to all."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import structlog
from appliance.api.authentication import principal_of

from appliance.domain.access import Principal
from appliance.domain.ids import PipelineId
from appliance.engine.engine import Engine
from appliance.engine.payloads import encode, pipelines_topic
from appliance.engine.topics import Mailbox
from appliance.errors import BadRequest, DashError, NotFound
from appliance.services import Services
from appliance.services.live_dashboards import LiveDashboards

PATH: Final = "/api/v1/feed"
MAX_TOPICS: Final = 200
_UNAUTHENTICATED, _FORBIDDEN_ORIGIN, _GOING_AWAY = 4401, 4403, 1001

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = structlog.get_logger("feed")


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """What a client may say: ``{"subscribe": ["pipeline:…", "dashboard:…", "pipelines"]}`` and the opposite."""

    subscribe: list[str] = []
    unsubscribe: list[str] = []


class Feed:
    """The ASGI application behind ``/api/v1/feed``. ``stopping`` ends every connection with code 1001."""

    def __init__(self, engine: Engine, services: Services, dashboards: LiveDashboards, stopping: asyncio.Event) -> None:
        self._engine, self._services, self._dashboards = engine, services, dashboards
        self._stopping = stopping
        self.connections = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        who = await principal_of(scope, self._services)
        refused = _UNAUTHENTICATED if who is None else 0 if _same_origin(scope) else _FORBIDDEN_ORIGIN
        await send({"type": "websocket.accept"})
        if who is None or refused:
            await send({"type": "websocket.close", "code": refused})
            return
        self.connections += 1
        try:
            async with self._engine.hub.mailbox() as mailbox:
                await self._converse(who, mailbox, receive, send)
        finally:
            self.connections -= 1

    async def _converse(self, who: Principal, mailbox: Mailbox, receive: Receive, send: Send) -> None:
        """Listen and tell at once, until the client leaves or the appliance stops."""
        listening = asyncio.create_task(self._listen(who, mailbox, receive))
        telling = asyncio.create_task(_tell(mailbox, send))
        stopping = asyncio.create_task(self._stopping.wait())
        tasks = {listening, telling, stopping}
        _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if listening in pending and telling in pending:
            await send({"type": "websocket.close", "code": _GOING_AWAY})

    async def _listen(self, who: Principal, mailbox: Mailbox, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text") or message.get("bytes") or b""
            try:
                wish = msgspec.json.decode(text, type=Wish)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                error = BadRequest('a message must be {"subscribe": [topic, …]} or {"unsubscribe": [topic, …]}')
                mailbox.put(_told(None, error))
                continue
            for topic in wish.unsubscribe:
                mailbox.leave(_inner(who, topic))
            for topic in wish.subscribe:
                await self._subscribe(who, mailbox, topic)

    async def _subscribe(self, who: Principal, mailbox: Mailbox, topic: str) -> None:
        inner = _inner(who, topic)
        try:
            if len(mailbox.topics) >= MAX_TOPICS:
                raise BadRequest(f"one connection may follow {MAX_TOPICS} topics: unsubscribe from some first")
            mailbox.follow(inner)
            mailbox.put(await self._first(who, topic))
        except DashError as error:
            mailbox.leave(inner)
            mailbox.put(_told(topic, error))

    async def _first(self, who: Principal, topic: str) -> bytes:
        """Return what stands now, for somebody who starts to follow ``topic``."""
        kind, _, name = topic.partition(":")
        match kind:
            case "pipelines":
                return self._engine.numbers(who.organisation_id)
            case "pipeline":
                await self._services.pipelines.get(who, PipelineId(name))
                return self._engine.snapshot(PipelineId(name))
            case "dashboard":
                return await self._dashboards.follow(who, topic)
        raise NotFound(f"no topic {topic!r}: follow 'pipelines', 'pipeline:<id>' or 'dashboard:<id>'")


async def _tell(mailbox: Mailbox, send: Send) -> None:
    while True:
        payload = await mailbox.get()
        await send({"type": "websocket.send", "text": payload.decode()})


def _inner(who: Principal, topic: str) -> str:
    return pipelines_topic(who.organisation_id) if topic == "pipelines" else topic


def _told(topic: str | None, error: DashError) -> bytes:
    return encode({"topic": topic, "error": {"code": error.code, "title": str(error)}})


def _same_origin(scope: Scope) -> bool:
    """Return whether a browser that sent this request was on one of our own pages; a program sends no Origin."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in (b"origin", b"host")}
    origin = headers.get(b"origin")
    return origin is None or urlsplit(origin).netloc == headers.get(b"host")
