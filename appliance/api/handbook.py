"""``/docs``: the handbook, for everybody who reaches this node, signed in or not. It holds no secret, and is read only.

Files are read when they are asked for. What there is stands in a list beside them: no path of a request becomes a path
on disk unless it is in that list.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from appliance.api.problems import problem_of
from appliance.domain import accent
from appliance.domain.brand import Brand
from appliance.errors import DashError, MethodNotAllowed, NotFound

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PATH: Final = "/docs"
LIST: Final = "files.json"
MISSING: Final = "404.html"
GIVEN: Final = "_/given.js"  # as a file it gives nothing; an appliance says here what it is called
_POLICY: Final = (  # drawings carry their own style
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    b"base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cache-control", b"no-cache"),  # kept, and asked about by its tag
    (b"vary", b"accept-encoding"),
)


def leads_here(path: str) -> bool:
    """Return whether a request for ``path`` is for the handbook."""
    return path == PATH or path.startswith(f"{PATH}/")


class Handbook:
    """``folder``: returns where the pages are; called in a thread at the first request, so it may make them.

    None: this installation has no handbook. ``brand``: what it is shown as; None: nobody knows.
    """

    def __init__(self, folder: Callable[[], Path | None], brand: Callable[[], Brand] = Brand) -> None:
        self._find, self._brand = folder, brand
        self._opening = asyncio.Lock()
        self._folder: Path | None = None
        self._listed: dict[str, tuple[str, str]] = {}  # name -> entity tag, media type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
            return
        try:
            await self._answer(scope, send)
        except DashError as error:
            status, headers, body = problem_of(error, scope["path"])
            told = [(name.encode(), value.encode()) for name, value in headers.items()]
            await _say(send, status, [*told, (b"allow", b"GET, HEAD")], body)

    async def _answer(self, scope: Scope, send: Send) -> None:
        path: str = scope["path"]
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed("the handbook is there to be read: GET")
        if path == PATH:
            await _say(send, HTTPStatus.PERMANENT_REDIRECT, [(b"location", PATH.encode() + b"/")], b"")
            return
        folder = await self._open()
        name = self._name(path.removeprefix(f"{PATH}/"))
        tag, media = self._listed[name or MISSING]
        asked = {key.lower(): value for key, value in scope["headers"]}
        headers = [*_HEADERS, (b"content-type", media.encode())]
        if name is None:
            await _say(send, HTTPStatus.NOT_FOUND, headers, await _read(folder / MISSING), scope["method"])
            return
        if name == GIVEN:  # without a tag: an old answer must not count
            await _say(send, HTTPStatus.OK, headers, given_script(self._brand()), scope["method"])
            return
        headers.append((b"etag", f'W/"{tag}"'.encode()))
        if tag.encode() in asked.get(b"if-none-match", b""):
            await _say(send, HTTPStatus.NOT_MODIFIED, headers, b"")
        elif b"gzip" in asked.get(b"accept-encoding", b""):
            packed = await _read(folder / f"{name}.gz")
            await _say(send, HTTPStatus.OK, [*headers, (b"content-encoding", b"gzip")], packed, scope["method"])
        else:
            await _say(send, HTTPStatus.OK, headers, await _read(folder / name), scope["method"])

    def _name(self, asked: str) -> str | None:
        """Return the file for an address: ``errors`` and ``errors.html`` are the same page."""
        wanted = asked or "index"
        return next((name for name in (wanted, f"{wanted}.html") if name in self._listed), None)

    async def _open(self) -> Path:
        """Return where the pages are.

        Raises:
            NotFound: this installation has none.
        """
        async with self._opening:
            if self._folder is None:
                folder = await asyncio.to_thread(self._find)
                if folder is None:
                    raise NotFound(
                        "this installation was made without the handbook: 'make handbook' in a checkout has it"
                    )
                self._listed = msgspec.json.decode(await _read(folder / LIST), type=dict[str, tuple[str, str]])
                self._folder = folder
        return self._folder


def given_script(brand: Brand) -> bytes:
    """Return the script that tells the pages what the appliance is called; Dash needs to be told nothing."""
    told = None
    if brand.own:
        light, dark = brand.logo(dark=False), brand.logo(dark=True)
        told = {
            "name": brand.name,
            "logo": None if light is None else brand.address(light),
            "dark": None if dark is None else brand.address(dark),
            "beside": brand.words.name_beside_logo,
            "tab": brand.tab(),
            "mark": None if brand.words.name is None else f"data:image/svg+xml,{quote(brand.monogram())}",
            "style": "" if brand.words.accent is None else accent.style(brand.words.accent),
        }
    return b"globalThis.given = " + msgspec.json.encode(told) + b";\n"


async def _read(path: Path) -> bytes:
    return await asyncio.to_thread(path.read_bytes)


async def _say(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes, method: str = "GET") -> None:
    length = [(b"content-length", str(len(body)).encode())] if status != HTTPStatus.NOT_MODIFIED else []
    await send({"type": "http.response.start", "status": int(status), "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
