"""The organisation of the one who asks, its settings and its audit trail."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from appliance.domain.access import Action, Principal, require
from appliance.domain.ids import OrganisationId
from appliance.errors import Invalid, NotFound, Problem
from appliance.services.paging import bounded, cursor_of, place_of
from appliance.services.views import AuditEntry, OrganisationView, Page
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import AuditRow, OrganisationRow


class Organisations:
    """``settings``: those in force, as they may be shown (secrets masked)."""

    def __init__(self, plane: ControlPlane, settings: Mapping[str, Any]) -> None:
        self._plane, self._settings = plane, settings

    async def get(self, who: Principal) -> OrganisationView:
        """Return the organisation of ``who``."""
        own = who.organisation_id
        row = await self._plane.recall(("organisation", own), lambda tx: tx.get(OrganisationRow, own))
        if row is None:
            raise NotFound(f"there is no organisation {who.organisation_id!r}")
        return OrganisationView(id=OrganisationId(row.id), name=row.name, created_at=row.created_at)

    async def settings(self, who: Principal) -> dict[str, Any]:
        """Return the settings in force, secrets masked."""
        require(who, Action.SETTINGS_READ)
        return dict(self._settings)

    async def audit(self, who: Principal, cursor: str | None = None, limit: int = 50) -> Page[AuditEntry]:
        """Return who did what, newest first."""
        require(who, Action.SETTINGS_READ)
        wanted = select(AuditRow).where(AuditRow.organisation_id == who.organisation_id)
        if cursor is not None:
            wanted = wanted.where(AuditRow.sequence < _place(cursor))
        wanted = wanted.order_by(AuditRow.sequence.desc()).limit(bounded(limit) + 1)
        rows = await self._plane.read(lambda tx: tx.scalars(wanted).all())
        more = cursor_of([rows[limit - 1].sequence]) if len(rows) > limit else None
        return Page([_entry(row) for row in rows[:limit]], more)


def _place(cursor: str) -> int:
    sequence: int = place_of(cursor, tuple[int])[0]
    if not 0 <= sequence < 2**63:
        raise Invalid([Problem("/cursor", "the cursor is not one of this list")])
    return sequence


def _entry(row: AuditRow) -> AuditEntry:
    return AuditEntry(
        sequence=row.sequence,
        at=row.at,
        who=row.who,
        action=row.action,
        target=row.target,
        detail=row.detail,
        digest=row.digest,
    )
