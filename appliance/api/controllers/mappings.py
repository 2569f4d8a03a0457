"""``/api/v1/mappings``: what a mapping would make of some events, what a change would change, a first suggestion."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Response, post
from msgspec import Meta

from appliance.api.exchange import AnyRequest, answered, answered_at_length, asked, read_body
from appliance.api.operations import Operation, does
from appliance.domain.access import Action
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import Mapping
from appliance.errors import Invalid, NotFound, Problem, TransientError
from appliance.services.comparisons import MOST_EVENTS, MOST_EVENTS_ASKED_FOR
from appliance.services.stretches import Stretch
from appliance.services.suggestions import SuggestionView
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
    """``samples``: events to map; left out: events of the ``pipeline``, the ``last`` ones or a ``range``.

    ``compare``: also tell what would change against the mapping that runs, over up to ``limit`` events of the range.
    """

    mapping: Annotated[dict[str, Any], Meta(description="A mapping document, as in a pipeline")]
    samples: list[Any] | None = None
    pipeline: str | None = None
    last: Annotated[int, Meta(ge=1, le=1000)] = 100
    range: Stretch | None = None
    compare: bool = False
    limit: Annotated[int, Meta(ge=1, le=MOST_EVENTS_ASKED_FOR)] = MOST_EVENTS


class PreviewDocument(PreviewRequest, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``PreviewRequest`` as it is documented: the mapping with all its parts."""

    mapping: Mapping  # type: ignore[assignment]


class SuggestRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``samples``: events; left out: the ``last`` events of the ``pipeline``."""

    samples: list[Any] | None = None
    pipeline: str | None = None
    last: Annotated[int, Meta(ge=1, le=1000)] = 1000


class MappingController(Controller):
    path = "/mappings"
    tags = ("mappings",)

    @post(
        "/preview",
        **does(
            Operation(
                summary="Try a mapping on samples or on real events",
                description="Nothing is stored. A mapping with mistakes is told all of them. With `compare` it is told "
                "what would change: rows added, removed and changed, dead letters new and healed, columns.",
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
        stretch = given.range or Stretch(last=MOST_EVENTS if given.compare else given.last)
        if not given.compare:
            return answered(await services.previews.preview(who, given.mapping, given.samples, pipeline_id, stretch))
        if pipeline_id is None or given.samples is not None:
            raise Invalid([Problem("/compare", "expected a pipeline and no samples: stored events are compared")])
        found = await services.comparisons.compare(who, pipeline_id, given.mapping, stretch, given.limit)
        return await answered_at_length(found)

    @post(
        "/suggest",
        **does(
            Operation(
                summary="Suggest a first mapping",
                description="From samples, or from what a pipeline has received: types, time, units, an array to make "
                "rows of, each with its reason. Nothing is stored.",
                access=Action.PIPELINE_READ,
                body=SuggestRequest,
                example={"samples": EXAMPLE["samples"]},
                answer=SuggestionView,
                errors=(NotFound, Invalid, TransientError),
            )
        ),
    )
    async def suggest(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        given = await read_body(request, SuggestRequest)
        pipeline_id = PipelineId(given.pipeline) if given.pipeline is not None else None
        return answered(await services.suggestions.suggest(who, given.samples, pipeline_id, given.last))
