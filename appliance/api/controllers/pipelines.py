"""``/api/v1/pipelines``: documents, versions, secrets, pause and resume."""

from typing import Any, Final

import msgspec
from litestar import Controller, Response, delete, get, post, put
from litestar.params import FromPath

from appliance.api.exchange import (
    AnyRequest,
    PageParameters,
    answered,
    asked,
    json_object,
    nothing,
    read_parameters,
)
from appliance.api.operations import Operation, does
from appliance.domain.access import Action
from appliance.domain.ids import PipelineId
from appliance.domain.pipeline import PipelineDocument
from appliance.errors import Conflict, Invalid, NotFound, Problem, Unlicensed
from appliance.services.views import Page, PipelineView

BOILER_ROOM: Final[dict[str, Any]] = {
    "name": "boiler-room",
    "source": {"type": "webhook", "signature": "standard_webhooks"},
    "mapping": {
        "explode": None,
        "time": {"path": "$.ts", "format": "auto"},
        "fields": [
            {"name": "device", "path": "$.device", "type": "string", "required": True},
            {"name": "temp_c", "expr": "(temp_f - 32) * 5 / 9", "type": "float", "min": -80, "max": 200},
        ],
        "where": "status <> 'test'",
        "key": ["device", "ts"],
        "unmapped": "keep",
    },
    "persist": True,
    "sinks": [],
    "retention": {"bronze": "365d", "silver": "90d"},
    "rate_limit": {"events_per_sec": 5000},
}


class NewPipeline(PipelineView, frozen=True, kw_only=True):
    """The pipeline; ``secret`` is what the sender signs with, shown this once."""

    secret: str | None


def origin(request: AnyRequest) -> str:
    """Return the address at which the sender of ``request`` reaches this appliance."""
    return str(request.base_url).rstrip("/")


def located(request: AnyRequest, view: PipelineView) -> Response[bytes]:
    return answered(view.at(origin(request)))


class Secret(msgspec.Struct, frozen=True):
    secret: str


class Secrets(msgspec.Struct, frozen=True):
    """In clear, newest first; any of them is valid."""

    secrets: list[str]


class Lint(msgspec.Struct, frozen=True):
    """Empty: the document could be saved."""

    problems: list[Problem]


class PipelineController(Controller):
    path = "/pipelines"
    tags = ("pipelines",)

    @get(
        "/",
        **does(
            Operation(
                summary="List pipelines",
                access=Action.PIPELINE_READ,
                parameters=PageParameters,
                answer=Page[PipelineView],
                errors=(Invalid,),
            )
        ),
    )
    async def list_pipelines(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        page = read_parameters(request, PageParameters)
        found = await services.pipelines.list(who, page.cursor, page.limit)
        return answered(Page([view.at(origin(request)) for view in found.items], found.next_cursor))

    @post(
        "/",
        **does(
            Operation(
                summary="Create and start a pipeline",
                description="A signed webhook without secrets gets one; it is in this answer as `secret`.",
                access=Action.PIPELINE_WRITE,
                body=PipelineDocument,
                example=BOILER_ROOM,
                answer=NewPipeline,
                status=201,
                errors=(Invalid, Conflict, Unlicensed),
            )
        ),
    )
    async def create(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        created = await services.pipelines.create(who, await json_object(request))
        view = NewPipeline(**msgspec.structs.asdict(created.pipeline.at(origin(request))), secret=created.secret)
        return answered(view, 201, {"location": f"/api/v1/pipelines/{view.id}"})

    @post(
        "/lint",
        **does(
            Operation(
                summary="All that is wrong with a pipeline document",
                access=Action.PIPELINE_READ,
                body=PipelineDocument,
                example=BOILER_ROOM,
                answer=Lint,
                errors=(Invalid,),
            )
        ),
    )
    async def lint(self, request: AnyRequest) -> Response[bytes]:
        return answered(Lint(await asked(request).services.pipelines.lint(await json_object(request))))

    @get(
        "/{pipeline_id:str}",
        **does(Operation(summary="One pipeline", access=Action.PIPELINE_READ, answer=PipelineView, errors=(NotFound,))),
    )
    async def show(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return located(request, await services.pipelines.get(who, PipelineId(pipeline_id)))

    @put(
        "/{pipeline_id:str}",
        **does(
            Operation(
                summary="Save and run a new version",
                description="A secret that reads `********` keeps its stored value.",
                access=Action.PIPELINE_WRITE,
                body=PipelineDocument,
                example=BOILER_ROOM | {"description": "The boiler, by the door"},
                answer=PipelineView,
                errors=(NotFound, Invalid, Conflict),
            )
        ),
    )
    async def replace(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        document = await json_object(request)
        return located(request, await services.pipelines.replace(who, PipelineId(pipeline_id), document))

    @delete(
        "/{pipeline_id:str}",
        **does(
            Operation(
                summary="Delete a pipeline with all its data",
                access=Action.PIPELINE_WRITE,
                status=204,
                errors=(NotFound,),
            )
        ),
    )
    async def remove(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[None]:
        services, who = asked(request)
        await services.pipelines.delete(who, PipelineId(pipeline_id))
        return nothing()

    @post(
        "/{pipeline_id:str}/pause",
        **does(
            Operation(
                summary="Stop receiving",
                description="What was received before is still refined.",
                access=Action.PIPELINE_WRITE,
                answer=PipelineView,
                errors=(NotFound, Conflict),
            )
        ),
    )
    async def pause(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return located(request, await services.pipelines.pause(who, PipelineId(pipeline_id)))

    @post(
        "/{pipeline_id:str}/resume",
        **does(
            Operation(
                summary="Receive again",
                access=Action.PIPELINE_WRITE,
                answer=PipelineView,
                errors=(NotFound, Conflict),
            )
        ),
    )
    async def resume(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return located(request, await services.pipelines.resume(who, PipelineId(pipeline_id)))


class SecretController(Controller):
    path = "/pipelines/{pipeline_id:str}/secrets"
    tags = ("pipelines",)

    @get(
        "/",
        **does(
            Operation(
                summary="The signing secrets, in clear",
                description="Each look is written into the audit trail.",
                access=Action.PIPELINE_WRITE,
                answer=Secrets,
                errors=(NotFound, Conflict),
            )
        ),
    )
    async def show(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(Secrets(await services.pipelines.secrets(who, PipelineId(pipeline_id))))

    @post(
        "/rotate",
        **does(
            Operation(
                summary="Add a new signing secret",
                description="The older ones stay valid until they are dropped.",
                access=Action.PIPELINE_WRITE,
                answer=Secret,
                status=201,
                errors=(NotFound, Conflict),
            )
        ),
    )
    async def rotate(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(Secret(await services.pipelines.rotate_secret(who, PipelineId(pipeline_id))), 201)

    @post(
        "/drop",
        **does(
            Operation(
                summary="Forget all signing secrets but the newest",
                access=Action.PIPELINE_WRITE,
                answer=PipelineView,
                errors=(NotFound, Conflict),
            )
        ),
    )
    async def drop(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return located(request, await services.pipelines.drop_secret(who, PipelineId(pipeline_id)))
