"""The newest rows of a pipeline, read from Silver for its hot cache."""

import pyarrow as pa
import structlog

from appliance.components.silver import RecordQuery, SilverStore, Table
from appliance.engine.hot_cache import KEPT_ROWS
from appliance.engine.run import Run
from appliance.engine.workers import Workers
from appliance.errors import DashError

log = structlog.get_logger("engine")


async def newest(table: Table, silver: SilverStore, workers: Workers) -> pa.Table:
    """Return the newest rows, oldest first. Raises as ``SilverStore.records``."""
    rows = await workers.run("read", silver.records, table, RecordQuery(limit=KEPT_ROWS))
    return rows.sort_by([("_time", "ascending"), ("_seq", "ascending")])


async def warm(run: Run, silver: SilverStore, workers: Workers) -> None:
    """Fill the hot cache, so that a restart or a new version does not look like an empty pipeline."""
    try:
        rows = await newest(run.refiner.course.table, silver, workers)
    except DashError as error:
        log.warning("pipeline.not_warmed", pipeline=run.pipeline.id, error=str(error))
        return
    if rows.num_rows and not run.cache.rows():
        run.cache.add(rows)
