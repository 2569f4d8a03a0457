"""Puts the API together: routes, guard, problems. No global state: what a route needs hangs on this very app."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from litestar import Litestar, Response, Router
from litestar.datastructures import State
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from appliance.api.authentication import principal_of
from appliance.api.controllers.backups import BackupController
from appliance.api.controllers.branding import BrandingController
from appliance.api.controllers.chunks import ChunkController
from appliance.api.controllers.dashboards import DashboardController, QueryController
from appliance.api.controllers.drift import DriftController
from appliance.api.controllers.erasures import ErasureController
from appliance.api.controllers.health import HealthController
from appliance.api.controllers.jobs import JobController
from appliance.api.controllers.letters import LetterController
from appliance.api.controllers.licenses import LicenseController
from appliance.api.controllers.lineage import LineageController
from appliance.api.controllers.maintenance import MaintenanceController
from appliance.api.controllers.mappings import MappingController
from appliance.api.controllers.nodes import NodeController
from appliance.api.controllers.operations import OperationsController
from appliance.api.controllers.organisation import HouseController, OrganisationController
from appliance.api.controllers.people import TokenController, UserController
from appliance.api.controllers.pipelines import PipelineController, SecretController
from appliance.api.controllers.records import RecordController
from appliance.api.controllers.replays import AllReplaysController, ReplayController
from appliance.api.controllers.session import SessionController
from appliance.api.controllers.setup import SetupController
from appliance.api.controllers.sign_in import ProviderController
from appliance.api.controllers.storage import StorageController
from appliance.api.controllers.upgrades import UpgradeController
from appliance.api.controllers.versions import VersionController
from appliance.api.exchange import MAX_BODY_BYTES, AnyRequest
from appliance.api.explorer import ExplorerController
from appliance.api.idempotency import Idempotency
from appliance.api.operations import guard
from appliance.api.problems import problem_of
from appliance.services import Services
from appliance.services.ports import Health, Hub

PREFIX: Final = "/api/v1"
_NOSNIFF: Final = ((b"x-content-type-options", b"nosniff"),)
_PRIVATE: Final = (*_NOSNIFF, (b"cache-control", b"no-store"))
CONTROLLERS: Final = (
    SetupController,
    SessionController,
    ProviderController,
    UserController,
    TokenController,
    OrganisationController,
    HouseController,
    PipelineController,
    SecretController,
    VersionController,
    ChunkController,
    DriftController,
    ReplayController,
    AllReplaysController,
    RecordController,
    LetterController,
    LineageController,
    MappingController,
    QueryController,
    DashboardController,
    StorageController,
    ErasureController,
    JobController,
    NodeController,
    LicenseController,
    BackupController,
    OperationsController,
    UpgradeController,
    MaintenanceController,
    BrandingController,
)


class _Api(Litestar):
    """Without the plugin for Pydantic, which nothing here is made of: it and Pydantic's version 1 take 1.6 MiB.

    Litestar has no public way to leave it out.
    """

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]


def build_api(
    services: Services,
    health: Health,
    metrics: Callable[[], bytes],
    hub: Hub,
    stopping: asyncio.Event | None = None,
) -> Litestar:
    """Return the ASGI application of ``/api/…``, health and metrics. ``stopping``: ends open streams when it is set."""
    state = {
        "services": services,
        "health": health,
        "metrics": metrics,
        "hub": hub,
        "stopping": stopping or asyncio.Event(),
    }
    api = Router(
        PREFIX,
        route_handlers=CONTROLLERS,
        middleware=[_authenticating(services), _idempotent(services)],
        guards=[guard],
    )
    return _Api(
        [api, HealthController, ExplorerController],
        state=State(state),
        exception_handlers={Exception: _problem},
        before_send=[_guarded],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=MAX_BODY_BYTES,
        debug=False,
    )


async def _guarded(message: Message, scope: Scope) -> None:
    """Have no browser guess what an answer is, nor keep it, unless whoever answers says how."""
    if message["type"] == "http.response.start":
        headers = list(message["headers"])
        said = {name.lower() for name, _ in headers}
        wanted = _NOSNIFF if not scope["path"].startswith(PREFIX) else _PRIVATE
        message["headers"] = [*headers, *((name, value) for name, value in wanted if name not in said)]


def _problem(request: AnyRequest, error: Exception) -> Response[bytes]:
    status, headers, body = problem_of(error, request.scope["path"])
    media = headers.pop("content-type")
    return Response(body, status_code=status, headers=headers, media_type=media)


def _authenticating(services: Services) -> Callable[[ASGIApp], ASGIApp]:
    """Return the middleware that finds out who asks; guards decide what that means."""

    def factory(app: ASGIApp) -> ASGIApp:
        async def authenticate(scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"]["who"] = await principal_of(scope, services)
            await app(scope, receive, send)

        return authenticate

    return factory


def _idempotent(services: Services) -> Callable[[ASGIApp], Any]:
    return lambda app: Idempotency(app, services.answers)
