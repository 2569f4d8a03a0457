"""``/api/v1/mappings/preview``: what a mapping would make of some events."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Response, post
from msgspec import Meta

from appliance.api.exchange import AnyRequest, answered, asked, read_body
from appliance.api.operations import Operation, does
from appliance.domain.access import Action
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import Mapping
from appliance.errors import Invalid, NotFound, TransientError
from appliance.services.views import Preview

EXAMPLE: Final = {
    "mapping": {
        "time": {"path": "$.ts"},
        "fields": [
            {"name": "device", "path": "$.device", "type": "string", "required": True},
            {"name": "temp_c", "expr": "(temp_f - 32) * 5 / 9", "type": "float"},
        ],
    },
    "samples": [{"ts": "2026-01-31T08:00:00Z", "device": "b1", "temp_f": 212}, {"temp_f": 50}],
}


class PreviewRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``samples``: events to map; left out: the ``last`` events of the ``pipeline``."""

    mapping: Annotated[dict[str, Any], Meta(description="A mapping document, as in a pipeline")]
    samples: list[Any] | None = None
    pipeline: str | None = None
    last: Annotated[int, Meta(ge=1, le=1000)] = 100


class PreviewDocument(PreviewRequest, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``PreviewRequest`` as it is documented: the mapping with all its parts."""

    mapping: Mapping  # type: ignore[assignment]


class MappingController(Controller):
    path = "/mappings"
    tags = ("mappings",)

    @post(
        "/preview",
        **does(
            Operation(
                summary="Try a mapping on samples or on real events",
                description="Nothing is stored. A mapping with mistakes is told all of them.",
                access=Action.PIPELINE_READ,
                body=PreviewDocument,
                example=EXAMPLE,
                answer=Preview,
                errors=(NotFound, Invalid, TransientError),
            )
        ),
    )
    async def preview(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        given = await read_body(request, PreviewRequest)
        pipeline_id = PipelineId(given.pipeline) if given.pipeline is not None else None
        return answered(
            await services.previews.preview(who, given.mapping, given.samples, pipeline_id, last=given.last)
        )
