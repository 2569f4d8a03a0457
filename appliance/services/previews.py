"""What a mapping would make of real events, before it is saved."""

from __future__ import annotations

from typing import Any

from appliance.domain.access import Principal
from appliance.domain.ids import PipelineId
from appliance.services.views import Preview


class Previews:
    """What a mapping would make of real events, before it is saved."""

    async def preview(
        self,
        who: Principal,
        mapping: dict[str, Any],
        samples: list[Any] | None = None,
        pipeline_id: PipelineId | None = None,
        last: int = 100,
    ) -> Preview:
        """Map ``samples``, or the last events of a pipeline's Bronze. Raises Invalid (every problem), NotFound."""
        raise NotImplementedError
