"""The live feed: a plain WebSocket. The client names topics; each change is encoded once and sent to all."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, NamedTuple

import msgspec
import structlog

from appliance.api.authentication import from_own_origin, principal_of
from appliance.domain.access import Principal
from appliance.domain.ids import DashboardId, PipelineId
from appliance.engine.engine import Engine
from appliance.engine.payloads import encode, pipelines_topic
from appliance.engine.topics import Mailbox
from appliance.errors import BadRequest, DashError, NotFound
from appliance.services import Services
from appliance.services.live_dashboards import LiveDashboards

PATH: Final = "/api/v1/feed"
MAX_TOPICS: Final = 200
SESSION_LOOK_SECS: Final = 30.0
_UNAUTHENTICATED, _FOREIGN_ORIGIN, _GOING_AWAY = 4401, 4403, 1001

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = structlog.get_logger("feed")


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """What a client may say: ``{"subscribe": ["pipeline:…", "dashboard:…", "pipelines"]}`` and the opposite."""

    subscribe: list[str] = []
    unsubscribe: list[str] = []


class Connection(NamedTuple):
    """One WebSocket, as ASGI hands it over."""

    scope: Scope
    receive: Receive
    send: Send

    async def close(self, code: int) -> None:
        await self.send({"type": "websocket.close", "code": code})


class Feed:
    """The ASGI application behind ``/api/v1/feed``. ``stopping`` ends every connection with code 1001."""

    def __init__(self, engine: Engine, services: Services, dashboards: LiveDashboards, stopping: asyncio.Event) -> None:
        self._engine, self._services, self._dashboards = engine, services, dashboards
        self._stopping = stopping
        self.connections = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(scope, receive, send)
        await receive()  # websocket.connect
        who = await principal_of(scope, self._services)
        await send({"type": "websocket.accept"})
        if who is None:
            await connection.close(_UNAUTHENTICATED)
        elif not from_own_origin(scope):
            await connection.close(_FOREIGN_ORIGIN)
        else:
            await self._serve(connection, who)

    async def _serve(self, connection: Connection, who: Principal) -> None:
        self.connections += 1
        try:
            async with self._engine.hub.mailbox() as mailbox:
                await self._converse(connection, who, mailbox)
        finally:
            self.connections -= 1

    async def _converse(self, connection: Connection, who: Principal, mailbox: Mailbox) -> None:
        """Listen and tell at once, until the client leaves, is signed out, or the appliance stops."""
        endings: dict[asyncio.Task[None], int | None] = {
            asyncio.create_task(self._listen(who, mailbox, connection.receive)): None,
            asyncio.create_task(_tell(mailbox, connection.send)): None,
            asyncio.create_task(self._until_signed_out(connection.scope)): _UNAUTHENTICATED,
            asyncio.create_task(_until(self._stopping)): _GOING_AWAY,
        }
        done, pending = await asyncio.wait(endings, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*endings, return_exceptions=True)
        codes = [code for task, code in endings.items() if task in done]
        if None not in codes:  # else the connection has gone
            await connection.close(codes[0] or _GOING_AWAY)

    async def _until_signed_out(self, scope: Scope) -> None:
        while True:
            await asyncio.sleep(SESSION_LOOK_SECS)
            if await principal_of(scope, self._services) is None:
                return

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
        try:
            if len(mailbox.topics) >= MAX_TOPICS:
                raise BadRequest(f"one connection may follow {MAX_TOPICS} topics: unsubscribe from some first")
            await self._authorise(who, topic)
            mailbox.follow(_inner(who, topic))
            mailbox.put(await self._first(who, topic))
        except DashError as error:
            mailbox.leave(_inner(who, topic))
            mailbox.put(_told(topic, error))

    async def _authorise(self, who: Principal, topic: str) -> None:
        """Return if ``who`` may follow ``topic``.

        Raises:
            NotFound: there is no such topic, or it belongs to another organisation.
        """
        kind, _, name = topic.partition(":")
        if topic == "pipelines":
            return
        if kind in ("pipeline", "replay"):
            await self._services.pipelines.get(who, PipelineId(name))
        elif kind == "dashboard":
            await self._services.dashboards.get(who, DashboardId(name.partition("@")[0]))
        else:
            known = "'pipelines', 'pipeline:<id>', 'replay:<id>' or 'dashboard:<id>'"
            raise NotFound(f"no topic {topic[:100]!r}: follow {known}")

    async def _first(self, who: Principal, topic: str) -> bytes:
        """Return what stands now, for somebody who starts to follow ``topic``, which was authorised."""
        if topic == "pipelines":
            return self._engine.numbers(who.organisation_id)
        if topic.startswith("dashboard:"):
            return await self._dashboards.follow(who, topic)
        if topic.startswith("replay:"):
            pipeline_id = PipelineId(topic.removeprefix("replay:"))
            return encode({"topic": topic, "replay": await self._services.replays.latest(who, pipeline_id)})
        return self._engine.snapshot(PipelineId(topic.removeprefix("pipeline:")))


async def _until(event: asyncio.Event) -> None:
    await event.wait()


async def _tell(mailbox: Mailbox, send: Send) -> None:
    while True:
        payload = await mailbox.get()
        await send({"type": "websocket.send", "text": payload.decode()})


def _inner(who: Principal, topic: str) -> str:
    return pipelines_topic(who.organisation_id) if topic == "pipelines" else topic


def _told(topic: str | None, error: DashError) -> bytes:
    return encode({"topic": topic, "error": {"code": error.code, "title": str(error)}})
