"""``POST /internal/v1/…``: what other nodes ask of this one. Whoever does not prove to be a node finds nothing here.

The signature stands in the headers and is judged before a byte of the body is read; the body, before a byte of it is
decoded. Every answer to a node is signed too. The log that is served is the node's own: nothing is ever handed on.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic
from typing import Any, Final, NamedTuple

import msgspec
import structlog

from appliance.api.problems import KINDS
from appliance.components import log_calls
from appliance.components.bronze import BronzeLog
from appliance.components.handshake import MOST_APART_MS, PROTOCOL, Answer, Ask, Nonces, Seal, digest_of
from appliance.components.packed import MOST_ASKED, packed
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import NodeId
from appliance.errors import BadRequest, Conflict, DashError, MethodNotAllowed, NotFound, TooLarge, TransientError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PREFIX: Final = "/internal/"
BODY_SECS: Final = 30.0  # for a body to arrive
TOLD_EVERY_SECS: Final = 60.0  # in the log, of those who are turned away
_BUG: Final = "it failed for a reason that is in its log: report it with that log"
_DECODER: Final = msgspec.msgpack.Decoder(log_calls.Call)

log = structlog.get_logger("internal")


class Me(NamedTuple):
    """Who answers."""

    node_id: NodeId
    version: str


class _Turned(Exception):
    """Whoever asks is not shown that there is anything. ``kind`` and ``told`` are for this node's log."""

    def __init__(self, kind: str, told: str) -> None:
        self.kind = kind
        super().__init__(told)


class Internal:
    """The ASGI application for other nodes.

    ``bronze`` is this node's own log in outward numbers; None: it receives nothing and answers pings only. ``run``
    does what blocks in threads that nothing else waits for: two nodes that ask each other must not wait in a circle.
    """

    def __init__(
        self,
        me: Me,
        bronze: BronzeLog | None,
        seal: Seal,
        run: Callable[..., Awaitable[bytes]],
        clock: Clock = utc_now,
    ) -> None:
        self._me, self._bronze, self._seal = me, bronze, seal
        self._run, self._clock = run, clock
        self._nonces = Nonces()
        self._told: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            ask = self._admitted(scope)
            status, answer = await self._answered(ask, receive)
        except _Turned as turned:
            self._tell(turned, scope)
            await _respond(send, 404, b"", {})
        else:
            signed = Answer(node_id=self._me.node_id, status=status, nonce=ask.nonce, digest=digest_of(answer))
            await _respond(send, status, answer, self._seal.answer_headers(signed))

    def _admitted(self, scope: Scope) -> Ask:
        """Return what is asked, by a node and now. Raises _Turned."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = bytes(scope.get("query_string") or b"").decode("latin-1")
        ask = self._seal.ask(headers, scope["method"], scope["path"], query)
        if ask is None:
            raise _Turned("signature", "it is not signed with the key of this installation")
        apart = ask.time_ms - int(self._clock().timestamp() * 1000)
        if abs(apart) > MOST_APART_MS:
            ahead = "ahead of" if apart > 0 else "behind"
            raise _Turned(
                "clock", f"the other node's clock is {abs(apart) / 1000:.0f} s {ahead} the one here, or it is old"
            )
        if not self._nonces.fresh(ask.nonce):
            raise _Turned("repeated", "it was asked before")
        return ask

    async def _answered(self, ask: Ask, receive: Receive) -> tuple[int, bytes]:
        """Return status and body of the answer to a node. Raises _Turned: the body is not what was signed."""
        try:
            body = await _body(receive, ask)
            self._expect_me(ask)
            return 200, await self._done(ask, body)
        except DashError as error:
            return _refused(error)
        except _Turned:
            raise
        except Exception as error:
            log.error("internal.bug", path=ask.path, exc_info=error)
            return _refused(DashError(_BUG))

    def _expect_me(self, ask: Ask) -> None:
        if ask.protocol != PROTOCOL:
            told = f"this node speaks version {PROTOCOL} of calls between nodes, not {ask.protocol}"
            raise Conflict(f"{told}: bring both to the same version of Dash")
        if ask.node_id != self._me.node_id:
            raise TransientError(f"this is node {self._me.node_id}, not {ask.node_id}")

    async def _done(self, ask: Ask, body: bytes) -> bytes:
        if ask.method != "POST":
            raise MethodNotAllowed(f"{ask.path} is posted to")
        if ask.path == log_calls.PING_PATH:
            return packed(log_calls.Pong(self._me.node_id, self._me.version))
        if ask.path != log_calls.BRONZE_PATH or self._bronze is None:
            raise NotFound(f"node {self._me.node_id} has nothing at {ask.path}")
        try:
            call = _DECODER.decode(body)
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            raise BadRequest(f"what is asked of the log is not understood here: {error}") from error
        return await self._run(_do, call, self._bronze)

    def _tell(self, turned: _Turned, scope: Scope) -> None:
        """Write down why somebody was turned away, but not each time: anybody can knock."""
        now = monotonic()
        if now - self._told.get(turned.kind, -TOLD_EVERY_SECS) >= TOLD_EVERY_SECS:
            self._told[turned.kind] = now
            client = scope.get("client")
            log.warning("internal.turned_away", reason=str(turned), remote=client[0] if client else None)


def _do(call: log_calls.Call, bronze: BronzeLog) -> bytes:
    return packed(call.done(bronze))


def _refused(error: DashError) -> tuple[int, bytes]:
    status = KINDS[error.code].status if error.code in KINDS else 500
    return status, packed(log_calls.Refused.of(error))


async def _body(receive: Receive, ask: Ask) -> bytes:
    """Return the body that was signed. Raises _Turned: it is another; TooLarge."""
    parts, size, more = [], 0, True
    try:
        async with asyncio.timeout(BODY_SECS):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Turned("cut", "the connection ended before the body was whole")
                parts.append(message.get("body", b""))
                more = bool(message.get("more_body"))
                size += len(parts[-1])
                if size > MOST_ASKED:
                    raise TooLarge(f"a call between nodes may have at most {MOST_ASKED} bytes")
    except TimeoutError as error:
        raise _Turned("slow", f"the body did not arrive within {BODY_SECS:g} s") from error
    body = b"".join(parts)
    if digest_of(body) != ask.digest:
        raise _Turned("body", "its body is not what was signed")
    return body


async def _respond(send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
    told = {"content-type": "application/octet-stream", "cache-control": "no-store", **headers} if headers else {}
    told["content-length"] = str(len(body))
    encoded = [(name.encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
