"""A real HTTP/1.1 server on loopback whose answers a test chooses: pages, errors, resets, drips and bombs.

Handlers are looked up by path. A handler answers an ``Answer``; what cannot be said in one (a reset, a slow drip) is a
field of it. Every request is kept in ``requests``.
"""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """``hold``: awaited before anything is sent. ``reset_after``: bytes of the body after which the connection dies.

    ``length``: announced instead of the true one. ``repeat``: how often ``body`` is sent (chunked), for endless ones.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hold: Awaitable[Any] | None = None
    reset_after: int | None = None
    repeat: int = 1
    raw: bytes | None = None


Handler = Callable[[Asked], Answer]


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, json.dumps(value).encode(), {"content-type": "application/json", **named})


class HttpServer:
    """``async with HttpServer() as server``; then ``server.routes["/path"] = handler`` and ``server.url("/path")``."""

    def __init__(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.routes: dict[str, Handler] = {}
        self.requests: list[Asked] = []
        self._host, self._tls = host, tls
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def url(self, path: str, host: str | None = None) -> str:
        return f"{'https' if self._tls else 'http'}://{host or self._host}:{self.port}{path}"

    async def __aenter__(self) -> "HttpServer":
        self._server = await asyncio.start_server(self._connected, self._host, 0, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await self._server.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.create_task(self._talk(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (asked := await _read(reader)) is not None:
                self.requests.append(asked)
                handler = self.routes.get(asked.path, lambda _: Answer(404, b"no such page"))
                if not await _send(writer, handler(asked)):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    line = await reader.readline()
    if not line:
        return None
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    return Asked(method, parts.path, query, headers, body)


async def _send(writer: asyncio.StreamWriter, answer: Answer) -> bool:
    """Return whether the connection lives on."""
    if answer.hold is not None:
        await answer.hold
    if answer.raw is not None:
        writer.write(answer.raw)
        await writer.drain()
        return False
    headers = dict(answer.headers)
    chunked = answer.repeat > 1
    headers |= {"transfer-encoding": "chunked"} if chunked else {"content-length": str(len(answer.body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {answer.status} Whatever\r\n{head}\r\n".encode("latin-1"))
    if answer.reset_after is not None:
        writer.write(answer.body[: answer.reset_after])
        await writer.drain()
        writer.transport.abort()
        return False
    if not chunked:
        writer.write(answer.body)
    else:
        for _ in range(answer.repeat):
            writer.write(b"%x\r\n%b\r\n" % (len(answer.body), answer.body))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True
