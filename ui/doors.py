"""The few plain HTTP routes of the screens: a session cookie that scripts cannot read must come by HTTP answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from appliance.errors import (
    BadRequest,
    Conflict,
    DashError,
    Forbidden,
    Invalid,
    Problem,
    RateLimited,
    TransientError,
    Unauthenticated,
)
from appliance.services.views import SetupRequest
from ui.provider_doors import add_provider_doors, leaving, visitor
from ui.session import COOKIE, OpenPages, local_path, with_cookie

if TYPE_CHECKING:
    from appliance.services import Services

_STATUS: tuple[tuple[type[DashError], int], ...] = (
    (BadRequest, 400),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (Conflict, 409),
    (Invalid, 422),
    (RateLimited, 429),
    (TransientError, 503),
)
MAX_FORM_BYTES = 16_384
AWAY_SECS = 2.0  # after which a page that was sent elsewhere is there


class SignInForm(msgspec.Struct):
    email: str
    password: str


class PasswordForm(msgspec.Struct):
    old: str
    new: str


Door = Callable[[Request], Awaitable[Response]]
F = TypeVar("F", SignInForm, PasswordForm, SetupRequest)


def add_doors(shell: FastAPI, services: "Services", open_pages: OpenPages) -> None:
    """Add sign-in, sign-out, set-up and change of password to ``shell``."""

    async def sign_in(request: Request) -> Response:
        form = await _form(request, SignInForm)
        remote = request.client.host if request.client else None
        done = await services.sessions.sign_in(form.email, form.password, remote)
        return with_cookie(
            JSONResponse({"next": local_path(request.query_params.get("next", "/"))}), request, done.cookie
        )

    async def set_up(request: Request) -> Response:
        done = await services.setup.run(await _form(request, SetupRequest))
        boards = await services.dashboards.list(done.principal, limit=1)
        target = f"/dashboards/{boards.items[0].id}" if boards.items else "/pipelines"
        return with_cookie(JSONResponse({"next": target}), request, done.session_cookie)

    async def sign_out(request: Request) -> Response:
        there = None
        if cookie := request.cookies.get(COOKIE):
            there = await services.provider_sign_in.farewell(cookie, visitor(request))
            # Not the page that was just sent away to its provider: it would be called back.
            asyncio.get_running_loop().call_later(0 if there is None else AWAY_SECS, open_pages.close, cookie)
        answer = RedirectResponse("/sign-in", 303) if there is None else leaving(there)
        answer.delete_cookie(COOKIE, path="/")
        return answer

    async def password(request: Request) -> Response:
        form = await _form(request, PasswordForm)
        who = await services.sessions.resolve(request.cookies.get(COOKIE, ""))
        if who is None:
            raise Unauthenticated("Changing the password: the session has ended, sign in again")
        await services.sessions.change_password(who, form.old, form.new)
        remote = request.client.host if request.client else None
        done = await services.sessions.sign_in(who.name, form.new, remote)
        return with_cookie(JSONResponse({"next": None}), request, done.cookie)

    for path, door in (("sign-in", sign_in), ("setup", set_up), ("sign-out", sign_out), ("password", password)):
        shell.add_api_route(f"/ui/{path}", _guarded(door), methods=["POST"], response_model=None)
    add_provider_doors(shell, services)


def _guarded(door: Door) -> Door:
    """Refuse what another site sends, and tell errors as problem+json like the API does."""

    async def guarded(request: Request) -> Response:
        try:
            if not same_origin(request):
                raise Forbidden("This form was sent from another site: open the page of this appliance and try again")
            return await door(request)
        except DashError as error:
            return _problem(error)

    return guarded


def same_origin(request: Request) -> bool:
    """Return whether a browser sent this from a page of this very origin (or it was no browser)."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")


async def _form(request: Request, shape: type[F]) -> F:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise BadRequest(f"Reading the form: it is larger than {MAX_FORM_BYTES} bytes")
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$.")
        raise Invalid([Problem("/" + place.rstrip("`"), what)]) from error
    except msgspec.DecodeError as error:
        raise BadRequest(f"Reading the form: it is not JSON ({error})") from error


def _problem(error: DashError) -> Response:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    document: dict[str, Any] = {"title": str(error), "status": status, "code": error.code}
    headers = {}
    if isinstance(error, Invalid):
        document["problems"] = [msgspec.to_builtins(problem) for problem in error.problems]
    if isinstance(error, RateLimited | TransientError):
        headers["retry-after"] = str(max(1, round(error.retry_after_secs)))
    return JSONResponse(document, status, headers, "application/problem+json")
