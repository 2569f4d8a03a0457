"""``/api/v1/incidents``, ``/failures``, ``/log`` and ``/support-bundle``: what an operator looks at, of this node."""

from typing import Annotated

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.params import FromPath
from msgspec import Meta

from appliance.api.exchange import AnyRequest, answered, asked, nothing, read_parameters
from appliance.api.operations import Operation, does
from appliance.domain.access import Action
from appliance.domain.incident import Incident
from appliance.errors import Invalid, NotFound
from appliance.observe.log_book import Failure, Line
from appliance.services.operations import LogQuery
from appliance.services.resources import ResourceView
from appliance.services.support import Preview
from appliance.services.views import Page

ZIP = "application/zip"


class IncidentParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    every: Annotated[bool, Meta(description="Also what was closed in the last 30 days")] = False


class FailureParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: Annotated[str, Meta(description="As the list names it")]


class OperationsController(Controller):
    path = "/"
    tags = ("operations",)

    @get(
        "/incidents",
        **does(
            Operation(
                summary="What is wrong with this node, the gravest first",
                description="Conditions that lasted: readiness, disk, lag, dead letters, jobs, nodes. Each with a "
                "remedy and the page of the handbook.",
                access=Action.OPERATIONS_READ,
                parameters=IncidentParameters,
                answer=Page[Incident],
            )
        ),
    )
    async def incidents(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        wanted = read_parameters(request, IncidentParameters)
        return answered(await services.operations.incidents(who, every=wanted.every))

    @post(
        "/incidents/{incident_id:str}/acknowledge",
        **does(
            Operation(
                summary="Let everybody see that somebody knows",
                access=Action.OPERATIONS_MANAGE,
                answer=Incident,
                errors=(NotFound,),
            )
        ),
    )
    async def acknowledge(self, request: AnyRequest, incident_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.operations.acknowledge(who, incident_id))

    @get(
        "/failures",
        **does(
            Operation(
                summary="What went wrong, counted by kind",
                description="Errors of this node's log, grouped by part, event, exception and place: how often, first "
                "and last seen. Kept over restarts, and sent nowhere unless a setting says where to.",
                access=Action.OPERATIONS_READ,
                answer=Page[Failure],
            )
        ),
    )
    async def failures(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.operations.failures(who))

    @delete(
        "/failures",
        **does(
            Operation(
                summary="Count a kind of failure from nothing again",
                access=Action.OPERATIONS_MANAGE,
                parameters=FailureParameters,
                status=204,
                errors=(Invalid, NotFound),
            )
        ),
    )
    async def forget_failure(self, request: AnyRequest) -> Response[None]:
        services, who = asked(request)
        await services.operations.forget_failure(who, read_parameters(request, FailureParameters).key)
        return nothing()

    @get(
        "/log",
        **does(
            Operation(
                summary="The newest lines of this node's log",
                description="Newest first, from memory: about 2,000 lines, masked as they are written. `after` asks "
                "for what came since a line's `number`.",
                access=Action.OPERATIONS_READ,
                parameters=LogQuery,
                answer=Page[Line],
                errors=(Invalid,),
            )
        ),
    )
    async def log(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.operations.log(who, read_parameters(request, LogQuery)))

    @get(
        "/resources",
        **does(
            Operation(
                summary="What this node uses of what it may use, and what cleaning up did lately",
                description="Disk with a forecast, memory, open files, pools of threads, queues, connections to a "
                "database, and the last run of each kind of cleaning up. Cheap to ask.",
                access=Action.OPERATIONS_READ,
                answer=ResourceView,
            )
        ),
    )
    async def resources(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.resources.view(who))

    @get(
        "/support-bundle/preview",
        **does(
            Operation(
                summary="What a support bundle would hold, word for word",
                access=Action.OPERATIONS_READ,
                answer=Preview,
            )
        ),
    )
    async def preview(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.support.preview(who))

    @get(
        "/support-bundle",
        **does(
            Operation(
                summary="A support bundle: state, settings, log and failures of this node, without secrets or events",
                access=Action.OPERATIONS_READ,
                media=(ZIP,),
            )
        ),
    )
    async def bundle(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        name, content = await services.support.bundle(who)
        return Response(content, media_type=ZIP, headers={"content-disposition": f'attachment; filename="{name}"'})
