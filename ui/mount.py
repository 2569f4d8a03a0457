"""Makes the screens: a thin FastAPI shell with NiceGUI mounted in it, to be served beside the API."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI

    from appliance.services import Services
    from ui.screens import Screens
    from ui.session import OpenPages

STATIC = Path(__file__).parent / "static"
# NiceGUI evaluates its templates in the browser, hence unsafe-eval; everything else stays within the origin.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; "
    "base-uri 'self'; form-action 'self'; object-src 'none'"
)
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def import_screens(storage_path: Path) -> None:
    """Import what screens are made of, from any thread: that takes seconds. ``storage_path``: as of ``build_ui``."""
    os.environ["NICEGUI_STORAGE_PATH"] = str(storage_path)  # read while NiceGUI is imported
    import ui.doors
    import ui.screens
    import ui.session  # noqa: F401


def build_ui(services: "Services", *, storage_path: Path, data_dir: Path, version: str) -> "FastAPI":
    """Return the shell: an ASGI application for every path that is not the API's. Call once per process.

    Its lifespan is not run by the server: enter ``shell.router.lifespan_context(shell)``. ``storage_path``: a directory
    NiceGUI may write to (nothing of ours is kept there); ``data_dir``: what the set-up page shows.
    """
    import_screens(storage_path)
    from fastapi import FastAPI

    from ui.doors import add_doors
    from ui.screens import Screens
    from ui.session import OpenPages

    open_pages = OpenPages(services.sessions)
    screens = Screens(
        services=services, open_pages=open_pages, version=version, assets=f"/assets/{_digest()}", data_dir=data_dir
    )
    shell = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan(open_pages))
    add_doors(shell, services, open_pages)
    _add_pages(screens)
    _mount(shell, screens)
    shell.add_middleware(SecurityHeaders)
    return shell


def _digest() -> str:
    """Return a name for this very state of the static files, so that browsers may keep them for ever."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _lifespan(open_pages: "OpenPages") -> Callable[["FastAPI"], Any]:
    @asynccontextmanager
    async def lifespan(_: "FastAPI") -> AsyncIterator[None]:
        watch = asyncio.create_task(open_pages.watch())
        try:
            yield
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch

    return lifespan


def _add_pages(screens: "Screens") -> None:
    from ui.pages import (
        account,
        appearance,
        backups,
        dashboard,
        dashboards,
        dead_letters,
        erasures,
        jobs,
        ledger,
        license,
        mapping,
        new_pipeline,
        nodes,
        operations,
        organisations,
        people,
        pipeline,
        pipeline_storage,
        pipelines,
        providers,
        records,
        settings,
        setup,
        sign_in,
        storage,
        tokens,
        versions,
    )

    pages = (
        account,
        appearance,
        backups,
        dashboard,
        dashboards,
        dead_letters,
        erasures,
        jobs,
        ledger,
        license,
        mapping,
        new_pipeline,
    )
    more = (
        nodes,
        operations,
        organisations,
        people,
        pipeline,
        pipeline_storage,
        pipelines,
        providers,
        records,
        settings,
        setup,
        sign_in,
        storage,
        tokens,
    )
    for page in (*pages, *more, versions):
        page.register(screens)


def _mount(shell: "FastAPI", screens: "Screens") -> None:
    from nicegui import app, core, run, ui
    from starlette.middleware.gzip import GZipMiddleware

    from ui.pages.not_found import not_found
    from ui.theme import MARK

    # NiceGUI would start a helper process (24 MB) for run.cpu_bound, which no screen uses.
    setattr(run, "setup", lambda: None)  # noqa: B010 - a module's function: assignment is not typed
    core.sio.eio.cors_allowed_origins = _same_origin
    app.add_static_files(screens.assets, STATIC, max_cache_age=31_536_000)
    ui.run_with(
        shell,
        root=not_found(screens),
        mount_path="/",
        title="Dash",
        favicon=MARK,
        dark=False,
        language="en-US",
        tailwind=False,
        binding_refresh_interval=None,
        reconnect_timeout=5.0,
        message_history_length=200,
        show_welcome_message=False,
        gzip_middleware_factory=lambda inner: GZipMiddleware(inner, minimum_size=1_000, compresslevel=4),
    )


def _same_origin(origin: str | None, environ: dict[str, Any]) -> bool:
    """Return whether a Socket.IO handshake comes from a page of this origin (or from no browser)."""
    if origin is None:
        return True
    hosts = {environ.get("HTTP_HOST"), environ.get("HTTP_X_FORWARDED_HOST")} - {None}
    return origin.partition("://")[2] in hosts


class SecurityHeaders:
    """Adds the headers that keep pages within their origin to every answer of the shell."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


_HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
]
