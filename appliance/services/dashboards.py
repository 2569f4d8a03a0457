"""Dashboards: documents of widgets, and the data of all of them at once."""

from __future__ import annotations

from typing import Any

from appliance.domain.access import Principal
from appliance.domain.ids import DashboardId
from appliance.services.views import DashboardView, Page, QueryAnswer


class Dashboards:
    """Dashboards: documents of widgets, and the data of all of them at once."""

    async def get(self, who: Principal, dashboard_id: DashboardId) -> DashboardView:
        """Return one dashboard. Raises NotFound."""
        raise NotImplementedError

    async def create(self, who: Principal, document: dict[str, Any]) -> DashboardView:
        """Save a dashboard ``{"name", "widgets": […]}``. Raises Invalid (every problem), Conflict (name)."""
        raise NotImplementedError

    async def replace(self, who: Principal, dashboard_id: DashboardId, document: dict[str, Any]) -> DashboardView:
        """Replace the document. Raises NotFound, Invalid, Conflict (name)."""
        raise NotImplementedError

    async def delete(self, who: Principal, dashboard_id: DashboardId) -> None:
        """Remove the dashboard. Raises NotFound."""
        raise NotImplementedError

    async def data(self, who: Principal, dashboard_id: DashboardId) -> dict[str, QueryAnswer]:
        """Answer every widget's query, by widget id. Raises NotFound, Invalid."""
        raise NotImplementedError

    async def list(self, who: Principal, cursor: str | None = None, limit: int = 50) -> Page[DashboardView]:
        """Return the organisation's dashboards, oldest first."""
        raise NotImplementedError
