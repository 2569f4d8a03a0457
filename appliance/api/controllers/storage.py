"""``/api/v1/storage`` and how long data is kept: bytes, growth, forecast, marks, rounds of retention."""

from litestar import Controller, Response, get, post, put
from litestar.params import FromPath

from appliance.api.exchange import AnyRequest, answered, asked, json_object
from appliance.api.operations import Operation, does
from appliance.components.upkeep import Compacted
from appliance.domain.access import Action
from appliance.domain.ids import OrganisationId
from appliance.domain.pipeline import Retention
from appliance.errors import Invalid, NotFound, TransientError
from appliance.services.storage import StorageView


class StorageController(Controller):
    path = "/"
    tags = ("storage",)

    @get(
        "/storage",
        **does(
            Operation(
                summary="What the data occupies, and when the disk will be full",
                description="Bytes in Bronze, Silver (with the file's free blocks) and Gold, marks and state of the "
                "disk, growth by day, and the last rounds of retention.",
                access=Action.DATA_READ,
                answer=StorageView,
                errors=(TransientError,),
            )
        ),
    )
    async def overview(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.storage.overview(who))

    @post(
        "/storage/compact",
        **does(
            Operation(
                summary="Give the free blocks of the rows' file back to the file system",
                description="Needs as much free disk as the result occupies; 503 when there is not.",
                access=Action.STORAGE_MANAGE,
                answer=Compacted,
                errors=(TransientError,),
            )
        ),
    )
    async def compact(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.storage.compact(who))

    @get(
        "/organisations/{organisation_id:str}/retention",
        **does(
            Operation(
                summary="How long data is kept where a pipeline says nothing else",
                access=Action.PIPELINE_READ,
                answer=Retention,
                errors=(NotFound,),
            )
        ),
    )
    async def retention(self, request: AnyRequest, organisation_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.retention.get(who, OrganisationId(organisation_id)))

    @put(
        "/organisations/{organisation_id:str}/retention",
        **does(
            Operation(
                summary="Say how long data is kept where a pipeline says nothing else",
                access=Action.STORAGE_MANAGE,
                body=Retention,
                example={"bronze": "365d", "silver": "90d", "bronze_size": "20 GiB"},
                answer=Retention,
                errors=(NotFound, Invalid),
            )
        ),
    )
    async def set_retention(self, request: AnyRequest, organisation_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        wanted = await services.retention.put(who, OrganisationId(organisation_id), await json_object(request))
        return answered(wanted)
