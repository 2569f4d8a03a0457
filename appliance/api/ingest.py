"""``POST /in/{pipeline_id}``: a lean ASGI path before the framework, since every event passes here."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, NamedTuple

import msgspec
import structlog

from appliance.api.problems import problem_of
from appliance.components.source import InboundRequest
from appliance.domain.clock import Clock, utc_now
from appliance.domain.event import Receipt
from appliance.domain.ids import PipelineId
from appliance.domain.shares import Refusal, Shares
from appliance.domain.usage import Queue
from appliance.engine.receive import Receiver
from appliance.errors import (
    BadRequest,
    DashError,
    MethodNotAllowed,
    RateLimited,
    RequestError,
    TooLarge,
    TransientError,
)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PREFIX: Final = "/in/"
UNKNOWN: Final = ""  # whoever posts to what does not exist shares one share
_JSON: Final = (b"content-type", b"application/json")

log = structlog.get_logger("ingest")


class Bounds(NamedTuple):
    """``body_bytes``: of one request, as sent. ``under_way_bytes``: of all requests not yet answered."""

    body_bytes: int = 10 << 20
    under_way_bytes: int = 256 << 20


class Ingest:
    """The ASGI application for signed ingest. ``counted(pipeline, outcome, bytes)`` is called once a request."""

    def __init__(
        self,
        receiver: Receiver,
        bounds: Bounds,
        counted: Callable[[str, str, int], None],
        clock: Clock = utc_now,
    ) -> None:
        self._receiver = receiver
        self._bounds = bounds
        self._counted = counted
        self._clock = clock
        self._under_way = Shares[str](bounds.under_way_bytes)

    def under_way(self) -> Queue:
        """Return the bytes of requests that are not yet answered."""
        return Queue("Bodies under way", self._under_way.used, self._under_way.total, "bytes")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        pipeline_id = PipelineId(scope["path"][len(PREFIX) :])
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        held, owner = 0, pipeline_id if self._receiver.knows(pipeline_id) else UNKNOWN
        try:
            if scope["method"] != "POST":
                raise MethodNotAllowed("events are posted: use POST")
            held = self._hold(owner, headers)
            body = await self._body(receive)
            client = scope.get("client")
            request = InboundRequest(headers, body, client[0] if client else None, self._clock())
            receipt = await self._receiver.post(pipeline_id, request)
        except DashError as error:
            self._counted(pipeline_id, "refused" if isinstance(error, RequestError) else "unavailable", 0)
            await _refuse(send, error, scope["path"])
        except Exception as error:
            log.error("ingest.bug", pipeline=pipeline_id, exc_info=error)
            self._counted(pipeline_id, "failed", 0)
            await _refuse(send, error, scope["path"])
        else:
            self._counted(pipeline_id, "duplicate" if receipt.duplicate else "accepted", len(body))
            await _answer(send, 200 if receipt.duplicate else 202, _accepted(receipt), [_JSON])
        finally:
            if held:
                self._under_way.give(owner, held)

    def _hold(self, owner: str, headers: dict[str, str]) -> int:
        """Reserve room for the body before it is read, and return how much."""
        try:
            length = int(headers.get("content-length", self._bounds.body_bytes))
        except ValueError:
            raise BadRequest("the header content-length must be a whole number") from None
        if length < 0:
            raise BadRequest("the header content-length must not be negative")
        if length > self._bounds.body_bytes:
            raise TooLarge(_too_large(self._bounds.body_bytes))
        match self._under_way.take(owner, max(1, length)):
            case Refusal.OVER_SHARE:
                told = "more requests to this pipeline are under way than its share: send again shortly"
                raise RateLimited(told, retry_after_secs=1)
            case Refusal.SATURATED:
                raise TransientError("too many requests are under way: send again shortly", retry_after_secs=1)
        return max(1, length)

    async def _body(self, receive: Receive) -> bytes:
        message = await receive()
        body: bytes = message.get("body", b"")
        if not message.get("more_body"):
            return body
        parts, size = [body], len(body)
        while message.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise BadRequest("the connection ended before the body was whole: send the request again")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._bounds.body_bytes:
                raise TooLarge(_too_large(self._bounds.body_bytes))
        return b"".join(parts)


def _too_large(limit: int) -> str:
    return f"a request may have at most {limit} bytes: send the events in several requests, or raise ingest.max_body"


def _accepted(receipt: Receipt) -> bytes:
    answer: dict[str, Any] = {
        "accepted": receipt.count,
        "first_seq": receipt.first_seq,
        "last_seq": receipt.last_seq,
    }
    if receipt.duplicate:
        answer["duplicate"] = True
    return msgspec.json.encode(answer)


async def _refuse(send: Send, error: Exception, path: str) -> None:
    status, headers, body = problem_of(error, path)
    await _answer(send, status, body, [(name.encode(), value.encode()) for name, value in headers.items()])


async def _answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
