"""``/api/v1/setup``: the first run."""

import msgspec
from litestar import Controller, Response, get, post

from appliance.api.authentication import set_cookie
from appliance.api.exchange import AnyRequest, answered, read_body, services_of
from appliance.api.operations import Open, Operation, does
from appliance.domain.access import Principal
from appliance.errors import Conflict, Invalid
from appliance.services.views import SetupRequest


class SetupState(msgspec.Struct, frozen=True):
    """``needed``: nobody has set this appliance up yet."""

    needed: bool


class SetupDone(msgspec.Struct, frozen=True):
    """The administrator, signed in by the cookie of this answer; ``token`` only if it was asked for."""

    principal: Principal
    token: str | None


class SetupController(Controller):
    path = "/setup"
    tags = ("set-up",)

    @get(
        "/",
        **does(Operation(summary="Whether the first run is still to come", access=Open.ANYBODY, answer=SetupState)),
    )
    async def state(self, request: AnyRequest) -> Response[bytes]:
        return answered(SetupState(await services_of(request).setup.needed()))

    @post(
        "/",
        **does(
            Operation(
                summary="Create organisation and administrator",
                description="Once in the life of an installation. The answer signs the administrator in.",
                access=Open.ANYBODY,
                body=SetupRequest,
                example={
                    "admin_email": "ada@example.org",
                    "admin_password": "correct horse battery",
                    "organisation": "Example Works",
                    "sample": True,
                    "token": True,
                },
                answer=SetupDone,
                status=201,
                errors=(Conflict, Invalid),
            )
        ),
    )
    async def run(self, request: AnyRequest) -> Response[bytes]:
        services = services_of(request)
        done = await services.setup.run(await read_body(request, SetupRequest))
        cookie = set_cookie(done.session_cookie, request.scope, services.sessions.lifetime.at_most)
        return answered(SetupDone(done.principal, done.token), 201, {"set-cookie": cookie})
