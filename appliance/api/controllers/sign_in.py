"""``/api/v1/sign-in/providers``: OpenID providers by which the organisation's people sign in."""

from typing import Any, Final

import msgspec
from litestar import Controller, Response, delete, get, post, put
from litestar.params import FromPath

from appliance.api.exchange import AnyRequest, answered, asked, json_body, nothing
from appliance.api.operations import Operation, does
from appliance.domain.access import Action
from appliance.domain.sign_in import ProviderDocument, Tried
from appliance.errors import Conflict, Invalid, NotFound, Unlicensed
from appliance.services.provider_documents import IdentityView, ProviderView

EXAMPLE: Final[dict[str, Any]] = {
    "name": "Example Works",
    "issuer": "https://login.example.org/realms/staff",
    "client_id": "dash",
    "client_secret": "a secret of the provider's making",
    "domains": ["example.org"],
    "roles": [{"group": "dash-administrators", "role": "admin"}],
    "otherwise": "viewer",
    "create_users": True,
}


class ProviderList(msgspec.Struct, frozen=True):
    """``locked``: why none may be set up or changed; null: they may."""

    items: list[ProviderView]
    locked: str | None


class PeopleList(msgspec.Struct, frozen=True):
    items: list[IdentityView]


class Trial(msgspec.Struct, frozen=True):
    """What was found; ``fine``: nothing that would keep people out."""

    fine: bool
    findings: list[Tried]


def origin(request: AnyRequest) -> str:
    return str(request.base_url).rstrip("/")


class ProviderController(Controller):
    path = "/sign-in/providers"
    tags = ("sign-in",)

    @get("/", **does(Operation(summary="List providers", access=Action.USER_MANAGE, answer=ProviderList)))
    async def list_providers(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        found = [one.at(origin(request)) for one in await services.providers.list(who)]
        return answered(ProviderList(found, await services.providers.locked(who)))

    @post(
        "/",
        **does(
            Operation(
                summary="Set up a provider",
                description="To learn the callback URL before the provider knows this appliance: leave `client_id` "
                "empty and `enabled` false, and replace the document afterwards.",
                access=Action.USER_MANAGE,
                body=ProviderDocument,
                example=EXAMPLE,
                answer=ProviderView,
                status=201,
                errors=(Invalid, Conflict, Unlicensed),
            )
        ),
    )
    async def create(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        made = await services.providers.create(who, await json_body(request))
        return answered(made.at(origin(request)), 201)

    @get(
        "/{provider_id:str}",
        **does(
            Operation(
                summary="Show a provider", access=Action.USER_MANAGE, answer=ProviderView, errors=(NotFound,)
            )
        ),
    )  # fmt: skip
    async def show(self, request: AnyRequest, provider_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered((await services.providers.get(who, provider_id)).at(origin(request)))

    @put(
        "/{provider_id:str}",
        **does(
            Operation(
                summary="Change a provider",
                description="The whole document. A secret of `********` stays as it is, unless the issuer changes.",
                access=Action.USER_MANAGE,
                body=ProviderDocument,
                example=EXAMPLE,
                answer=ProviderView,
                errors=(NotFound, Invalid, Conflict, Unlicensed),
            )
        ),
    )
    async def replace(self, request: AnyRequest, provider_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        changed = await services.providers.replace(who, provider_id, await json_body(request))
        return answered(changed.at(origin(request)))

    @post(
        "/{provider_id:str}/disable",
        **does(
            Operation(
                summary="Let nobody come by a provider any more",
                description="Whatever the licence says. Who is signed in stays.",
                access=Action.USER_MANAGE,
                answer=ProviderView,
                errors=(NotFound,),
            )
        ),
    )
    async def disable(self, request: AnyRequest, provider_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered((await services.providers.disable(who, provider_id)).at(origin(request)))

    @delete(
        "/{provider_id:str}",
        **does(
            Operation(summary="Remove a provider", access=Action.USER_MANAGE, status=204, errors=(NotFound,))
        ),
    )  # fmt: skip
    async def remove(self, request: AnyRequest, provider_id: FromPath[str]) -> Response[None]:
        services, who = asked(request)
        await services.providers.delete(who, provider_id)
        return nothing()

    @post(
        "/{provider_id:str}/test",
        **does(
            Operation(
                summary="Try a provider: what it says of itself, its keys, whether it knows the client",
                access=Action.USER_MANAGE,
                answer=Trial,
                errors=(NotFound,),
            )
        ),
    )
    async def test(self, request: AnyRequest, provider_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        found = await services.providers.test(who, provider_id, origin(request))
        return answered(Trial(not any(one.state == "bad" for one in found), found))

    @get(
        "/{provider_id:str}/people",
        **does(
            Operation(
                summary="List who is known by a provider, the last that came first",
                access=Action.USER_MANAGE,
                answer=PeopleList,
                errors=(NotFound,),
            )
        ),
    )
    async def people(self, request: AnyRequest, provider_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(PeopleList(await services.providers.people(who, provider_id)))

    @delete(
        "/{provider_id:str}/people/{identity_id:str}",
        **does(
            Operation(
                summary="Know a user by a provider no more",
                description="Their sessions by it end; the user stays.",
                access=Action.USER_MANAGE,
                status=204,
                errors=(NotFound,),
            )
        ),
    )
    async def forget(
        self, request: AnyRequest, provider_id: FromPath[str], identity_id: FromPath[str]
    ) -> Response[None]:
        services, who = asked(request)
        await services.providers.forget(who, provider_id, identity_id)
        return nothing()
