"""``/api/v1/pipelines/{id}/replays`` and ``/api/v1/replays``: history refined again, swapped in, undone."""

from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from appliance.api.exchange import AnyRequest, PageParameters, answered, asked, read_body, read_parameters
from appliance.api.operations import Operation, does
from appliance.domain.access import Action
from appliance.domain.ids import PipelineId
from appliance.errors import Conflict, Invalid, NotFound, TransientError
from appliance.services.replay_documents import ReplayRequest, ReplayView
from appliance.services.views import Page

EXAMPLE: Final[dict[str, Any]] = {"swap": False}


class ReplayController(Controller):
    path = "/pipelines/{pipeline_id:str}/replays"
    tags = ("replays",)

    @get(
        "/",
        **does(
            Operation(
                summary="The pipeline's replays, newest first",
                access=Action.PIPELINE_READ,
                parameters=PageParameters,
                answer=Page[ReplayView],
                errors=(NotFound, Invalid),
            )
        ),
    )
    async def list_replays(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        page = read_parameters(request, PageParameters)
        return answered(await services.replays.list(who, PipelineId(pipeline_id), page.cursor, page.limit))

    @post(
        "/",
        **does(
            Operation(
                summary="Refine history again",
                description="Beside the rows in use, which stay readable; then swapped in, in one step. With `dry_run` "
                "the answer is 200 and says how many events, which columns change and about how long it takes.",
                access=Action.PIPELINE_WRITE,
                body=ReplayRequest,
                example=EXAMPLE,
                answer=ReplayView,
                status=201,
                errors=(NotFound, Invalid, Conflict, TransientError),
            )
        ),
    )
    async def begin(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        wish = await read_body(request, ReplayRequest)
        if wish.dry_run:
            return answered(await services.replays.plan(who, PipelineId(pipeline_id), wish))
        view = await services.replays.begin(who, PipelineId(pipeline_id), wish)
        return answered(view, 201, {"location": f"/api/v1/pipelines/{pipeline_id}/replays/{view.id}"})

    @get(
        "/{replay_id:str}",
        **does(
            Operation(
                summary="One replay, and how far it is",
                access=Action.PIPELINE_READ,
                answer=ReplayView,
                errors=(NotFound,),
            )
        ),
    )
    async def one(self, request: AnyRequest, pipeline_id: FromPath[str], replay_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.replays.get(who, PipelineId(pipeline_id), replay_id))

    @post(
        "/{replay_id:str}/swap",
        **does(
            Operation(
                summary="Swap it in as soon as it is rebuilt",
                access=Action.PIPELINE_WRITE,
                answer=ReplayView,
                errors=(NotFound, Conflict),
            )
        ),
    )
    async def swap(self, request: AnyRequest, pipeline_id: FromPath[str], replay_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.replays.swap(who, PipelineId(pipeline_id), replay_id))

    @post(
        "/{replay_id:str}/cancel",
        **does(
            Operation(
                summary="End it and discard what it rebuilt; the rows in use are not touched",
                access=Action.PIPELINE_WRITE,
                answer=ReplayView,
                errors=(NotFound, Conflict),
            )
        ),
    )
    async def cancel(
        self, request: AnyRequest, pipeline_id: FromPath[str], replay_id: FromPath[str]
    ) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.replays.cancel(who, PipelineId(pipeline_id), replay_id))

    @post(
        "/{replay_id:str}/undo",
        **does(
            Operation(
                summary="Put the former rows and the former version back",
                description="Possible until `undo_until`, and in the opposite order of several replays.",
                access=Action.PIPELINE_WRITE,
                answer=ReplayView,
                errors=(NotFound, Conflict),
            )
        ),
    )
    async def undo(self, request: AnyRequest, pipeline_id: FromPath[str], replay_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.replays.undo(who, PipelineId(pipeline_id), replay_id))


class AllReplaysController(Controller):
    path = "/replays"
    tags = ("replays",)

    @get(
        "/",
        **does(
            Operation(
                summary="Replays of all pipelines, newest first",
                access=Action.PIPELINE_READ,
                parameters=PageParameters,
                answer=Page[ReplayView],
                errors=(Invalid,),
            )
        ),
    )
    async def all_replays(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        page = read_parameters(request, PageParameters)
        return answered(await services.replays.list(who, None, page.cursor, page.limit))
