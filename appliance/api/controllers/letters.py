"""``/api/v1/pipelines/{id}/dead-letters``: events that could not become rows, and what can be done about them."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath
from msgspec import Meta

from appliance.api.exchange import AnyRequest, answered, answered_at_length, asked, read_body, read_parameters
from appliance.api.operations import Operation, does
from appliance.components.silver import DeadLetterQuery
from appliance.domain.access import Action
from appliance.domain.ids import PipelineId
from appliance.errors import Conflict, Invalid, NotFound, TransientError
from appliance.services.letter_documents import (
    DropRequest,
    FixRequest,
    LetterCause,
    LetterChoice,
    LetterWork,
    RetryRequest,
)
from appliance.services.paging import cursor_of, place_of
from appliance.services.views import DeadLetter, Page

_ERRORS = (NotFound, Invalid, Conflict, TransientError)


class DeadLetterParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: str | None = None
    field: str | None = None
    cursor: str | None = None
    limit: Annotated[int, Meta(ge=1, le=999)] = 100


class LetterController(Controller):
    path = "/pipelines/{pipeline_id:str}/dead-letters"
    tags = ("dead letters",)

    @get(
        "/",
        **does(
            Operation(
                summary="Events that could not become rows, newest first",
                access=Action.DATA_READ,
                parameters=DeadLetterParameters,
                answer=Page[DeadLetter],
                errors=(NotFound, Invalid, TransientError),
            )
        ),
    )
    async def dead_letters(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        given = read_parameters(request, DeadLetterParameters)
        before = place_of(given.cursor, tuple[datetime, int]) if given.cursor is not None else None
        query = DeadLetterQuery(reason=given.reason, field=given.field, before=before, limit=given.limit + 1)
        found = await services.dead_letters.newest(who, PipelineId(pipeline_id), query)
        return answered(_page(found, given.limit))

    @get(
        "/causes",
        **does(
            Operation(
                summary="What dead letters have in common, most events first",
                access=Action.DATA_READ,
                parameters=LetterChoice,
                answer=Page[LetterCause],
                errors=(NotFound, Invalid, TransientError),
            )
        ),
    )
    async def causes(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        choice = read_parameters(request, LetterChoice)
        return answered(Page(await services.dead_letters.causes(who, PipelineId(pipeline_id), choice)))

    @post(
        "/retry",
        **does(
            Operation(
                summary="Refine them again by the mapping of now",
                description="At most 10,000 events a request: go on with `next_seq` until it is null.",
                access=Action.PIPELINE_WRITE,
                body=RetryRequest,
                example={"choose": {"reason": "type"}, "dry_run": True},
                answer=LetterWork,
                errors=_ERRORS,
            )
        ),
    )
    async def retry(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        wanted = await read_body(request, RetryRequest)
        return await answered_at_length(await services.dead_letters.retry(who, PipelineId(pipeline_id), wanted))

    @post(
        "/fix",
        **does(
            Operation(
                summary="Refine a corrected payload instead of what was received",
                description="The event itself stays in Bronze as it came; every later replay uses the correction.",
                access=Action.PIPELINE_WRITE,
                body=FixRequest,
                example={"choose": {"reason": "required"}, "patch": {"device": "b1"}, "reason": "old firmware"},
                answer=LetterWork,
                errors=_ERRORS,
            )
        ),
    )
    async def fix(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        wanted = await read_body(request, FixRequest)
        return await answered_at_length(await services.dead_letters.fix(who, PipelineId(pipeline_id), wanted))

    @post(
        "/drop",
        **does(
            Operation(
                summary="Refine nothing instead of them",
                description="They count as filtered from now on and stay in Bronze as they came.",
                access=Action.PIPELINE_WRITE,
                body=DropRequest,
                example={"choose": {"reason": "required"}, "reason": "test messages"},
                answer=LetterWork,
                errors=_ERRORS,
            )
        ),
    )
    async def drop(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        wanted = await read_body(request, DropRequest)
        return await answered_at_length(await services.dead_letters.drop(who, PipelineId(pipeline_id), wanted))


def _page(found: list[DeadLetter], limit: int) -> Page[DeadLetter]:
    """Return a page that ends between two events: the cursor names an event, not one of its items."""
    if len(found) <= limit:
        return Page(found)
    cut = found[limit].seq
    whole = [letter for letter in found[:limit] if letter.seq != cut] or found[:limit]
    return Page(whole, cursor_of([whole[-1].received_at, whole[-1].seq]))
