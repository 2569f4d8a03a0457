"""Removal: what other nodes have of a pipeline that was deleted is removed by each of them, also if it is down now."""

from typing import Final

from sqlalchemy.orm import Session

from appliance.components.jobs import NewJob
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.job import on_node
from appliance.engine.attempt import Attempt
from appliance.engine.jobs import Recurring
from appliance.services.ports import Engine
from appliance.storage.control.nodes import keepers

JOB: Final = "pipeline.remove"
MOST_ATTEMPTS: Final = 1_000  # events that somebody wants gone do not stay because a disk was full for a while


def jobs_for(tx: Session, organisation_id: OrganisationId, pipeline_id: PipelineId, *, alone: bool) -> list[NewJob]:
    """Return a job for each node that keeps events. ``alone``: one that does is enough if it is the only one: it is
    the one that asks, and does it at once."""
    nodes = keepers(tx)
    if alone and len(nodes) < 2:
        return []
    return [
        NewJob(
            kind=JOB,
            payload={"pipeline": pipeline_id},
            unique_key=f"{JOB}:{pipeline_id}:{node_id}",
            max_attempts=MOST_ATTEMPTS,
            needs=(on_node(node_id),),
            organisation_id=organisation_id,
            cancellable=False,
        )
        for node_id in nodes
    ]


def removing(engine: Engine) -> Recurring:
    """Return the work of such a job."""

    async def remove(attempt: Attempt) -> None:
        await engine.delete_pipeline(PipelineId(attempt.payload["pipeline"]))

    return Recurring(JOB, None, remove)
