"""Sent to a provider and back: plain HTTP routes, for cookies that scripts cannot read come by HTTP answers."""

from collections.abc import Awaitable, Callable
from html import escape
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from appliance.domain.sign_in import SENTENCES, Refused, Why
from appliance.errors import DashError, RateLimited, TransientError
from appliance.services.provider_documents import CALLBACK
from appliance.services.provider_sign_in import WITHIN, Answer, Visitor
from ui.session import is_secure, local_path, with_cookie

if TYPE_CHECKING:
    from appliance.services import Services

BEGIN: Final = "/sign-in/with"
TICKET: Final = "dash_ticket"
_PATH: Final = "/sign-in"
_GONE: Final = "gone"
_OFTEN: Final = "often"
_WORDS: Final = {why.value: words for why, words in SENTENCES.items()} | {
    _GONE: "This way of signing in is not there, or not any more. Choose another.",
    _OFTEN: "Signing in failed too often from your address. Wait a quarter of an hour, or use a password.",
}
_LEAVING: Final = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Signing out</title>'
    '<meta http-equiv="refresh" content="0;url={url}"><p>You are signed out here. '
    '<a href="{url}">Sign out at the provider too</a></p></html>'
)
Door = Callable[[Request, str], Awaitable[Response]]


def add_provider_doors(shell: FastAPI, services: "Services") -> None:
    """Add the way to a provider and the way back to ``shell``."""

    async def begin(request: Request, provider_id: str) -> Response:
        wanted = local_path(request.query_params.get("next", "/"))
        begun = await services.provider_sign_in.begin(provider_id, wanted, visitor(request))
        answer = RedirectResponse(begun.url, 303)
        answer.set_cookie(
            TICKET, begun.ticket, round(WITHIN.total_seconds()), path=_PATH, httponly=True, samesite="lax",
            secure=is_secure(request),
        )  # fmt: skip
        return answer

    async def back(request: Request, provider_id: str) -> Response:
        said = request.query_params
        brought = Answer(
            state=said.get("state", ""), code=said.get("code"), error=said.get("error"), iss=said.get("iss")
        )  # fmt: skip
        ticket = request.cookies.get(TICKET)
        done = await services.provider_sign_in.finish(provider_id, brought, ticket, visitor(request))
        return with_cookie(RedirectResponse(local_path(done.next), 303), request, done.signed_in.cookie)

    shell.add_api_route(BEGIN + "/{provider_id}", _told(begin), methods=["GET"], response_model=None)
    shell.add_api_route(CALLBACK + "/{provider_id}", _told(back, ends=True), methods=["GET"], response_model=None)


def visitor(request: Request) -> Visitor:
    """Return from where the request comes."""
    remote = request.client.host if request.client else None
    return Visitor(origin=origin_of(request), remote=remote)


def origin_of(request: Request) -> str:
    """Return how the browser reaches this appliance; a proxy before it tells of TLS by ``X-Forwarded-Proto``."""
    return f"{'https' if is_secure(request) else 'http'}://{request.base_url.netloc}"


def words_of(code: str) -> str | None:
    """Return what the sign-in page says of a refusal; an address can choose among these words, and add none."""
    return _WORDS.get(code)


def leaving(url: str) -> Response:
    """Return a page that goes on to ``url``: after a form, browsers follow no redirect to another origin."""
    return HTMLResponse(_LEAVING.format(url=escape(url)))


def _told(door: Door, *, ends: bool = False) -> Door:
    """Tell a refusal on the sign-in page, by a word of ours. ``ends``: the ticket is used up, whatever happened."""

    async def told(request: Request, provider_id: str) -> Response:
        try:
            answer = await door(request, provider_id)
        except DashError as error:
            answer = RedirectResponse(f"/sign-in?{urlencode({'refused': _code(error)})}", 303)
        if ends:
            answer.delete_cookie(TICKET, path=_PATH)
        answer.headers["cache-control"] = "no-store"
        return answer

    return told


def _code(error: DashError) -> str:
    match error:
        case Refused():
            return error.why.value
        case RateLimited():
            return _OFTEN
        case TransientError():
            return Why.UNAVAILABLE.value
    return _GONE
