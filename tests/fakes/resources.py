"""Resources for components under test: a fixed clock, a quiet log, and nobody to ask unless a client is given."""

from datetime import UTC, datetime
from typing import Any

from appliance.components.resources import Outbound, OutboundRequest, OutboundResponse, Resources, Upstream
from appliance.domain.clock import Clock
from appliance.domain.ids import PipelineId

NOW = datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC)


class Nowhere:
    async def send(self, request: OutboundRequest) -> OutboundResponse:
        raise AssertionError(f"nobody should have been asked, but {request.url} was")


class Quiet:
    def info(self, event: str, **fields: Any) -> None: ...
    def warning(self, event: str, **fields: Any) -> None: ...
    def error(self, event: str, **fields: Any) -> None: ...


def fixed_clock() -> datetime:
    return NOW


def resources(
    *secrets: str, outbound: Outbound | None = None, clock: Clock = fixed_clock, upstream: Upstream | None = None
) -> Resources:
    return Resources(
        pipeline_id=PipelineId("pl_1"),
        outbound=outbound or Nowhere(),
        clock=clock,
        log=Quiet(),
        upstream=upstream,
        secrets=secrets,
    )
