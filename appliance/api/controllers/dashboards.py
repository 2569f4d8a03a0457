"""``/api/v1/dashboards`` and ``/api/v1/query``: measures, and the pages that show them."""

from typing import Final

from litestar import Controller, Response, delete, get, post, put
from litestar.params import FromPath

from appliance.api.exchange import (
    AnyRequest,
    PageParameters,
    answered,
    answered_at_length,
    asked,
    json_object,
    nothing,
    read_parameters,
)
from appliance.api.operations import Operation, does
from appliance.domain.access import Action
from appliance.domain.ids import DashboardId
from appliance.errors import Conflict, Invalid, NotFound, TransientError
from appliance.services.dashboard_documents import DashboardDocument
from appliance.services.query_documents import QueryDocument
from appliance.services.views import DashboardView, Page, QueryAnswer

QUERY: Final = {
    "pipeline": "{pipeline}",
    "measures": [{"op": "avg", "field": "temp_c", "as": "average"}, {"op": "count"}],
    "group_by": ["device"],
    "bucket": "1h",
    "from": "now-1d",
    "where": [{"field": "temp_c", "op": ">", "value": 0}],
    "limit": 1000,
}
DASHBOARD: Final = {
    "name": "Boiler room",
    "widgets": [
        {
            "id": "temperature",
            "title": "Temperature",
            "type": "timeseries",
            "query": {
                "pipeline": "{pipeline}",
                "measures": [{"op": "avg", "field": "temp_c", "as": "average"}],
                "bucket": "10s",
                "range": "15m",
            },
            "unit": "°C",
            "span": 2,
        }
    ],
}


class QueryController(Controller):
    path = "/query"
    tags = ("query",)

    @post(
        "/",
        **does(
            Operation(
                summary="Measures over the rows of a pipeline",
                description="Columns of the answer: `_time` (with a bucket), the groups, the measures.",
                access=Action.DATA_READ,
                body=QueryDocument,
                example=QUERY,
                answer=QueryAnswer,
                errors=(NotFound, Invalid, TransientError),
            )
        ),
    )
    async def query(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return await answered_at_length(await services.queries.query(who, await json_object(request)))


class DashboardController(Controller):
    path = "/dashboards"
    tags = ("dashboards",)

    @get(
        "/",
        **does(
            Operation(
                summary="List dashboards",
                access=Action.DASHBOARD_READ,
                parameters=PageParameters,
                answer=Page[DashboardView],
                errors=(Invalid,),
            )
        ),
    )
    async def list_dashboards(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        page = read_parameters(request, PageParameters)
        return answered(await services.dashboards.list(who, page.cursor, page.limit))

    @post(
        "/",
        **does(
            Operation(
                summary="Create a dashboard",
                access=Action.DASHBOARD_WRITE,
                body=DashboardDocument,
                example=DASHBOARD,
                answer=DashboardView,
                status=201,
                errors=(Invalid, Conflict),
            )
        ),
    )
    async def create(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.dashboards.create(who, await json_object(request)), 201)

    @get(
        "/{dashboard_id:str}",
        **does(
            Operation(summary="One dashboard", access=Action.DASHBOARD_READ, answer=DashboardView, errors=(NotFound,))
        ),
    )
    async def show(self, request: AnyRequest, dashboard_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.dashboards.get(who, DashboardId(dashboard_id)))

    @put(
        "/{dashboard_id:str}",
        **does(
            Operation(
                summary="Replace a dashboard",
                access=Action.DASHBOARD_WRITE,
                body=DashboardDocument,
                example=DASHBOARD | {"name": "Boiler room 2"},
                answer=DashboardView,
                errors=(NotFound, Invalid, Conflict),
            )
        ),
    )
    async def replace(self, request: AnyRequest, dashboard_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        document = await json_object(request)
        return answered(await services.dashboards.replace(who, DashboardId(dashboard_id), document))

    @delete(
        "/{dashboard_id:str}",
        **does(Operation(summary="Delete a dashboard", access=Action.DASHBOARD_WRITE, status=204, errors=(NotFound,))),
    )
    async def remove(self, request: AnyRequest, dashboard_id: FromPath[str]) -> Response[None]:
        services, who = asked(request)
        await services.dashboards.delete(who, DashboardId(dashboard_id))
        return nothing()

    @get(
        "/{dashboard_id:str}/data",
        **does(
            Operation(
                summary="The present data of every widget",
                description="By widget id. The WebSocket `/api/v1/feed` tells changes.",
                access=Action.DATA_READ,
                answer=dict[str, QueryAnswer],
                errors=(NotFound, Invalid, TransientError),
            )
        ),
    )
    async def data(self, request: AnyRequest, dashboard_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return await answered_at_length(await services.dashboards.data(who, DashboardId(dashboard_id)))
