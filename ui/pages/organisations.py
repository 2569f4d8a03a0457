"""Organisations: whose data this appliance keeps; another made, one renamed or deleted, by those who operate it."""

from functools import partial
from typing import Final

from appliance.domain.access import Action, Principal, require
from appliance.services.organisation_views import NewOrganisation, OrganisationView
from license.entitlements import Thing
from ui.frame import Place
from ui.markup import button, icon, node, on
from ui.screens import Screens
from ui.session import Visit
from ui.toast import toast
from ui.widgets.card import card
from ui.widgets.empty import notice
from ui.widgets.figures import moment, size
from ui.widgets.form_dialog import Asked, FormDialog
from ui.widgets.head import page_head
from ui.widgets.pager import ROWS, Pager

_LEAD: Final = "Each has its own pipelines, people and rows, and sees nothing of another"
_COLUMNS: Final = ("Organisation", "People", "Pipelines", "Events today", "Rows", "Since", "")
_NUMBERS: Final = ("People", "Pipelines", "Events today", "Rows")


def register(screens: Screens) -> None:
    """Register ``/organisations``."""

    @screens.page("/organisations", Place("Organisations", "organisations", "organisations"))
    async def organisations(visit: Visit) -> None:
        require(visit.who, Action.ORGANISATION_MANAGE)
        await OrganisationsPage(visit).draw()


class OrganisationsPage:
    """The list, and the dialogs that change it."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        with page_head("Organisations", _LEAD) as actions, actions:
            new = button("New organisation", "primary", glyph="plus")
        self._making = FormDialog(visit, "New organisation", "Create organisation")
        self._renaming = FormDialog(visit, "Rename the organisation", "Rename")
        self._deleting = FormDialog(visit, "Delete the organisation", "Delete for good", "danger")
        self._place = node("div", css="stack")
        self._pager = Pager(visit, self.draw)
        on(new, "click", lambda _: self._making.open(_new(), self._create))

    async def draw(self, trouble: str | None = None) -> None:
        """Draw the list again; ``trouble``: of the one that was just made."""
        services, who = self._visit.services, self._visit.who
        page = await services.organisations.list(who, self._pager.cursor, ROWS)
        found = page.items
        refusal = await services.licenses.refusal(who, Thing.ORGANISATIONS)
        self._place.clear()
        with self._place:
            if refusal is not None:
                node("p", f"{refusal}.", "beside-button")
            if trouble is not None:
                with node("div", css="callout warn", role="alert"):
                    icon("alert")
                    node("p", f"{trouble[:1].upper()}{trouble[1:]}", "grow")
            with card("Organisations", tight=True):
                self._table(found)
                if len(found) < 2 and self._pager.cursor is None:
                    told = "Every pipeline, row and person belongs to yours. Another one is kept wholly apart from it."
                    notice("house", "There is no other yet", told).classes("slim")
            self._pager.buttons(page.next_cursor)

    def _table(self, found: list[OrganisationView]) -> None:
        with node("div", css="table-wrap"), node("table", css="table cards"):
            with node("thead"), node("tr"):
                for label in _COLUMNS:
                    css = "num" if label in _NUMBERS else ""
                    node("th", label, css, scope="col", aria_label=label or "Actions")
            with node("tbody"):
                for one in found:
                    self._row(one)

    def _row(self, one: OrganisationView) -> None:
        with node("tr"):
            with node("td", css="first"):
                node("span", one.name, "name")
                node("span", "operates this appliance" if one.operates else one.id, "sub")
            for label, told in _figures(one):
                node("td", told, "num", data_label=label)
            with node("td", data_label="Since"):
                moment(one.created_at, "date")
            with node("td", css="num full"), node("div", css="row end"):
                rename = button("Rename", "small")
                on(rename, "click", lambda _: self._renaming.open(_renamed(one), partial(self._rename, one)))
                if not one.operates:
                    delete = button("Delete", "danger small")
                    lead = (
                        f"People, tokens and dashboards of {one.name} go, and the place of its rows. It must have no "
                        "pipelines, and it cannot be brought back."
                    )
                    on(delete, "click", lambda _: self._deleting.open(_DELETED, partial(self._delete, one), lead))

    async def _create(self, who: Principal, given: dict[str, str]) -> None:
        made = await self._visit.services.organisation_changes.create(who, NewOrganisation(**given))
        await self.draw(made.trouble)
        toast(self._visit.client, f"{made.name} is there: {given['admin_email']} may sign in")

    async def _rename(self, one: OrganisationView, who: Principal, given: dict[str, str]) -> None:
        renamed = await self._visit.services.organisation_changes.rename(who, one.id, given["name"])
        await self.draw()
        toast(self._visit.client, f"{one.name} is called {renamed.name} now")

    async def _delete(self, one: OrganisationView, who: Principal, given: dict[str, str]) -> None:
        await self._visit.services.organisation_changes.delete(who, one.id, given["name"])
        await self.draw()
        toast(self._visit.client, f"{one.name} is deleted")


def _new() -> tuple[Asked, ...]:
    return (
        Asked("name", "Name"),
        Asked("admin_email", "E-mail address of its administrator", "email", hint="Who makes everybody else."),
        Asked("admin_password", "First password", "password"),
    )


def _renamed(one: OrganisationView) -> tuple[Asked, ...]:
    return (Asked("name", "Name", value=one.name),)


_DELETED: Final = (Asked("name", "Its name, to be sure"),)


def _figures(one: OrganisationView) -> list[tuple[str, str]]:
    figures = one.figures
    if figures is None:
        return [(label, "–") for label in _NUMBERS]
    counts = (figures.people, figures.pipelines, figures.events_today)
    told = [f"{count:,}" for count in counts] + [size(figures.row_bytes) if figures.row_bytes else "–"]
    return list(zip(_NUMBERS, told, strict=True))
