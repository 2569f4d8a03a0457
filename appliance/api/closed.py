"""Rooms that a node does not have: what it says instead, in one sentence, of what it is and where to go."""

from collections.abc import Awaitable, Callable, MutableMapping
from html import escape
from typing import Any, Final

from appliance.api.problems import problem_of
from appliance.errors import NotFound

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

NO_INGEST: Final = "this node is 'web' and takes no events: post to an ingestor, or to the load balancer before them"
INGESTOR: Final = (
    "This node is an ingestor: it receives, refines and answers the API, and the screens are on a web node"
)
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>Ingestor</title></head>
<body style="font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 20vh auto; padding: 0 1rem">
<p>{told}.</p></body></html>
"""


class NoIngest:
    """Answers ``/in/…`` on a node that keeps no events."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _problem(scope, send, NO_INGEST)


class NoScreens:
    """Answers every path of screens on an ingestor: a sentence at ``/``, and nothing anywhere else."""

    def __init__(self, base_url: str) -> None:
        """``base_url``: where people reach Dash; empty: that is not known here."""
        self._told = f"{INGESTOR}: {base_url}" if base_url else INGESTOR

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        elif scope["path"] != "/":
            await _problem(scope, send, f"there is nothing at {scope['path']}. {self._told}")
        elif scope["method"] in ("GET", "HEAD"):
            body = _PAGE.format(told=escape(self._told)).encode()
            headers = [(b"content-type", b"text/html; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
            await _answer(send, 200, headers, b"" if scope["method"] == "HEAD" else body)
        else:
            await _problem(scope, send, self._told)


async def _problem(scope: Scope, send: Send, told: str) -> None:
    status, headers, body = problem_of(NotFound(told), scope["path"])
    await _answer(send, status, [(name.encode(), value.encode()) for name, value in headers.items()], body)


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
