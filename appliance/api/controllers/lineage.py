"""``…/records/{seq}/lineage`` and ``/query/lineage``: what a row or a point of a chart was made of."""

from typing import Annotated, Final

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath
from msgspec import Meta

from appliance.api.exchange import AnyRequest, answered, asked, event_number, json_object, read_parameters
from appliance.api.operations import Operation, does
from appliance.domain.access import Action
from appliance.domain.ids import PipelineId
from appliance.errors import Invalid, NotFound, TransientError
from appliance.services.lineage_views import Lineage, PointDocument, PointLineage

EXAMPLE: Final = {
    "pipeline": "{pipeline}",
    "measures": [{"op": "avg", "field": "temp_c"}],
    "group_by": ["device"],
    "bucket": "1h",
    "range": "1d",
    "point": {"_time": "2026-01-31T08:00:00Z", "device": "b1"},
}


class LineageParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    item: Annotated[int, Meta(ge=0, description="Only this item of an event that became several rows")] | None = None


class LineageController(Controller):
    path = "/"
    tags = ("lineage",)

    @get(
        "/pipelines/{pipeline_id:str}/records/{seq:str}/lineage",
        **does(
            Operation(
                summary="What a record was made of, and who has read it",
                description="The event with its place in Bronze, the version that refined it, what it became, the "
                "events of other pipelines it came from, and the pipelines that read it. Events that have expired, "
                "were erased or cannot be read are answered, with `fate` and `told`.",
                access=Action.DATA_READ,
                parameters=LineageParameters,
                answer=Lineage,
                errors=(NotFound, Invalid, TransientError),
            )
        ),
    )
    async def lineage(self, request: AnyRequest, pipeline_id: FromPath[str], seq: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        given = read_parameters(request, LineageParameters)
        return answered(await services.lineages.of(who, PipelineId(pipeline_id), event_number(seq), given.item))

    @post(
        "/query/lineage",
        **does(
            Operation(
                summary="The records behind one point of a chart",
                description="A query, and the keys of one row of its answer: `_time` of its bucket, its group.",
                access=Action.DATA_READ,
                body=PointDocument,
                example=EXAMPLE,
                answer=PointLineage,
                errors=(NotFound, Invalid, TransientError),
            )
        ),
    )
    async def point(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.points.records(who, await json_object(request)))
