"""Pipelines: their documents, versions, secrets and whether they run."""

from __future__ import annotations

from typing import Any

from appliance.domain.access import Principal
from appliance.domain.ids import PipelineId
from appliance.errors import Problem
from appliance.services.views import CreatedPipeline, Page, PipelineView, VersionView


class Pipelines:
    """Pipelines: their documents, versions, secrets and whether they run."""

    async def get(self, who: Principal, pipeline_id: PipelineId) -> PipelineView:
        """Return one pipeline. Raises NotFound."""
        raise NotImplementedError

    async def create(self, who: Principal, document: dict[str, Any]) -> CreatedPipeline:
        """Save and start a pipeline; a signed webhook without secrets gets one. Raises Invalid, Conflict (name)."""
        raise NotImplementedError

    async def replace(self, who: Principal, pipeline_id: PipelineId, document: dict[str, Any]) -> PipelineView:
        """Save a new version and run it. A masked secret keeps its stored value. Raises NotFound, Invalid, Conflict."""
        raise NotImplementedError

    async def delete(self, who: Principal, pipeline_id: PipelineId) -> None:
        """Stop the pipeline and remove it with its events and rows. Raises NotFound."""
        raise NotImplementedError

    async def pause(self, who: Principal, pipeline_id: PipelineId) -> PipelineView:
        """Stop receiving; what Bronze holds is still refined. Paused already: nothing happens. Raises NotFound."""
        raise NotImplementedError

    async def resume(self, who: Principal, pipeline_id: PipelineId) -> PipelineView:
        """Receive again, also after a failure. Raises NotFound."""
        raise NotImplementedError

    async def secrets(self, who: Principal, pipeline_id: PipelineId) -> list[str]:
        """Return the webhook's secrets in clear, newest first; audited. Raises NotFound, Conflict (has none)."""
        raise NotImplementedError

    async def rotate_secret(self, who: Principal, pipeline_id: PipelineId) -> str:
        """Add a new secret in front and return it; the old ones stay valid until ``drop_secret``."""
        raise NotImplementedError

    async def drop_secret(self, who: Principal, pipeline_id: PipelineId) -> PipelineView:
        """Forget all secrets but the newest. Raises NotFound, Conflict (there is only one)."""
        raise NotImplementedError

    async def versions(self, who: Principal, pipeline_id: PipelineId) -> list[VersionView]:
        """Return every saved definition, newest first. Raises NotFound."""
        raise NotImplementedError

    async def lint(self, document: dict[str, Any]) -> list[Problem]:
        """Return all that is wrong with the document; nothing: it could be saved."""
        raise NotImplementedError

    async def list(self, who: Principal, cursor: str | None = None, limit: int = 50) -> Page[PipelineView]:
        """Return the organisation's pipelines, oldest first."""
        raise NotImplementedError
