"""``Idempotency-Key``: a write that is sent again gets its first answer again and has no second effect."""

from typing import Any, Final

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from appliance.api.authentication import SAFE_METHODS, headers_of
from appliance.api.exchange import MAX_BODY_BYTES
from appliance.errors import TooLarge
from appliance.services.answers import Answer, Answers

HEADER: Final = "idempotency-key"
REPLAYED: Final = "idempotency-replayed"
_KEPT_HEADERS: Final = ("content-type", "location")  # a cookie is never given twice


class Idempotency:
    """ASGI middleware, inside of authentication. Successes are remembered; after a failure the key is free again."""

    def __init__(self, app: ASGIApp, answers: Answers) -> None:
        self._app, self._answers = app, answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, key = str(scope.get("method", "GET")), headers_of(scope).get(HEADER)
        who = scope["state"].get("who")
        if key is None or who is None or method in SAFE_METHODS:
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        request = b"\0".join([method.encode(), scope["path"].encode(), body])
        known = await self._answers.begin(who, key, request)
        if known is not None:
            await _replay(known, send)
            return
        messages: list[Message] = []
        try:
            await self._app(scope, _again(body, receive), _into(messages))
        finally:
            answer = _success(messages)
            await (self._answers.keep(who, key, answer) if answer else self._answers.forget(who, key))
        for message in messages:  # only now: what was sent is remembered
            await send(message)


def _into(messages: list[Message]) -> Send:
    async def keep(message: Message) -> None:
        messages.append(message)

    return keep


def _success(messages: list[Any]) -> Answer | None:
    """Return the answer that the ASGI ``messages`` make, if it is a success."""
    if not messages or not 200 <= messages[0]["status"] < 300:
        return None
    headers = [(name.decode().lower(), value.decode("latin-1")) for name, value in messages[0]["headers"]]
    kept = [(name, value) for name, value in headers if name in _KEPT_HEADERS]
    return Answer(messages[0]["status"], kept, b"".join(message.get("body", b"") for message in messages[1:]))


async def _read(receive: Receive) -> bytes:
    pieces, size, more = [], 0, True
    while more:
        message: Any = await receive()
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > MAX_BODY_BYTES:
            raise TooLarge(f"a request may have at most {MAX_BODY_BYTES} bytes")
        more = message.get("more_body", False)
    return b"".join(pieces)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives ``body`` first."""
    given = False

    async def receive_again() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


async def _replay(answer: Answer, send: Send) -> None:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers]
    headers += [(b"content-length", str(len(answer.body)).encode()), (REPLAYED.encode(), b"true")]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
