"""Organisations as people see them: one's own, and all of them for those who operate the appliance; audit, settings."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.access import Action, Principal, may, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import OrganisationId
from appliance.errors import Invalid, NotFound, Problem
from appliance.services.organisation_views import Figures, OrganisationView
from appliance.services.paging import bounded, cursor_of, place_of
from appliance.services.storage import Occupied, Watch
from appliance.services.views import AuditEntry, Page
from appliance.storage.control import organisations as store
from appliance.storage.control.installation import events_today
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import AuditRow, OrganisationRow

Views = list[OrganisationView]  # by a name of its own: the class has a method ``list``


class Organisations:
    """``settings``: those in force, as they may be shown (secrets masked). ``watch``: knows what rows occupy."""

    def __init__(
        self, plane: ControlPlane, settings: Mapping[str, Any], watch: Watch, clock: Clock = utc_now
    ) -> None:  # fmt: skip
        self._plane, self._settings, self._watch, self._clock = plane, settings, watch, clock

    async def get(self, who: Principal) -> OrganisationView:
        """Return the organisation of ``who``. Cheap, and known while the database is away: each page asks."""
        own = who.organisation_id
        row = await self._plane.recall(("organisation", own), lambda tx: tx.get(OrganisationRow, own))
        if row is None:
            raise NotFound(f"there is no organisation {own!r}")
        return view(row)

    async def list(self, who: Principal, cursor: str | None = None, limit: int = 50) -> Page[OrganisationView]:
        """Return all organisations with their figures to whoever operates the appliance, oldest first; to others their
        own."""
        if not may(who, Action.ORGANISATION_MANAGE):
            return Page([await self.get(who)])
        found, after = await self._watch.look(), place_of(cursor)[0] if cursor is not None else ""
        more = bounded(limit) + 1
        views: Views = await self._plane.read(lambda tx: self._told(tx, store.page(tx, after, more), found))
        return Page(views[:limit], cursor_of([views[limit - 1].id]) if len(views) > limit else None)

    async def find(self, who: Principal, organisation_id: OrganisationId) -> OrganisationView:
        """Return one. Raises NotFound: there is none, or it is not for ``who`` to see."""
        if not may(who, Action.ORGANISATION_MANAGE):
            if organisation_id != who.organisation_id:
                raise NotFound(f"there is no organisation {organisation_id!r}")
            return await self.get(who)
        found = await self._watch.look()
        views: Views = await self._plane.read(lambda tx: self._told(tx, [store.find(tx, organisation_id)], found))
        return views[0]

    async def several(self) -> bool:
        """Return whether there is more than one; while the database is away: as it was."""
        counted = await self._plane.recall(("organisations",), lambda tx: len(store.page(tx, "", 2)))
        return counted > 1

    async def settings(self, who: Principal) -> dict[str, Any]:
        """Return the settings in force, secrets masked."""
        require(who, Action.SETTINGS_READ)
        return dict(self._settings)

    async def audit(self, who: Principal, cursor: str | None = None, limit: int = 50) -> Page[AuditEntry]:
        """Return who did what, newest first."""
        require(who, Action.AUDIT_READ)
        wanted = select(AuditRow).where(AuditRow.organisation_id == who.organisation_id)
        if cursor is not None:
            wanted = wanted.where(AuditRow.sequence < _place(cursor))
        wanted = wanted.order_by(AuditRow.sequence.desc()).limit(bounded(limit) + 1)
        rows = await self._plane.read(lambda tx: tx.scalars(wanted).all())
        more = cursor_of([rows[limit - 1].sequence]) if len(rows) > limit else None
        return Page([_entry(row) for row in rows[:limit]], more)

    def _told(self, tx: Session, rows: Sequence[OrganisationRow], found: Occupied) -> Views:
        counts, events = store.counts(tx), events_today(tx, self._clock())
        answer: Views = []
        for row in rows:
            rows_of = found.silver.get(OrganisationId(row.id))
            figures = Figures(
                people=counts.people.get(row.id, 0),
                pipelines=counts.pipelines.get(row.id, 0),
                events_today=events.get(row.id, 0),
                row_bytes=rows_of.file_bytes if rows_of is not None else 0,
            )
            answer.append(view(row, figures))
        return answer


def view(row: OrganisationRow, figures: Figures | None = None) -> OrganisationView:
    """Return an organisation as it is told of."""
    return OrganisationView(
        id=OrganisationId(row.id), name=row.name, operates=row.operates, created_at=row.created_at, figures=figures
    )


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
