"""Who is looking: the session cookie, one visit of one page, and the pages that stand open."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from nicegui.client import Client
from nicegui.element import Element
from nicegui.events import GenericEventArguments
from starlette.requests import Request
from starlette.responses import Response

from appliance.domain import handbook
from appliance.domain.access import Action, Principal, may
from appliance.errors import DashError, Unauthenticated
from appliance.services.sessions import AT_MOST
from ui.toast import sentence, toast

if TYPE_CHECKING:
    from appliance.services import Services
    from appliance.services.sessions import Sessions

COOKIE = "dash_session"
SWEEP_SECS = 15.0
LEAVE_SECS = 2.0  # what a browser has for leaving a page by itself
_log = logging.getLogger("dash.ui")


def sign_in_url(request: Request) -> str:
    """Return the sign-in page that leads back to where ``request`` wanted to go."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return "/sign-in" if wanted in ("/", "/sign-in") else f"/sign-in?next={quote(wanted)}"


def local_path(wanted: str) -> str:
    """Return the local path to go on to; anything that could leave the origin becomes the start page.

    Browsers take a backslash for a slash, and leave out tabs and line ends.
    """
    local = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted and wanted.isprintable()
    return wanted if local else "/"


def with_cookie(answer: Response, request: Request, cookie: str) -> Response:
    """Give the session's cookie to the browser."""
    seconds = round(AT_MOST.total_seconds())
    answer.set_cookie(COOKIE, cookie, seconds, path="/", httponly=True, samesite="lax", secure=is_secure(request))
    return answer


def is_secure(request: Request) -> bool:
    """Return whether the browser speaks TLS, with us or with a proxy before us."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))


class OpenPages:
    """The pages open in browsers, by session. NiceGUI's events trust a page for ever, so pages must be closed here."""

    def __init__(self, sessions: "Sessions") -> None:
        self._sessions = sessions
        self._clients: defaultdict[str, dict[Client, Principal]] = defaultdict(dict)

    def add(self, cookie: str, client: Client, who: Principal) -> None:
        """Remember a page, built for ``who``, until its browser has left it."""
        self._clients[cookie][client] = who
        client.on_delete(lambda: self._forget(cookie, client))

    def _forget(self, cookie: str, client: Client) -> None:
        self._clients[cookie].pop(client, None)
        if not self._clients[cookie]:
            del self._clients[cookie]

    def close(self, cookie: str, *, back: bool = False) -> None:
        """Send every page of an ended session to the sign-in page; ``back``: which leads to the page again."""
        leading = " + '?next=' + encodeURIComponent(location.pathname + location.search)" if back else ""
        for client in list(self._clients.get(cookie, ())):
            self._leave(cookie, client, f"location.assign('/sign-in'{leading})")

    def _leave(self, cookie: str, client: Client, code: str) -> None:
        """Have the browser leave a page, and end the page: one that stays all the same is told nothing any more."""
        client.run_javascript(code)
        asyncio.get_running_loop().call_later(LEAVE_SECS, self._end, cookie, client)

    def _end(self, cookie: str, client: Client) -> None:
        if client in self._clients.get(cookie, ()):
            client.delete()

    async def watch(self) -> None:
        """Close the pages of sessions that ended elsewhere (signed out by API, user disabled), and have those built
        anew whose person has another role since; runs until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECS)
            for cookie in list(self._clients):
                try:
                    who = await self._sessions.resolve(cookie)
                except DashError as error:
                    _log.warning("looking for ended sessions: %s", error)
                    break
                if who is None:
                    self.close(cookie, back=True)
                    continue
                for client, shown_to in list(self._clients.get(cookie, {}).items()):
                    if shown_to.role is not who.role:
                        self._leave(cookie, client, "location.reload()")


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One page being shown to one person. ``who`` is as of the moment the page was built."""

    request: Request
    client: Client
    services: "Services"
    who: Principal
    cookie: str
    organisation: str
    version: str
    params: dict[str, str] = field(default_factory=dict)

    def may(self, action: Action) -> bool:
        """Return whether to offer ``action`` on this page; the service checks it again."""
        return may(self.who, action)

    async def principal(self) -> Principal:
        """Return who is asking now. Raises Unauthenticated when the session has ended since the page was built."""
        who = await self.services.sessions.resolve(self.cookie)
        if who is None:
            raise Unauthenticated("This session has ended: sign in again")
        return who

    def act(
        self, handler: Callable[[Principal], Awaitable[None]], *, busy: Element | None = None
    ) -> Callable[[GenericEventArguments], Awaitable[None]]:
        """Make an event handler that asks who it is first and tells every error as a toast.

        ``busy``: the button to switch off while it runs.
        """

        async def guarded(_: GenericEventArguments) -> None:
            if busy is not None:
                busy.props["disabled"] = True
            try:
                await handler(await self.principal())
            except Unauthenticated:
                self.client.run_javascript(f"location.assign({sign_in_url(self.request)!r})")
            except DashError as error:
                toast(self.client, sentence(error), "bad", handbook.of_error(error.code))
            except Exception:  # noqa: BLE001 - the boundary of the screens: told once, logged once
                _log.exception("handling a click on %s", self.request.url.path)
                toast(self.client, "That failed for a reason of our own; the log of the appliance has it", "bad")
            finally:
                if busy is not None and not busy.is_deleted:  # what was clicked may have drawn its own place anew
                    busy.props.pop("disabled", None)

        return guarded
