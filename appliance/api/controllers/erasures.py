"""``/api/v1/erasures``: a subject's events removed for good, from Bronze and from everything made of them."""

from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from appliance.api.exchange import AnyRequest, PageParameters, answered, asked, json_object, read_parameters
from appliance.api.operations import Operation, does
from appliance.domain.access import Action
from appliance.errors import Invalid, NotFound
from appliance.services.erasure_documents import ErasureRequest, ErasureView
from appliance.services.views import Page

SUBJECT: Final[dict[str, Any]] = {
    "pipelines": ["{pipeline}"],
    "where": {"device": "boiler-0007"},
    "payload": [{"path": "$.user.email", "value": "ada@example.org"}],
    "reason": "request 4711 under GDPR article 17",
    "dry_run": True,
}


class ErasureController(Controller):
    path = "/erasures"
    tags = ("erasures",)

    @post(
        "/",
        **does(
            Operation(
                summary="Erase somebody's events, or find out how many they are",
                description="Done in the background: tombstones in Bronze, and nothing left in rows, dead letters, "
                "rollups, or pipelines further down. What was looked for is forgotten as soon as it is found. "
                "`dry_run` ends with the state `found`.",
                access=Action.DATA_ERASE,
                body=ErasureRequest,
                example=SUBJECT,
                answer=ErasureView,
                status=202,
                errors=(Invalid, NotFound),
            )
        ),
    )
    async def request(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        accepted = await services.erasures.request(who, await json_object(request))
        return answered(accepted, 202, {"location": f"/api/v1/erasures/{accepted.id}"})

    @get(
        "/",
        **does(
            Operation(
                summary="Erasures, newest first",
                access=Action.DATA_ERASE,
                parameters=PageParameters,
                answer=Page[ErasureView],
                errors=(Invalid,),
            )
        ),
    )
    async def list_erasures(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        page = read_parameters(request, PageParameters)
        return answered(await services.erasures.list(who, page.cursor, page.limit))

    @get(
        "/{erasure_id:str}",
        **does(
            Operation(
                summary="One erasure, as far as it is",
                access=Action.DATA_ERASE,
                answer=ErasureView,
                errors=(NotFound,),
            )
        ),
    )
    async def get_erasure(self, request: AnyRequest, erasure_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.erasures.get(who, erasure_id))
