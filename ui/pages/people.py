"""People: who may sign in to this organisation, with which role; added, shut out, given a new password."""

from functools import partial
from typing import Final

from appliance.domain.access import Action, Principal, Role, require
from appliance.services.views import NewUser, UserView
from license.entitlements import Thing
from ui.frame import Place
from ui.markup import button, node, on
from ui.pages.account import ROLE_WORDS
from ui.pages.tokens import ROLES
from ui.screens import Screens
from ui.session import Visit
from ui.toast import toast
from ui.widgets.card import card
from ui.widgets.empty import notice
from ui.widgets.figures import moment
from ui.widgets.form_dialog import Asked, FormDialog
from ui.widgets.head import page_head
from ui.widgets.pager import ROWS, Pager

_COLUMNS: Final = ("Person", "State", "Role", "Since", "")


def register(screens: Screens) -> None:
    """Register ``/people``."""

    @screens.page("/people", Place("People", "people", "organisations#people"))
    async def people(visit: Visit) -> None:
        require(visit.who, Action.USER_MANAGE)
        await PeoplePage(visit).draw()


class PeoplePage:
    """The list, and the dialogs that change it."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        with page_head("People", f"Who may sign in to {visit.organisation}") as actions, actions:
            new = button("Add somebody", "primary", glyph="plus")
        self._adding = FormDialog(visit, "Add somebody", "Add")
        self._changing = FormDialog(visit, "Another role", "Change the role")
        self._setting = FormDialog(visit, "A new password", "Set the password")
        self._place = node("div", css="stack")
        self._pager = Pager(visit, self.draw)
        on(new, "click", lambda _: self._adding.open(_new(), self._add))

    async def draw(self) -> None:
        """Draw the list again."""
        page = await self._visit.services.users.list(self._visit.who, self._pager.cursor, ROWS)
        found = page.items
        refusal = await self._visit.services.licenses.refusal(self._visit.who, Thing.USERS)
        self._place.clear()
        with self._place:
            if refusal is not None:
                node("p", f"{refusal}.", "beside-button")
            with card("People", tight=True):
                self._table(found)
                if len(found) < 2 and self._pager.cursor is None:
                    told = "Add a second administrator, so that a lost password locks nobody out."
                    notice("people", "You are the only one", told).classes("slim")
            self._pager.buttons(page.next_cursor)

    def _table(self, found: list[UserView]) -> None:
        with node("div", css="table-wrap"), node("table", css="table cards"):
            with node("thead"), node("tr"):
                for label in _COLUMNS:
                    node("th", label, scope="col", aria_label=label or "Actions")
            with node("tbody"):
                for one in found:
                    self._row(one)

    def _row(self, one: UserView) -> None:
        own = one.id == self._visit.who.user_id
        with node("tr"):
            with node("td", css="first"):
                node("span", one.email, "name")
                if own:
                    node("span", "you", "sub")
            with node("td", css="corner"):
                look = "bad" if one.disabled else "ok"
                node("span", "shut out" if one.disabled else "may sign in", f"badge plain {look}")
            node("td", ROLE_WORDS[one.role.value], data_label="Role")
            with node("td", data_label="Since"):
                moment(one.created_at, "date")
            with node("td", css="num full"), node("div", css="row end"):
                self._actions(one, own=own)

    def _actions(self, one: UserView, *, own: bool) -> None:
        role = button("Role", "small")
        on(role, "click", lambda _: self._changing.open(_role(one), partial(self._change, one), one.email))
        if own:
            return  # nobody shuts themselves out; the own password is changed on the page Account
        password = button("Password", "small")
        lead = f"{one.email} is signed out everywhere."
        on(password, "click", lambda _: self._setting.open(_PASSWORD, partial(self._set, one), lead))
        label, deed = ("Let in", self._let_in) if one.disabled else ("Shut out", self._shut_out)
        switch = button(label, "small" if one.disabled else "danger small")
        on(switch, "click", self._visit.act(partial(deed, one), busy=switch))

    async def _add(self, who: Principal, given: dict[str, str]) -> None:
        new = NewUser(email=given["email"], password=given["password"], role=Role(given["role"]))
        made = await self._visit.services.users.create(who, new)
        await self._told(f"{made.email} may sign in")

    async def _change(self, one: UserView, who: Principal, given: dict[str, str]) -> None:
        changed = await self._visit.services.users.set_role(who, one.id, Role(given["role"]))
        await self._told(f"{changed.email}: {ROLE_WORDS[changed.role.value]}")

    async def _set(self, one: UserView, who: Principal, given: dict[str, str]) -> None:
        await self._visit.services.users.set_password(who, one.id, given["password"])
        await self._told(f"{one.email} has a new password")

    async def _shut_out(self, one: UserView, who: Principal) -> None:
        await self._visit.services.users.disable(who, one.id)
        await self._told(f"{one.email} is shut out, at once")

    async def _let_in(self, one: UserView, who: Principal) -> None:
        await self._visit.services.users.enable(who, one.id)
        await self._told(f"{one.email} may sign in again")

    async def _told(self, message: str) -> None:
        await self.draw()
        toast(self._visit.client, message)


def _new() -> tuple[Asked, ...]:
    return (
        Asked("email", "E-mail address", "email"),
        Asked("role", "Role", "select", Role.VIEWER.value, options=ROLES),
        Asked("password", "First password", "password"),
    )


def _role(one: UserView) -> tuple[Asked, ...]:
    return (Asked("role", "Role", "select", one.role.value, options=ROLES),)


_PASSWORD: Final = (Asked("password", "New password", "password"),)
