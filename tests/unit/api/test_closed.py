"""What is said in rooms that a node does not have."""

import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from appliance.api.closed import NoIngest, NoScreens


async def asked(app: Any, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    said: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        said.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    await app({"type": "http", "path": path, "method": method}, receive, send)
    headers = {name.decode(): value.decode() for name, value in said[0]["headers"]}
    return said[0]["status"], headers, said[1]["body"]


async def test_events_are_sent_elsewhere() -> None:
    status, headers, body = await asked(NoIngest(), "/in/pl_1", "POST")
    assert (status, headers["content-type"]) == (404, "application/problem+json")
    assert json.loads(body)["detail"].startswith("this node is 'web' and takes no events: post to an ingestor")


async def test_an_ingestor_says_where_the_screens_are() -> None:
    screens = NoScreens("https://dash.example.org/?a=<b>")
    status, headers, body = await asked(screens, "/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"the screens are on a web node: https://dash.example.org/?a=&lt;b&gt;." in body
    assert int(headers["content-length"]) == len(body)
    assert (await asked(screens, "/", "HEAD"))[2] == b""


@pytest.mark.parametrize(("path", "method"), [("/pipelines", "GET"), ("/", "POST")])
async def test_there_is_nothing_else(path: str, method: str) -> None:
    status, _, body = await asked(NoScreens(""), path, method)
    assert (status, json.loads(body)["code"]) == (404, "E_NOT_FOUND")


async def test_a_websocket_is_closed() -> None:
    said: list[str] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        said.append(message["type"])

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    await NoScreens("")({"type": "websocket", "path": "/_nicegui_ws/socket.io/"}, receive, send)
    assert said == ["websocket.close"]
