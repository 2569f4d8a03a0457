"""``/api/v1/setup``: the first run."""

from typing import Literal

import msgspec
from litestar import Controller, Response, get, post

from appliance.api.authentication import set_cookie
from appliance.api.exchange import AnyRequest, answered, read_body, services_of
from appliance.api.operations import Open, Operation, does
from appliance.domain.access import Principal
from appliance.domain.database.examination import Examination
from appliance.errors import Conflict, Invalid, TransientError
from appliance.services.databases import DatabaseRequest
from appliance.services.views import SetupRequest


class SetupState(msgspec.Struct, frozen=True):
    """``needed``: nobody has set this appliance up yet. ``database``: where accounts and settings are kept."""

    needed: bool
    database: Literal["embedded", "postgresql"] = "embedded"


class Restarting(msgspec.Struct, frozen=True):
    """Dash starts again; ``GET /api/v1/setup`` tells when it is back, by its ``database``."""

    restarting: bool = True


class SetupDone(msgspec.Struct, frozen=True):
    """The administrator, signed in by the cookie of this answer; ``token`` only if it was asked for."""

    principal: Principal
    token: str | None


_DATABASE = {"dsn": "postgresql://dash@db.example.org/dash?sslmode=verify-full"}


class SetupController(Controller):
    path = "/setup"
    tags = ("set-up",)

    @get(
        "/",
        **does(Operation(summary="Whether the first run is still to come", access=Open.ANYBODY, answer=SetupState)),
    )
    async def state(self, request: AnyRequest) -> Response[bytes]:
        services = services_of(request)
        needed = await services.setup.needed()
        return answered(SetupState(needed, "embedded" if services.databases.current() is None else "postgresql"))

    @post(
        "/database/check",
        **does(
            Operation(
                summary="Look at a database before choosing it",
                description="Only before the set-up, and only where a screen may connect to: see `egress.allow`.",
                access=Open.ANYBODY,
                body=DatabaseRequest,
                example=_DATABASE,
                answer=Examination,
                errors=(Conflict, Invalid, TransientError),
            )
        ),
    )
    async def check_database(self, request: AnyRequest) -> Response[bytes]:
        found = await services_of(request).databases.check(await read_body(request, DatabaseRequest))
        return answered(found)

    @post(
        "/database",
        **does(
            Operation(
                summary="Keep accounts, settings and rows in this database",
                description="Only before the set-up. It is noted in the data directory, and Dash starts again on it.",
                access=Open.ANYBODY,
                body=DatabaseRequest,
                example=_DATABASE,
                answer=Restarting,
                status=202,
                errors=(Conflict, Invalid, TransientError),
            )
        ),
    )
    async def choose_database(self, request: AnyRequest) -> Response[bytes]:
        await services_of(request).databases.choose(await read_body(request, DatabaseRequest))
        return answered(Restarting(), 202)

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
