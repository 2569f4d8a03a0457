"""``/api/v1/jobs``: work done in the background, how far it is, cancelled and sent back."""

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath

from appliance.api.exchange import AnyRequest, answered, asked, read_parameters
from appliance.api.operations import Operation, does
from appliance.domain.access import Action
from appliance.domain.job import JobState
from appliance.errors import Conflict, Invalid, NotFound
from appliance.services.jobs import JobFilter, JobView
from appliance.services.views import Page


class JobParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which jobs, where in their list, and how much of it."""

    state: JobState | None = None
    kind: str | None = None
    routine: bool = True
    cursor: str | None = None
    limit: int = 50


class JobController(Controller):
    path = "/jobs"
    tags = ("jobs",)

    @get(
        "/",
        **does(
            Operation(
                summary="Jobs, newest first",
                description="Those of the organisation, and those of the whole installation. What has ended is kept "
                "for 30 days. `routine=false` leaves out what comes by the clock all day and went well.",
                access=Action.JOB_READ,
                parameters=JobParameters,
                answer=Page[JobView],
                errors=(Invalid,),
            )
        ),
    )
    async def list_jobs(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        wanted = read_parameters(request, JobParameters)
        states = () if wanted.state is None else (wanted.state,)
        chosen = JobFilter(states, wanted.kind, routine=wanted.routine)
        return answered(await services.jobs.list(who, chosen, wanted.cursor, wanted.limit))

    @get(
        "/{job_id:str}",
        **does(
            Operation(
                summary="One job, and how far it is",
                access=Action.JOB_READ,
                answer=JobView,
                errors=(NotFound,),
            )
        ),
    )
    async def get_job(self, request: AnyRequest, job_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.jobs.get(who, job_id))

    @post(
        "/{job_id:str}/cancel",
        **does(
            Operation(
                summary="Cancel it",
                description="One that waits is cancelled at once. One that runs is told to stop and does so within "
                "seconds where its work can be stopped; until then `cancelling` is true.",
                access=Action.JOB_MANAGE,
                answer=JobView,
                errors=(NotFound, Conflict),
            )
        ),
    )
    async def cancel(self, request: AnyRequest, job_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.jobs.cancel(who, job_id))

    @post(
        "/{job_id:str}/retry",
        **does(
            Operation(
                summary="Send one that failed or was cancelled back",
                description="With all its attempts, to be done at once.",
                access=Action.JOB_MANAGE,
                answer=JobView,
                errors=(NotFound, Conflict),
            )
        ),
    )
    async def retry(self, request: AnyRequest, job_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.jobs.retry(who, job_id))
