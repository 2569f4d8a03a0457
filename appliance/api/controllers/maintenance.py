"""``/api/v1/maintenance``: the maintenance mode of the whole installation."""

from litestar import Controller, Response, delete, get, post

from appliance.api.exchange import AnyRequest, answered, asked, nothing, read_body
from appliance.api.operations import Operation, does
from appliance.domain.access import Action
from appliance.errors import Invalid
from appliance.services.maintenance import MaintenanceRequest, MaintenanceView


class MaintenanceController(Controller):
    path = "/maintenance"
    tags = ("operations",)

    @get(
        "/",
        **does(
            Operation(
                summary="Whether the installation is under maintenance, and what is told",
                access=Action.DATA_READ,
                answer=MaintenanceView,
            )
        ),
    )
    async def show(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.maintenance.get(who))

    @post(
        "/",
        **does(
            Operation(
                summary="Begin maintenance, or change what is told of it",
                description="On every node, and over restarts. Receiving, reading and signing in go on; changes by "
                "people who are no administrators are answered 503 with the code `E_MAINTENANCE`; jobs and replays "
                "that have not begun wait; incidents are muted.",
                access=Action.OPERATIONS_MANAGE,
                body=MaintenanceRequest,
                example={"message": "The database moves to a new machine"},
                answer=MaintenanceView,
                errors=(Invalid,),
            )
        ),
    )
    async def begin(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        wanted = await read_body(request, MaintenanceRequest)
        return answered(await services.maintenance.begin(who, wanted))

    @delete(
        "/",
        **does(Operation(summary="End maintenance", access=Action.OPERATIONS_MANAGE, status=204)),
    )
    async def end(self, request: AnyRequest) -> Response[None]:
        services, who = asked(request)
        await services.maintenance.end(who)
        return nothing()
