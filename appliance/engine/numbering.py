"""Numbers of events are given out once, also where a log has lost its newest events while it was not running."""

from collections.abc import Iterable

import structlog

from appliance.domain.partition import partition_of
from appliance.domain.pipeline import Pipeline
from appliance.engine.engine import Engine
from appliance.errors import DashError

log = structlog.get_logger("engine")


async def keep_numbers(engine: Engine, pipelines: Iterable[Pipeline]) -> None:
    """Bring every log up to what was refined of it, before a door opens.

    Else new events would get the numbers of lost ones, and would be passed over as refined already.
    """
    for pipeline in pipelines:
        try:
            await engine.workers.run("control", _keep, engine, pipeline)
        except DashError as error:  # starting the pipeline will say so too, or try again
            log.warning("pipeline.numbers_unseen", pipeline=pipeline.id, error=str(error))


def _keep(engine: Engine, pipeline: Pipeline) -> None:
    generations = engine.silver(pipeline.organisation_id).generations.all(pipeline.id)
    received = engine.bronze.last_seq(pipeline.id)
    here = partition_of(received)
    refined = max((one.progress.seq for one in generations if partition_of(one.progress.seq) == here), default=0)
    if refined > received:
        log.error("pipeline.events_lost", pipeline=pipeline.id, first=received + 1, last=refined)
        engine.bronze.reach(pipeline.id, refined)
