"""The rooms of a node that has started while its database is away: events come in, the rest is told to wait.

Only the handbook is read as ever: it is what somebody may need now.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from appliance.api.handbook import Handbook, leads_here
from appliance.api.ingest import PREFIX, Ingest
from appliance.api.problems import problem_of
from appliance.api.waiting_page import HEADERS, waiting_page
from appliance.errors import TransientError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Check = tuple[bool, str]

AGAIN_SECS: Final = 5.0
_JSON: Final = {"content-type": "application/json", "cache-control": "no-store"}


class WaitingRooms:
    """``checks``: the parts of ``/readyz``, and the reason of each; that of ``database`` is what everybody is told.

    ``share``: how much is done of what is waited for; None: nobody can tell.
    """

    def __init__(
        self,
        ingest: Ingest,
        checks: Callable[[], Mapping[str, Check]],
        share: Callable[[], float | None],
        handbook: Handbook,
    ) -> None:
        self._ingest, self._checks, self._share, self._handbook = ingest, checks, share, handbook

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1013})  # try again later
        elif path.startswith(PREFIX):
            await self._ingest(scope, receive, send)
        elif path == "/livez":
            await _answer(send, HTTPStatus.OK, _JSON, b'{"alive":true}')
        elif path in ("/readyz", "/healthz"):
            await self._readyz(scope, send)
        elif leads_here(path):
            await self._handbook(scope, receive, send)
        else:
            told = self._checks()["database"][1]
            if scope["method"] == "GET" and not path.startswith("/api/") and _from_browser(scope):
                page = waiting_page(told, self._share())
                await _answer(send, HTTPStatus.SERVICE_UNAVAILABLE, HEADERS, page)
                return
            await _answer(send, *problem_of(TransientError(told, retry_after_secs=AGAIN_SECS), path))

    async def _readyz(self, scope: Scope, send: Send) -> None:
        """Answer as a whole node does; a part that there is not yet is not ready."""
        checks = self._checks()
        for part in parse_qs(scope.get("query_string", b"").decode("latin-1")).get("part", []):
            checks = {part: checks.get(part, (False, checks["database"][1]))}
        ready = all(one for one, _ in checks.values())
        parts = {name: {"ready": one, "reason": reason} for name, (one, reason) in checks.items()}
        body = msgspec.json.encode({"ready": ready, "parts": parts})
        await _answer(send, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, _JSON, body)


def _from_browser(scope: Scope) -> bool:
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    told = [(name.encode(), value.encode()) for name, value in headers.items()]
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": int(status), "headers": [*told, length]})
    await send({"type": "http.response.body", "body": body})
