"""The organisation of the one who asks, its settings and its audit trail."""

from __future__ import annotations

from typing import Any

from appliance.domain.access import Principal
from appliance.services.views import AuditEntry, OrganisationView, Page


class Organisations:
    """The organisation of the one who asks, its settings and its audit trail."""

    async def get(self, who: Principal) -> OrganisationView:
        """Return the organisation of ``who``."""
        raise NotImplementedError

    async def settings(self, who: Principal) -> dict[str, Any]:
        """Return the settings in force, secrets masked."""
        raise NotImplementedError

    async def audit(self, who: Principal, cursor: str | None = None, limit: int = 50) -> Page[AuditEntry]:
        """Return who did what, newest first."""
        raise NotImplementedError
