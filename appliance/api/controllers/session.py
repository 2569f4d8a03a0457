"""``/api/v1/session``: the browser's own session, and who one is."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, Response, delete, get, post, put
from msgspec import Meta

from appliance.api.authentication import clear_cookie, cookie_of, headers_of, set_cookie
from appliance.api.exchange import AnyRequest, answered, asked, nothing, read_body, services_of
from appliance.api.operations import Open, Operation, does
from appliance.domain.access import Action, Principal, actions_of
from appliance.errors import Forbidden, Invalid, RateLimited, Unauthenticated


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: Annotated[str, Meta(max_length=254, examples=["ada@example.org"])]
    password: Annotated[str, Meta(max_length=1024, extra={"secret": True})]


class NewPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    old: Annotated[str, Meta(max_length=1024, extra={"secret": True})]
    new: Annotated[str, Meta(min_length=12, max_length=1024, extra={"secret": True})]


class Opened(msgspec.Struct, frozen=True):
    """A session; its cookie is in the header ``Set-Cookie``."""

    principal: Principal
    expires_at: datetime


class WhoAmI(msgspec.Struct, frozen=True):
    principal: Principal
    actions: list[Action]


class SessionController(Controller):
    path = "/session"
    tags = ("session",)

    @get("/", **does(Operation(summary="Who I am and what I may do", access=Open.SIGNED_IN, answer=WhoAmI)))
    async def show(self, request: AnyRequest) -> Response[bytes]:
        who = asked(request).who
        return answered(WhoAmI(who, actions_of(who)))

    @post(
        "/",
        **does(
            Operation(
                summary="Sign in",
                access=Open.ANYBODY,
                body=Credentials,
                example={"email": "ada@example.org", "password": "correct horse battery"},
                answer=Opened,
                status=201,
                errors=(Invalid, Unauthenticated, Forbidden, RateLimited),
            )
        ),
    )
    async def sign_in(self, request: AnyRequest) -> Response[bytes]:
        given = await read_body(request, Credentials)
        remote = request.client.host if request.client else None
        sessions = services_of(request).sessions
        signed_in = await sessions.sign_in(given.email, given.password, remote)
        cookie = set_cookie(signed_in.cookie, request.scope, sessions.lifetime.at_most)
        return answered(Opened(signed_in.principal, signed_in.expires_at), 201, {"set-cookie": cookie})

    @delete("/", **does(Operation(summary="Sign out", access=Open.ANYBODY, status=204)))
    async def sign_out(self, request: AnyRequest) -> Response[None]:
        cookie = cookie_of(headers_of(request.scope))
        if cookie:
            await services_of(request).sessions.sign_out(cookie)
        return nothing({"set-cookie": clear_cookie(request.scope)})

    @put(
        "/password",
        **does(
            Operation(
                summary="Change my password",
                description="Ends all sessions of the user, this one too.",
                access=Open.SIGNED_IN,
                body=NewPassword,
                example={"old": "correct horse battery", "new": "staple of the new battery"},
                status=204,
                errors=(Invalid, RateLimited),
            )
        ),
    )
    async def change_password(self, request: AnyRequest) -> Response[None]:
        services, who = asked(request)
        given = await read_body(request, NewPassword)
        await services.sessions.change_password(who, given.old, given.new)
        return nothing({"set-cookie": clear_cookie(request.scope)})
