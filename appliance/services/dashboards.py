"""Dashboards: documents of widgets, and the data of all of them at once."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import DashboardId, new_id
from appliance.errors import Conflict, NotFound
from appliance.services.dashboard_documents import read_dashboard
from appliance.services.paging import bounded, cursor_of, place_of
from appliance.services.queries import Queries
from appliance.services.views import DashboardView, Page, QueryAnswer
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import DashboardRow


class Dashboards:
    """Documents of one organisation each. A widget may name a pipeline that is gone: it then has no data."""

    def __init__(self, plane: ControlPlane, queries: Queries, clock: Clock = utc_now) -> None:
        self._plane, self._queries, self._clock = plane, queries, clock

    async def get(self, who: Principal, dashboard_id: DashboardId) -> DashboardView:
        """Return one dashboard. Raises NotFound."""
        require(who, Action.DASHBOARD_READ)
        question = ("dashboard", who.organisation_id, dashboard_id)
        return _view(await self._plane.recall(question, lambda tx: _find(tx, who, dashboard_id)))

    async def create(self, who: Principal, document: dict[str, Any]) -> DashboardView:
        """Save a dashboard ``{"name", "widgets": […]}``. Raises Invalid (every problem), Conflict (name)."""
        require(who, Action.DASHBOARD_WRITE)
        decoded, now = read_dashboard(document), self._clock()

        def work(tx: Session) -> DashboardView:
            _check_name(tx, who, decoded.name, None)
            row = DashboardRow(
                id=new_id("db"),
                organisation_id=who.organisation_id,
                name=decoded.name,
                document=msgspec.to_builtins(decoded),
                created_at=now,
                updated_at=now,
            )
            tx.add(row)
            record(tx, _deed(who, "dashboard.create", row), now)
            return _view(row)

        return await self._plane.write(work)

    async def replace(self, who: Principal, dashboard_id: DashboardId, document: dict[str, Any]) -> DashboardView:
        """Replace the document. Raises NotFound, Invalid, Conflict (name)."""
        require(who, Action.DASHBOARD_WRITE)
        await self.get(who, dashboard_id)
        decoded, now = read_dashboard(document), self._clock()

        def work(tx: Session) -> DashboardView:
            row = _find(tx, who, dashboard_id)
            _check_name(tx, who, decoded.name, dashboard_id)
            row.name, row.document, row.updated_at = decoded.name, msgspec.to_builtins(decoded), now
            record(tx, _deed(who, "dashboard.replace", row), now)
            return _view(row)

        return await self._plane.write(work)

    async def delete(self, who: Principal, dashboard_id: DashboardId) -> None:
        """Remove the dashboard. Raises NotFound."""
        require(who, Action.DASHBOARD_WRITE)

        def work(tx: Session) -> None:
            row = _find(tx, who, dashboard_id)
            tx.execute(delete(DashboardRow).where(DashboardRow.id == row.id))
            record(tx, _deed(who, "dashboard.delete", row), self._clock())

        await self._plane.write(work)

    async def data(self, who: Principal, dashboard_id: DashboardId) -> dict[str, QueryAnswer]:
        """Answer every widget's query, by widget id; of a pipeline that is gone: nothing. Raises NotFound, Invalid."""
        require(who, Action.DATA_READ)
        view = await self.get(who, dashboard_id)
        return {widget["id"]: await self._answer(who, widget["query"]) for widget in view.widgets}

    async def _answer(self, who: Principal, query: dict[str, Any]) -> QueryAnswer:
        try:
            return await self._queries.query(who, query)
        except NotFound:
            return QueryAnswer([], [])

    async def list(self, who: Principal, cursor: str | None = None, limit: int = 50) -> Page[DashboardView]:
        """Return the organisation's dashboards, oldest first."""
        require(who, Action.DASHBOARD_READ)
        wanted = select(DashboardRow).where(DashboardRow.organisation_id == who.organisation_id)
        if cursor is not None:
            wanted = wanted.where(DashboardRow.id > place_of(cursor)[0])
        wanted = wanted.order_by(DashboardRow.id).limit(bounded(limit) + 1)
        question = ("dashboards", who.organisation_id, cursor, limit)
        rows = await self._plane.recall(question, lambda tx: tx.scalars(wanted).all())
        more = cursor_of([rows[limit - 1].id]) if len(rows) > limit else None
        return Page([_view(row) for row in rows[:limit]], more)


def _find(tx: Session, who: Principal, dashboard_id: str) -> DashboardRow:
    row = tx.get(DashboardRow, dashboard_id)
    if row is None or row.organisation_id != who.organisation_id:
        raise NotFound(f"there is no dashboard {dashboard_id!r}")
    return row


def _check_name(tx: Session, who: Principal, name: str, own_id: str | None) -> None:
    taken = select(DashboardRow.id).where(
        DashboardRow.organisation_id == who.organisation_id, DashboardRow.name == name
    )
    if tx.scalar(taken) not in (None, own_id):
        raise Conflict(f"there is a dashboard named {name!r} already: choose another name")


def _deed(who: Principal, action: str, row: DashboardRow) -> Deed:
    detail = {"name": row.name}
    return Deed(organisation_id=who.organisation_id, who=who.name, action=action, target=row.id, detail=detail)


def _view(row: DashboardRow) -> DashboardView:
    return DashboardView(
        id=DashboardId(row.id),
        name=row.name,
        widgets=row.document["widgets"],
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
