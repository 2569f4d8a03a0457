"""``/api/v1/pipelines/{id}/chunks``: how rows are cut and laid in columns on TimescaleDB, shown and adjusted."""

from typing import Any, Final

from litestar import Controller, Response, get, post, put
from litestar.params import FromPath

from appliance.api.exchange import AnyRequest, answered, asked, json_object
from appliance.api.operations import Operation, does
from appliance.domain.access import Action
from appliance.domain.ids import PipelineId
from appliance.domain.pipeline import Chunks
from appliance.errors import Conflict, Invalid, NotFound, TransientError
from appliance.services.chunks import ChunksPreview, ChunksView

SIX_HOURS: Final[dict[str, Any]] = {"interval": "6h", "compress_after": "3d"}


class ChunkController(Controller):
    path = "/pipelines/{pipeline_id:str}/chunks"
    tags = ("pipelines",)

    @get(
        "/",
        **does(
            Operation(
                summary="How the rows lie in chunks and columns of TimescaleDB",
                description="What the pipeline says and what counts, the newest chunks with their sizes, what is left "
                "of those in columns, and what the next round does. `missing` says why nothing can be adjusted.",
                access=Action.PIPELINE_READ,
                answer=ChunksView,
                errors=(NotFound, TransientError),
            )
        ),
    )
    async def show(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.chunks.get(who, PipelineId(pipeline_id)))

    @put(
        "/",
        **does(
            Operation(
                summary="Say how the rows are cut and laid in columns",
                description="A new version of the pipeline runs with it. What is left out is as the installation says. "
                "Another interval counts for new chunks; rows stay what they are. 409 where the database lacks what is "
                "needed for it.",
                access=Action.PIPELINE_WRITE,
                body=Chunks,
                example=SIX_HOURS,
                answer=ChunksView,
                errors=(NotFound, Invalid, Conflict, TransientError),
            )
        ),
    )
    async def adjust(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.chunks.put(who, PipelineId(pipeline_id), await json_object(request)))

    @post(
        "/preview",
        **does(
            Operation(
                summary="What other chunks would change, in words",
                description="Nothing is saved.",
                access=Action.PIPELINE_READ,
                body=Chunks,
                example=SIX_HOURS,
                answer=ChunksPreview,
                errors=(NotFound, Invalid, Conflict, TransientError),
            )
        ),
    )
    async def preview(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.chunks.preview(who, PipelineId(pipeline_id), await json_object(request)))
