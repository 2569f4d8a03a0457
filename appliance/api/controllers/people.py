"""``/api/v1/users`` and ``/api/v1/tokens``: who may come in."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, Response, delete, get, post, put
from litestar.params import FromPath
from msgspec import Meta

from appliance.api.exchange import AnyRequest, PageParameters, answered, asked, nothing, read_body, read_parameters
from appliance.api.operations import Operation, does
from appliance.domain.access import Action, Role
from appliance.domain.ids import TokenId, UserId
from appliance.errors import Conflict, Invalid, NotFound, Unlicensed
from appliance.services.views import CreatedToken, NewUser, Page, TokenInfo, UserView


class NewRole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Role


class ResetPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    password: Annotated[
        str, Meta(min_length=12, max_length=1024, examples=["a long pass phrase"], extra={"secret": True})
    ]


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=100, examples=["grafana"])]
    role: Role = Role.VIEWER
    expires_at: Annotated[datetime, Meta(tz=True, description="Null: never")] | None = None


class UserController(Controller):
    path = "/users"
    tags = ("users",)

    @get(
        "/",
        **does(
            Operation(
                summary="List users",
                access=Action.USER_MANAGE,
                parameters=PageParameters,
                answer=Page[UserView],
                errors=(Invalid,),
            )
        ),
    )
    async def list_users(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        page = read_parameters(request, PageParameters)
        return answered(await services.users.list(who, page.cursor, page.limit))

    @post(
        "/",
        **does(
            Operation(
                summary="Add a user",
                access=Action.USER_MANAGE,
                body=NewUser,
                example={"email": "grace@example.org", "password": "a long pass phrase", "role": "editor"},
                answer=UserView,
                status=201,
                errors=(Invalid, Conflict, Unlicensed),
            )
        ),
    )
    async def create(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.users.create(who, await read_body(request, NewUser)), 201)

    @put(
        "/{user_id:str}/role",
        **does(
            Operation(
                summary="Give a user another role",
                access=Action.USER_MANAGE,
                body=NewRole,
                example={"role": "viewer"},
                answer=UserView,
                errors=(NotFound, Invalid, Conflict),
            )
        ),
    )
    async def set_role(self, request: AnyRequest, user_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        given = await read_body(request, NewRole)
        return answered(await services.users.set_role(who, UserId(user_id), given.role))

    @post(
        "/{user_id:str}/disable",
        **does(
            Operation(
                summary="Shut a user out, at once",
                access=Action.USER_MANAGE,
                answer=UserView,
                errors=(NotFound, Conflict),
            )
        ),
    )
    async def disable(self, request: AnyRequest, user_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.users.disable(who, UserId(user_id)))

    @post(
        "/{user_id:str}/enable",
        **does(
            Operation(
                summary="Let a user who was shut out sign in again",
                access=Action.USER_MANAGE,
                answer=UserView,
                errors=(NotFound, Unlicensed),
            )
        ),
    )
    async def enable(self, request: AnyRequest, user_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.users.enable(who, UserId(user_id)))

    @put(
        "/{user_id:str}/password",
        **does(
            Operation(
                summary="Give another user a new password",
                description="Their sessions end. One's own is changed by `PUT /session/password`.",
                access=Action.USER_MANAGE,
                body=ResetPassword,
                example={"password": "a long pass phrase"},
                answer=UserView,
                errors=(NotFound, Invalid),
            )
        ),
    )
    async def set_password(self, request: AnyRequest, user_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        given = await read_body(request, ResetPassword)
        return answered(await services.users.set_password(who, UserId(user_id), given.password))


class TokenController(Controller):
    path = "/tokens"
    tags = ("tokens",)

    @get(
        "/",
        **does(
            Operation(
                summary="List tokens",
                access=Action.TOKEN_MANAGE,
                parameters=PageParameters,
                answer=Page[TokenInfo],
                errors=(Invalid,),
            )
        ),
    )
    async def list_tokens(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        page = read_parameters(request, PageParameters)
        return answered(await services.tokens.list(who, page.cursor, page.limit))

    @post(
        "/",
        **does(
            Operation(
                summary="Make a token",
                description="The token itself is in this answer and nowhere else.",
                access=Action.TOKEN_MANAGE,
                body=NewToken,
                example={"name": "grafana", "role": "viewer", "expires_at": "2199-01-31T00:00:00Z"},
                answer=CreatedToken,
                status=201,
                errors=(Invalid,),
            )
        ),
    )
    async def create(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        new = await read_body(request, NewToken)
        return answered(await services.tokens.create(who, new.name, new.role, new.expires_at), 201)

    @delete(
        "/{token_id:str}",
        **does(Operation(summary="Revoke a token", access=Action.TOKEN_MANAGE, status=204, errors=(NotFound,))),
    )
    async def revoke(self, request: AnyRequest, token_id: FromPath[str]) -> Response[None]:
        services, who = asked(request)
        await services.tokens.revoke(who, TokenId(token_id))
        return nothing()
