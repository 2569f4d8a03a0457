"""``/api/v1/backups``: what there is, taken now, verified, and when they are taken."""

from litestar import Controller, Response, get, post, put
from litestar.params import FromPath

from appliance.api.exchange import AnyRequest, answered, asked, json_body, json_object
from appliance.api.operations import Operation, does
from appliance.domain.access import Action
from appliance.domain.backup_plan import BackupPlan
from appliance.domain.backup_view import BackupView
from appliance.errors import ConfigError, Invalid, NotFound
from appliance.services.backup_views import BackupRequest, BackupsView
from appliance.services.jobs import JobView
from appliance.services.views import Page


class BackupController(Controller):
    path = "/backups"
    tags = ("backups",)

    @get(
        "/",
        **does(
            Operation(
                summary="All backups, newest first, and how it stands with them",
                description="Where they go, when the next is due, what became of the last, and what is under way. "
                "They are of the whole installation. A place that cannot be reached is told in `trouble`.",
                access=Action.BACKUP_READ,
                answer=BackupsView,
            )
        ),
    )
    async def overview(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.backups.overview(who))

    @post(
        "/",
        **does(
            Operation(
                summary="Take a backup now",
                description="Answers a job for each node that keeps events; receiving goes on meanwhile. "
                "`secret.key` is in no backup.",
                access=Action.BACKUP_MANAGE,
                body=BackupRequest,
                example={"kind": "full"},
                answer=Page[JobView],
                status=201,
                errors=(ConfigError, Invalid),
            )
        ),
    )
    async def create(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.backups.create(who, await json_body(request)), 201)

    @get(
        "/latest",
        **does(
            Operation(
                summary="The newest backup",
                access=Action.BACKUP_READ,
                answer=BackupView,
                errors=(NotFound,),
            )
        ),
    )
    async def latest(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.backups.latest(who))

    @get(
        "/schedule",
        **does(
            Operation(
                summary="When backups are taken, and how long they are kept",
                access=Action.BACKUP_READ,
                answer=BackupPlan,
            )
        ),
    )
    async def schedule(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.backups.plan(who))

    @put(
        "/schedule",
        **does(
            Operation(
                summary="Say when backups are taken, and how long they are kept",
                access=Action.BACKUP_MANAGE,
                body=BackupPlan,
                example={"incremental": "7 * * * *", "full": "30 2 * * *", "timezone": "UTC", "keep": {"last": 24}},
                answer=BackupPlan,
                errors=(Invalid,),
            )
        ),
    )
    async def set_schedule(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.backups.set_plan(who, await json_object(request)))

    @post(
        "/{backup_id:str}/verify",
        **does(
            Operation(
                summary="Read one whole, and open what it holds",
                access=Action.BACKUP_MANAGE,
                answer=JobView,
                status=201,
                errors=(NotFound,),
            )
        ),
    )
    async def verify(self, request: AnyRequest, backup_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.backups.verify(who, backup_id), 201)
