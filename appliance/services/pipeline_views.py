"""Pipelines as people see them: secrets masked, numbers of this moment beside the document."""

import msgspec

from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Ledger
from appliance.domain.partition import local_of
from appliance.domain.pipeline import PipelineDocument, State
from appliance.domain.stats import LiveStats
from appliance.errors import NotFound
from appliance.services.definitions import Definitions
from appliance.services.ports import Engine
from appliance.services.views import PipelineView, VersionView
from appliance.storage.control.pipelines import Saved
from appliance.storage.control.tables import PipelineVersionRow


def pipeline_view(saved: Saved, definitions: Definitions, engine: Engine) -> PipelineView:
    row, version = saved
    document = msgspec.convert(definitions.mask(version.definition), PipelineDocument)
    pipeline_id = PipelineId(row.id)
    return PipelineView(
        id=pipeline_id,
        name=document.name,
        description=document.description,
        state=engine.state(pipeline_id, State(row.state)),
        version=row.version,
        source=document.source,
        mapping=document.mapping,
        persist=document.persist,
        sinks=document.sinks,
        retention=document.retention,
        rate_limit=document.rate_limit,
        rollups=document.rollups,
        chunks=document.chunks,
        ingest_url=f"{definitions.base_url}/in/{pipeline_id}" if definitions.is_pushed(document.source) else None,
        created_at=row.created_at,
        updated_at=row.updated_at,
        live=live_stats(engine, pipeline_id),
    )


def live_stats(engine: Engine, pipeline_id: PipelineId) -> LiveStats:
    """Return the pipeline's numbers; for one that could not be started, what its log says."""
    try:
        return engine.stats(pipeline_id)
    except NotFound as error:
        received = local_of(engine.bronze.last_seq(pipeline_id))
        return LiveStats(
            rate_per_sec=0.0,
            lag_events=received,
            lag_secs=0.0,
            last_received_at=None,
            last_error=str(error),
            ledger=Ledger(received, 0, 0, 0, 0, pending=received),
        )


def version_view(row: PipelineVersionRow, running: int, definitions: Definitions) -> VersionView:
    """Return a version; ``running``: the number of the one that runs."""
    return VersionView(
        version=row.version,
        author=row.author,
        created_at=row.created_at,
        document=definitions.mask(row.definition),
        note=row.note,
        running=row.version == running,
        candidate=row.version > running,
    )
