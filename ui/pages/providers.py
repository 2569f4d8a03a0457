"""Sign-in: the providers by which people come in beside their passwords; each on a page of its own."""

from functools import partial
from typing import Final

from nicegui.element import Element

from appliance.domain.access import Action, Principal, require
from appliance.domain.ids import IdentityId
from appliance.domain.sign_in import Tried
from appliance.errors import Invalid
from appliance.services.provider_documents import IdentityView, ProviderView
from ui.frame import Place
from ui.markup import button, icon, node, on, on_value
from ui.provider_doors import origin_of
from ui.screens import Screens
from ui.session import Visit
from ui.toast import go
from ui.widgets.card import card
from ui.widgets.code_block import code_block
from ui.widgets.dialog import dialog, show
from ui.widgets.empty import notice
from ui.widgets.figures import moment
from ui.widgets.form import text_field
from ui.widgets.head import page_head
from ui.widgets.provider_form import ProviderForm

PATH: Final = "/sign-in/providers"
_HELP: Final = "sign-in"
_LEAD: Final = "OpenID providers by which people of this organisation come in, beside their passwords"
_GLYPHS: Final = {"fine": "check", "warning": "alert", "bad": "close"}


def register(screens: Screens) -> None:
    """Register ``/sign-in/providers`` and ``/sign-in/providers/{provider_id}``."""

    @screens.page(PATH, Place("Sign-in", "sign-in", _HELP))
    async def providers(visit: Visit) -> None:
        require(visit.who, Action.USER_MANAGE)
        found, locked = await visit.services.providers.list(visit.who), await visit.services.providers.locked(visit.who)
        with page_head("Sign-in", _LEAD) as actions, actions:
            new = button("New provider", "primary", glyph="plus", disabled=locked is not None)
        _lock(locked)
        New(visit, new)
        with node("div", css="card"):
            if found:
                _table(found)
            else:
                notice(
                    "key",
                    "Everybody signs in by password",
                    "Connect Keycloak, Entra ID, Okta or another OpenID provider: people use the account they have.",
                    ("How that goes", f"/docs/{_HELP}"),
                )

    @screens.page(PATH + "/{provider_id}", Place("Sign-in", "sign-in", _HELP))
    async def provider(visit: Visit) -> None:
        view = await visit.services.providers.get(visit.who, visit.params["provider_id"])
        await OnePage(visit, view.at(origin_of(visit.request))).draw()


def _lock(locked: str | None) -> None:
    if locked is not None:
        with node("a", css="callout", href="/license", role="note").style("margin-bottom:16px"):
            icon("lock")
            node("p", f"{locked}.", "grow")


def _table(found: list[ProviderView]) -> None:
    with node("div", css="table-wrap"), node("table", css="table cards"):
        with node("thead"), node("tr"):
            for label in ("Name", "Issuer", "On the sign-in page", "Known by it"):
                node("th", label, scope="col")
        with node("tbody"):
            for view in found:
                with node("tr"):
                    with node("td", css="name first"):
                        node("a", view.name, href=f"{PATH}/{view.id}")
                    node("td", view.issuer, "mono faint wrap", data_label="Issuer")
                    with node("td", data_label="On the sign-in page"):
                        _state(view)
                    node("td", f"{view.people:,}", "num", data_label="Known by it")


def _state(view: ProviderView) -> None:
    node("span", "on" if view.enabled else "off", f"badge plain {'ok' if view.enabled else ''}".strip())


class New:
    """The dialog that begins with a provider: a name and where it is. It is off until the rest is filled in."""

    def __init__(self, visit: Visit, opens: Element) -> None:
        self._visit = visit
        self._values = {"name": "", "issuer": ""}
        with dialog("New provider") as box, node("form") as form:
            with node("div", css="dialog-body"):
                name = text_field("name", "Name", hint="The button says Sign in with, and this.", required=True)
                issuer = text_field(
                    "issuer", "Issuer", hint="Below it lies .well-known/openid-configuration.",
                    placeholder="https://login.example.org/realms/staff", required=True,
                )  # fmt: skip
            with node("div", css="dialog-foot"):
                button("Cancel", data_close="")
                create = button("Go on", "primary", type="submit")
        self._fields = {"name": name, "issuer": issuer}
        for key, field in self._fields.items():
            on_value(field.control, partial(self._values.__setitem__, key))
        form.on("submit.prevent", visit.act(self._create, busy=create), args=[])
        on(opens, "click", lambda _: show(box))

    async def _create(self, who: Principal) -> None:
        document = {key: text.strip() for key, text in self._values.items()} | {"enabled": False}
        try:
            made = await self._visit.services.providers.create(who, document)
        except Invalid as error:
            for key, field in self._fields.items():
                field.complain("; ".join(one.message for one in error.problems if one.pointer == f"/{key}"))
            return
        go(self._visit.client, f"{PATH}/{made.id}", f"{made.name} is there; nobody comes by it yet")


