"""The licence: what is in force, and the way to another: a code to send, a document to paste, what it changes, done."""

from datetime import date
from typing import Final

from appliance.domain.access import Action, Principal
from appliance.services.license_views import LicenseView, PreviewView
from appliance.services.licenses import LIST, Refused
from ui.frame import Place
from ui.markup import button, icon, node, on, on_value
from ui.screens import Screens
from ui.session import Visit
from ui.toast import go
from ui.widgets.card import card
from ui.widgets.form import area_field, text_field
from ui.widgets.head import page_head
from ui.widgets.license_cards import STATES, change_table, deed_table, in_force, limits, request_code, warnings

_TITLES: Final = {
    "Damaged": "This is not a whole licence",
    "UnknownKey": "Signed by a key that this version does not know",
    "Forged": "It was changed after it was signed",
    "Foreign": "It is for another installation",
    "TooEarly": "It is not valid yet",
    "Expired": "It is not valid any more",
    "Revoked": "It was taken back",
}


def register(screens: Screens) -> None:
    """Register ``/license``."""

    @screens.page("/license", Place("Licence", "license", "licence"))
    async def license_page(visit: Visit) -> None:
        view = await visit.services.licenses.show(visit.who)
        with page_head("Licence", "What this installation may have. What runs is never stopped by it."):
            pass
        with node("div", css="stack"):
            warnings(view.warnings)
            with node("div", css="split even"):
                with node("div", css="stack"):
                    if visit.may(Action.LICENSE_MANAGE):
                        Wizard(visit, view)
                    elif visit.may(Action.LICENSE_REQUEST):
                        with card("Request code"):
                            request_code(view.installation)
                    with card("What it stops, and what it never stops"):
                        await Forecast(visit, view.day).draw()
                with node("div", css="stack"):
                    in_force(view)
                    limits(view.limits)


class Wizard:
    """One document on its way in. Nothing is changed before the last button."""

    def __init__(self, visit: Visit, view: LicenseView) -> None:
        self._visit, self._text = visit, ""
        if not view.keys:
            with node("div", css="callout"):
                icon("lock")
                node("p", "This build has no key pinned: it accepts no licence, whoever signed it.", "grow")
        with card("Install a licence"), node("ol", css="journey"):
            with node("li"):
                node("b", "Send this code to whoever issues licences")
                request_code(view.installation)
            with node("li"):
                node("b", "Paste the answer, or choose its file")
                field = area_field("document", "Licence", rows=6, hint="What stands around it does no harm.")
                field.control.props["spellcheck"] = "false"
                field.control.props["maxlength"] = 65536
                field.control.props["placeholder"] = "-----BEGIN DASH LICENSE-----"
                with node("div", css="row"):
                    with node("label", css="btn"):
                        icon("inbox")
                        node("span", "Choose a file")
                        node("input", css="hidden-file", type="file", data_file_to="f-document")
                    look = button("See what it changes", "primary")
                self._told = node("div", aria_live="polite")
            with node("li", css="last", hidden=True) as self._last:
                node("b", "Look, then put it in force")
                self._place = node("div", css="stack")
        on_value(field.control, self._typed)
        on(look, "click", visit.act(self._look, busy=look))

    def _typed(self, text: str) -> None:
        self._text = text
        self._clear()

    def _clear(self) -> None:
        self._told.clear()
        self._place.clear()
        self._last.props["hidden"] = True

    async def _look(self, who: Principal) -> None:
        self._clear()
        try:
            preview = await self._visit.services.licenses.preview(who, self._text)
        except Refused as error:
            self._tell(error)
            return
        self._last.props.pop("hidden", None)
        with self._place:
            self._what(preview)
            with node("div", css="row"):
                install = button("Put it in force", "primary")
                cancel = button("Leave it", "ghost")
        on(install, "click", self._visit.act(self._install, busy=install))
        on(cancel, "click", lambda _: self._clear())

    def _what(self, preview: PreviewView) -> None:
        if LIST in self._text:
            node("p", "This is a revocation list: licences that it names do not count any more from then on.")
            if not preview.changes:
                node("p", "The licence that is in force is not on it: nothing changes today.")
        if preview.changes:
            change_table(preview.changes)
            warnings(preview.after.warnings)
        elif LIST not in self._text:
            node("p", "Nothing changes: this is what is in force.")

    async def _install(self, who: Principal) -> None:
        licenses = self._visit.services.licenses
        try:
            if LIST in self._text:
                await licenses.revoke(who, self._text)
            else:
                await licenses.install(who, self._text)
        except Refused as error:
            self._tell(error)
            return
        go(self._visit.client, "/license", "It is in force")

    def _tell(self, error: Refused) -> None:
        [problem] = error.problems
        with self._told, node("div", css="callout bad", role="alert"):
            icon("alert")
            with node("div", css="grow"):
                node("b", _TITLES[error.reason])
                node("p", f"{problem.message[:1].upper()}{problem.message[1:]}.")
                remedy = problem.hint or ""
                node("p", f"What to do: {remedy}. What was in force still is.")


class Forecast:
    """The table of deeds, for today or another day."""

    def __init__(self, visit: Visit, today: date) -> None:
        self._visit, self._day = visit, today
        with node("div", css="stack"):
            field = text_field("day", "On this day", type="date", value=today.isoformat())
            self._place = node("div")
        on_value(field.control, self._choose)

    async def draw(self) -> None:
        view = await self._visit.services.licenses.simulate(self._visit.who, self._day)
        self._place.clear()
        with self._place:
            label, look = STATES[view.standing]
            with node("p", css="row"):
                node("b", view.edition)
                node("span", label, f"badge plain {look}".strip())
            deed_table(view.deeds)

    async def _choose(self, text: str) -> None:
        try:
            self._day = date.fromisoformat(text)
        except ValueError:  # half typed
            return
        await self.draw()
