"""What is published on topics: JSON text frames, encoded once for everybody."""

from typing import Any, Final

import msgspec

from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.replay import Replay, ReplayProgress
from appliance.domain.stats import LiveStats

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def pipeline_topic(pipeline_id: PipelineId) -> str:
    return f"pipeline:{pipeline_id}"


def pipelines_topic(organisation_id: OrganisationId) -> str:
    """Return the topic on which the numbers of all pipelines of one organisation go out."""
    return f"pipelines:{organisation_id}"


def replay_topic(pipeline_id: PipelineId) -> str:
    """Return the topic on which the pipeline's replays say how far they are."""
    return f"replay:{pipeline_id}"


def rows_payload(
    pipeline_id: PipelineId, rows: list[dict[str, Any]], last_seq: int, stats: LiveStats, *, snapshot: bool = False
) -> bytes:
    """Return ``{"topic", "rows", "last_seq", "stats"}``; rows oldest first.

    ``snapshot``: they stand for all that was sent before.
    """
    body: dict[str, Any] = {"topic": pipeline_topic(pipeline_id)}
    if snapshot:
        body["snapshot"] = True
    return _ENCODER.encode(body | {"rows": rows, "last_seq": last_seq, "stats": stats})


def replay_payload(replay: Replay, progress: ReplayProgress | None) -> bytes:
    """Return ``{"topic", "replay": {"id", "state", "version", "error", "identical"}, "progress"}``."""
    told = {"id": replay.id, "state": replay.state, "version": replay.version}
    told |= {"error": replay.error, "identical": replay.identical}
    return _ENCODER.encode({"topic": replay_topic(replay.pipeline_id), "replay": told, "progress": progress})


def numbers_payload(items: list[dict[str, Any]]) -> bytes:
    """Return ``{"topic": "pipelines", "items": […]}``."""
    return _ENCODER.encode({"topic": "pipelines", "items": items})


def encode(value: Any) -> bytes:
    """Return JSON as the feed speaks it: RFC 3339 instants, decimals as numbers."""
    return _ENCODER.encode(value)