class OnePage:
    """One provider: what to enter there, what to enter here, a trial, who is known by it, its end."""

    def __init__(self, visit: Visit, view: ProviderView) -> None:
        self._visit, self._view = visit, view

    async def draw(self) -> None:
        """Draw it."""
        services, who, view = self._visit.services, self._visit.who, self._view
        locked = await services.providers.locked(who)
        with page_head(view.name, crumb=("Sign-in", PATH)) as actions, actions:
            _state(view)
            if view.enabled:
                off = button("Switch off")
                on(off, "click", self._visit.act(self._disable, busy=off))
        _lock(locked)
        with node("div", css="split even"):
            with node("div", css="stack"):
                ProviderForm(self._visit, view, locked).draw()
            with node("div", css="stack"):
                with card("To be entered at the provider"), node("div", css="stack tight"):
                    node("p", "The callback or redirect URL of a client that uses authorization codes:", "muted")
                    code_block(view.callback_url, "callback", wrap=True)
                self._trial()
                self._people(await services.providers.people(who, view.id))
                self._end()

    def _trial(self) -> None:
        with card("Test") as (head, _):
            with head:
                test = button("Test", "small")
            self._found = node("div", css="stack tight", aria_live="polite")
            with self._found:
                node("p", "Asks the provider, now, what it says of itself. Save first.", "muted")
        on(test, "click", self._visit.act(self._test, busy=test))

    async def _test(self, who: Principal) -> None:
        origin = origin_of(self._visit.request)
        found = await self._visit.services.providers.test(who, self._view.id, origin)
        self._found.clear()
        with self._found:
            for one in found:
                _finding(one)

    def _people(self, people: list[IdentityView]) -> None:
        with card("Known by it", tight=bool(people)):
            if not people:
                node("p", "Nobody has come by it yet.", "muted")
                return
            with node("div", css="table-wrap"), node("table", css="table cards"), node("tbody"):
                for one in people:
                    with node("tr"):
                        node("td", one.user, "name first")
                        with node("td", css="faint", data_label="Came last"):
                            moment(one.used_at)
                        with node("td", css="num corner"):
                            forget = button("Forget", "danger small")
                        on(forget, "click", self._visit.act(partial(self._forget, one=one.id), busy=forget))

    def _end(self) -> None:
        with dialog(f"Remove {self._view.name}?") as box:
            with node("div", css="dialog-body"):
                node("p", "Nobody comes by it any more, and its secret is gone. People who came by it stay users.")
            with node("div", css="dialog-foot"):
                button("Cancel", data_close="")
                sure = button("Remove the provider", "danger fill")
        with card("Remove this provider"), node("div", css="stack tight"):
            people = "1 person is" if self._view.people == 1 else f"{self._view.people:,} people are"
            node("p", f"{people} known by it. They stay users, and need a password or another provider.", "muted")
            with node("div"):
                remove = button("Remove…", "danger", glyph="trash")
        on(remove, "click", lambda _: show(box))
        on(sure, "click", self._visit.act(self._remove, busy=sure))

    async def _disable(self, who: Principal) -> None:
        await self._visit.services.providers.disable(who, self._view.id)
        go(self._visit.client, f"{PATH}/{self._view.id}", f"{self._view.name} is off: nobody comes by it")

    async def _forget(self, who: Principal, one: IdentityId) -> None:
        await self._visit.services.providers.forget(who, self._view.id, one)
        go(self._visit.client, f"{PATH}/{self._view.id}", "They are not known by it any more")

    async def _remove(self, who: Principal) -> None:
        await self._visit.services.providers.delete(who, self._view.id)
        go(self._visit.client, PATH, f"{self._view.name} is removed")


def _finding(one: Tried) -> None:
    look = {"fine": "", "warning": "warn", "bad": "bad"}[one.state]
    with node("div", css=f"callout {look}".strip(), data_state=one.state):
        icon(_GLYPHS[one.state])
        with node("div", css="grow"):
            node("b", one.about)
            node("p", one.message)
            if one.remedy:
                node("p", one.remedy, "muted")
