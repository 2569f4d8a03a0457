"""Registers pages: who may see them, the frame around them, and the one place that turns errors into screens."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nicegui import ui
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from appliance.domain import handbook
from appliance.errors import DashError, Forbidden, NotFound, TransientError
from ui.brand import support
from ui.frame import Place, bare, frame
from ui.session import COOKIE, OpenPages, Visit, sign_in_url
from ui.toast import sentence
from ui.widgets.empty import notice

if TYPE_CHECKING:
    from appliance.services import Services

Build = Callable[[Visit], Awaitable[None]]
OpenBuild = Callable[[Request], Awaitable[None]]
_log = logging.getLogger("dash.ui")


@dataclass(frozen=True, kw_only=True)
class Screens:
    """What pages are registered with. ``data_dir``: where this appliance keeps its data, shown at set-up."""

    services: "Services"
    open_pages: OpenPages
    version: str
    assets: str
    data_dir: Path

    def page(self, path: str, place: Place) -> Callable[[Build], Build]:
        """Register a page for people who are signed in; others are sent to sign in, or to set up."""

        def register(build: Build) -> Build:
            @ui.page(path, response_timeout=15.0)
            async def endpoint(request: Request) -> Response | None:
                return await self._show(request, place, build)

            return build

        return register

    def open_page(self, path: str, title: str, *, before_setup: bool) -> Callable[[OpenBuild], OpenBuild]:
        """Register a page for people nobody knows yet. ``before_setup``: it exists only until the set-up is done."""

        def register(build: OpenBuild) -> OpenBuild:
            @ui.page(path, response_timeout=15.0)
            async def endpoint(request: Request) -> Response | None:
                if await self.services.setup.needed() is not before_setup:
                    return RedirectResponse("/" if before_setup else "/setup", 303)
                if await self._known(request):
                    return RedirectResponse("/", 303)
                with bare(self.assets, title, self.services):
                    await build(request)
                return None

            return build

        return register

    async def _known(self, request: Request) -> bool:
        cookie = request.cookies.get(COOKIE)
        return cookie is not None and await self.services.sessions.resolve(cookie) is not None

    async def visit(self, request: Request) -> Visit | None:
        """Return the visit behind ``request``; None: there is no session."""
        cookie = request.cookies.get(COOKIE)
        who = await self.services.sessions.resolve(cookie) if cookie else None
        if cookie is None or who is None:
            return None
        organisation = await self.services.organisations.get(who)
        client = ui.context.client
        self.open_pages.add(cookie, client, who)
        return Visit(
            request=request,
            client=client,
            services=self.services,
            who=who,
            cookie=cookie,
            organisation=organisation.name,
            version=self.version,
            params={name: str(value) for name, value in request.path_params.items()},
        )

    async def _show(self, request: Request, place: Place, build: Build) -> Response | None:
        visit = await self.visit(request)
        if visit is None:
            return RedirectResponse("/setup" if await self.services.setup.needed() else sign_in_url(request), 303)
        with frame(visit, place, self.assets) as main:
            try:
                await build(visit)
            except Exception as error:  # noqa: BLE001 - the boundary of the screens
                main.clear()
                with main:
                    visit.client.status_code = _tell(error, request)
                    support(self.services.branding.now())
        return None


def _tell(error: Exception, request: Request) -> int:
    """Draw the screen for ``error`` and return its HTTP status."""
    more = ("What this means", handbook.of_error(getattr(error, "code", "E_INTERNAL")))
    match error:
        case NotFound():
            notice("search", "This is not here", f"{sentence(error)}.", ("Go to pipelines", "/pipelines"), more)
            return 404
        case Forbidden():
            notice("lock", "This is not open to you", f"{sentence(error)}.", ("Go to pipelines", "/pipelines"), more)
            return 403
        case TransientError():
            notice("clock", "Not possible right now", f"{sentence(error)}.", ("Try again", str(request.url.path)), more)
            return 503
        case DashError():
            notice("alert", "This did not work", f"{sentence(error)}.", ("Try again", str(request.url.path)), more)
            return 400
        case _:
            _log.error("building the page %s", request.url.path, exc_info=error)
            notice(
                "alert",
                "This page failed",
                "The reason is in the log of the appliance. Receiving and storing events is not touched by it.",
                ("Try again", str(request.url.path)),
                more,
            )
            return 500
