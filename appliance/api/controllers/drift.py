"""``/api/v1/pipelines/{id}/drift``: how a pipeline's events differ from what they looked like."""

from typing import Annotated

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath
from msgspec import Meta

from appliance.api.exchange import AnyRequest, answered, asked, read_body
from appliance.api.operations import Operation, does
from appliance.domain.access import Action
from appliance.domain.ids import PipelineId
from appliance.errors import Invalid, NotFound
from appliance.services.drift import DriftView


class AcknowledgeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``findings``: their ids; left out: all there are."""

    findings: Annotated[list[str], Meta(max_length=1_000, examples=[["new_field:$.fw"]])] | None = None


class DriftController(Controller):
    path = "/pipelines/{pipeline_id:str}/drift"
    tags = ("drift",)

    @get(
        "/",
        **does(
            Operation(
                summary="What events look like, and how they differ from that",
                description="About a hundred events a second are looked at. The first thousand are the baseline.",
                access=Action.PIPELINE_READ,
                answer=DriftView,
                errors=(NotFound,),
            )
        ),
    )
    async def show(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.drift.show(who, PipelineId(pipeline_id)))

    @post(
        "/acknowledge",
        **does(
            Operation(
                summary="Make findings part of the baseline",
                access=Action.PIPELINE_WRITE,
                body=AcknowledgeRequest,
                example={},
                answer=DriftView,
                errors=(NotFound, Invalid),
            )
        ),
    )
    async def acknowledge(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        given = await read_body(request, AcknowledgeRequest)
        return answered(await services.drift.acknowledge(who, PipelineId(pipeline_id), given.findings))
