"""The newest rows of a pipeline, read from Silver for its hot cache."""

from typing import TYPE_CHECKING

import pyarrow as pa
import structlog

from appliance.components.silver import RecordQuery, SilverStore, Table
from appliance.engine.hot_cache import KEPT_ROWS
from appliance.engine.payloads import pipeline_topic
from appliance.engine.run import Run
from appliance.engine.workers import Workers
from appliance.errors import DashError

if TYPE_CHECKING:
    from appliance.engine.engine import Engine

log = structlog.get_logger("engine")


async def newest(table: Table, silver: SilverStore, workers: Workers) -> pa.Table:
    """Return the newest rows, oldest first. Raises as ``SilverStore.records``."""
    rows = await workers.run("read", silver.records, table, RecordQuery(limit=KEPT_ROWS))
    return rows.sort_by([("_time", "ascending"), ("_seq", "ascending")])


async def warm(run: Run, engine: "Engine") -> None:
    """Fill the hot cache, so that a restart or a new version does not look like an empty pipeline."""
    try:
        silver = engine.silver(run.pipeline.organisation_id)
        rows = await newest(run.refiner.course.table, silver, engine.workers)
    except DashError as error:
        log.warning("pipeline.not_warmed", pipeline=run.pipeline.id, error=str(error))
        return
    run.cache.begin_with(rows)


async def warm_all(engine: "Engine") -> None:
    """Fill the hot caches of all that run, and show whoever looks already."""
    for run in engine.runs():
        await warm(run, engine)
        topic = pipeline_topic(run.pipeline.id)
        if engine.hub.heard(topic):
            engine.hub.publish(topic, engine.snapshot(run.pipeline.id))
