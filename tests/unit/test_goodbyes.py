"""A server that stops may never answer a close: nobody waits for it."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from appliance.server import Goodbyes, Receive, Scope, Send

Message = MutableMapping[str, Any]


async def silence() -> Message:
    raise AssertionError("nothing is received in these tests")


async def closes(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close"})


async def test_a_close_that_is_never_answered_does_not_hold_the_page() -> None:
    sent: list[str] = []

    def granian(message: Message) -> asyncio.Future[None]:
        sent.append(message["type"])
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if message["type"] != "websocket.close":
            answer.set_result(None)
        return answer

    await asyncio.wait_for(Goodbyes(closes)({"type": "websocket"}, silence, granian), 5)
    assert sent == ["websocket.accept", "websocket.close"]


async def test_a_server_that_sends_only_when_awaited_is_awaited() -> None:
    sent: list[str] = []

    async def uvicorn(message: Message) -> None:
        sent.append(message["type"])

    await Goodbyes(closes)({"type": "websocket"}, silence, uvicorn)
    assert sent == ["websocket.accept", "websocket.close"]
