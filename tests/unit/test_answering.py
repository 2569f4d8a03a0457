"""Whether the port answers, as the watchdog asks: a real server, and what only looks like one."""

import asyncio
import socket
from collections.abc import MutableMapping
from typing import Any

import pytest

import appliance.server
from appliance.server import Listener, Receive, Scope, Send


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answering(status: int) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["path"] == "/livez"
        start: MutableMapping[str, Any] = {"type": "http.response.start", "status": status, "headers": []}
        await send(start)
        await send({"type": "http.response.body", "body": b"x"})

    return app


@pytest.mark.parametrize(("status", "expected"), [(200, True), (503, False)])
async def test_a_server_that_runs(status: int, expected: bool) -> None:
    listener = Listener(answering(status), "127.0.0.1", free_port())
    listener.start()
    await listener.accepts(5)
    assert await listener.answers() is expected
    await listener.stop(5)
    assert await listener.answers() is False


async def test_a_port_that_is_open_and_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appliance.server, "ANSWERS_WITHIN_SECS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        listener = Listener(answering(200), "127.0.0.1", silent.getsockname()[1])
        began = asyncio.get_running_loop().time()
        assert await listener.answers() is False
        assert asyncio.get_running_loop().time() - began < 3
