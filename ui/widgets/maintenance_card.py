"""The tab Maintenance: whether it is on, and a form that begins it, changes it, or ends it."""

from datetime import UTC, datetime
from functools import partial
from typing import Final

from nicegui.element import Element

from appliance.domain.access import Action, Principal
from appliance.domain.quantity import parse_duration
from appliance.errors import Invalid, Problem
from appliance.services.maintenance import MaintenanceRequest, MaintenanceView
from ui.markup import button, node, on, on_value
from ui.session import Visit
from ui.toast import toast
from ui.widgets.card import card
from ui.widgets.figures import moment
from ui.widgets.form import Field, text_field

_WHAT: Final = (
    "Events are received and refined, everybody can read and sign in.",
    "Changes by people who are no administrators are refused: they are told why, and when to try again.",
    "Jobs and replays that have not begun wait; retention and backups go on.",
    "Incidents are muted: listed, but not opened. What lasts longer than the maintenance is opened then.",
)


async def maintenance(visit: Visit) -> None:
    """Draw the tab."""
    await MaintenanceForm(visit).draw()


class MaintenanceForm:
    """Message and duration, as they were typed last."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._place = node("div")
        self._values = {"message": "", "lasting": ""}
        self._fields: dict[str, Field] = {}

    async def draw(self) -> None:
        """Draw it as things are now."""
        view = await self._visit.services.maintenance.get(self._visit.who)
        self._values["message"] = view.message or ""
        self._place.clear()
        with self._place, card("Maintenance of the whole installation") as (head, _):
            with head:
                node("span", "on" if view.on else "off", f"badge plain {'warn' if view.on else ''}")
            with node("div", css="stack tight"):
                if view.on:
                    _state(view)
                with node("ul", css="muted"):
                    for one in _WHAT:
                        node("li", one)
                if self._visit.may(Action.OPERATIONS_MANAGE):
                    self._form(view)

    def _form(self, view: MaintenanceView) -> None:
        self._fields = {
            "message": text_field(
                "message", "What everybody is told", value=self._values["message"], css="input", maxlength="500",
                placeholder="The database moves to a new machine",
            ),
            "lasting": text_field(
                "lasting", "For how long", hint="Such as 2h30m, from now; empty: until it is ended here", css="input",
            ),
        }  # fmt: skip
        for name, field in self._fields.items():
            on_value(field.control, partial(self._values.__setitem__, name))
        with node("div", css="row"):
            made = button("Change" if view.on else "Begin maintenance", "primary")
            on(made, "click", self._visit.act(self._begin, busy=made))
            if view.on:
                self._ending(button("End it"))

    def _ending(self, made: Element) -> None:
        on(made, "click", self._visit.act(self._end, busy=made))

    async def _begin(self, who: Principal) -> None:
        for field in self._fields.values():
            field.complain("")
        try:
            until = _until(self._values["lasting"].strip())
            await self._visit.services.maintenance.begin(who, MaintenanceRequest(self._values["message"], until))
        except Invalid as error:
            for problem in error.problems:
                name = "message" if problem.pointer == "/message" else "lasting"
                self._fields[name].complain(problem.message)
            return
        self._values["lasting"] = ""
        await self._changed("Everybody is told")

    async def _end(self, who: Principal) -> None:
        await self._visit.services.maintenance.end(who)
        await self._changed("Maintenance is over: what waited begins")

    async def _changed(self, told: str) -> None:
        await self.draw()
        self._visit.client.run_javascript("document.dispatchEvent(new Event('dash:health'))")
        toast(self._visit.client, told)


def _state(view: MaintenanceView) -> None:
    with node("p"):
        node("span", f"“{view.message}” – begun by {view.by} ")
        moment(view.since)
        node("span", f", until {view.until:%Y-%m-%d %H:%M} UTC" if view.until is not None else ", until it is ended")


def _until(lasting: str) -> datetime | None:
    if not lasting:
        return None
    try:
        return datetime.now(UTC) + parse_duration(lasting)
    except (ValueError, OverflowError) as error:
        raise Invalid([Problem("/until", str(error))]) from None
