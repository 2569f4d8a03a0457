"""``/api/v1/pipelines/{id}/versions``: every saved document, what differs, candidates, the way back."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath
from msgspec import Meta

from appliance.api.controllers.pipelines import BOILER_ROOM
from appliance.api.exchange import AnyRequest, answered, asked, read_body, read_parameters
from appliance.api.operations import Operation, does
from appliance.domain.access import Action
from appliance.domain.ids import PipelineId
from appliance.domain.pipeline import PipelineDocument
from appliance.errors import Conflict, Invalid, NotFound, Problem
from appliance.services.views import Page, VersionDiff, VersionView

Note = Annotated[str, Meta(max_length=500, description="Why, in a few words")]
CANDIDATE: Final = {"document": BOILER_ROOM | {"name": "boilers"}, "note": "hotter boilers are coming"}


class SaveRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    document: dict[str, Any]
    note: Note | None = None


class SaveDocument(SaveRequest, frozen=True, forbid_unknown_fields=True):
    """``SaveRequest`` as it is documented: the document with all its parts."""

    document: PipelineDocument  # type: ignore[assignment]


class RestoreRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``run``: false saves a candidate, for a replay to make it the running version."""

    note: Note | None = None
    run: bool = True


class DiffParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``to``: the later version; left out: the one that runs."""

    to: int | None = None


class VersionController(Controller):
    path = "/pipelines/{pipeline_id:str}/versions"
    tags = ("versions",)

    @get(
        "/",
        **does(
            Operation(
                summary="Every saved definition, newest first",
                access=Action.PIPELINE_READ,
                answer=Page[VersionView],
                errors=(NotFound,),
            )
        ),
    )
    async def list_versions(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(Page(await services.versions.all(who, PipelineId(pipeline_id))))

    @post(
        "/",
        **does(
            Operation(
                summary="Save a candidate",
                description="It is judged like a document that runs, and does not run: a replay can make it run. "
                "A secret that reads `********` keeps its stored value.",
                access=Action.PIPELINE_WRITE,
                body=SaveDocument,
                example=CANDIDATE,
                answer=VersionView,
                status=201,
                errors=(NotFound, Invalid, Conflict),
            )
        ),
    )
    async def save(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        given = await read_body(request, SaveRequest)
        try:
            view = await services.versions.save(who, PipelineId(pipeline_id), given.document, given.note)
        except Invalid as error:
            raise Invalid([_below("/document", problem) for problem in error.problems]) from None
        location = f"/api/v1/pipelines/{pipeline_id}/versions/{view.version}"
        return answered(view, 201, {"location": location})

    @get(
        "/{number:int}",
        **does(Operation(summary="One version", access=Action.PIPELINE_READ, answer=VersionView, errors=(NotFound,))),
    )
    async def show(self, request: AnyRequest, pipeline_id: FromPath[str], number: FromPath[int]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.versions.get(who, PipelineId(pipeline_id), number))

    @get(
        "/{number:int}/diff",
        **does(
            Operation(
                summary="What differs between this version and another",
                description="By JSON pointer with before and after, and in words for each field.",
                access=Action.PIPELINE_READ,
                parameters=DiffParameters,
                answer=VersionDiff,
                errors=(NotFound, Invalid),
            )
        ),
    )
    async def diff(self, request: AnyRequest, pipeline_id: FromPath[str], number: FromPath[int]) -> Response[bytes]:
        services, who = asked(request)
        to = read_parameters(request, DiffParameters).to
        return answered(await services.versions.diff(who, PipelineId(pipeline_id), number, to))

    @post(
        "/{number:int}/restore",
        **does(
            Operation(
                summary="Save an earlier document as a new version",
                description="It runs at once, unless `run` is false. The secrets in use today are kept.",
                access=Action.PIPELINE_WRITE,
                body=RestoreRequest,
                example={"note": "as it was before"},
                answer=VersionView,
                status=201,
                errors=(NotFound, Invalid, Conflict),
            )
        ),
    )
    async def restore(self, request: AnyRequest, pipeline_id: FromPath[str], number: FromPath[int]) -> Response[bytes]:
        services, who = asked(request)
        given = await read_body(request, RestoreRequest)
        view = await services.versions.restore(who, PipelineId(pipeline_id), number, note=given.note, run=given.run)
        return answered(view, 201)


def _below(pointer: str, problem: Problem) -> Problem:
    return msgspec.structs.replace(problem, pointer=pointer + problem.pointer)
