"""Measures over the rows of a pipeline: what charts show."""

from __future__ import annotations

from typing import Any

from appliance.domain.access import Principal
from appliance.services.views import QueryAnswer


class Queries:
    """Measures over the rows of a pipeline: what charts show."""

    async def query(self, who: Principal, document: dict[str, Any]) -> QueryAnswer:
        """Answer ``POST /api/v1/query``. Raises Invalid (every problem, by pointer), NotFound (the pipeline)."""
        raise NotImplementedError
