"""Operations: what is wrong with this node, what failed, its log, and a support bundle that is looked at first."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from nicegui import ui

from appliance.domain.access import Action, Principal, require
from appliance.domain.incident import Incident, Severity
from appliance.errors import DashError
from appliance.observe.log_book import Failure, Line
from appliance.services.operations import Level, LogQuery
from ui.frame import Place
from ui.markup import button, link_button, node, on, on_value
from ui.screens import Screens
from ui.session import Visit
from ui.toast import toast
from ui.widgets.card import card
from ui.widgets.empty import notice
from ui.widgets.figures import moment, size, stamp
from ui.widgets.form import select
from ui.widgets.head import page_head
from ui.widgets.maintenance_card import maintenance
from ui.widgets.resource_cards import resources
from ui.widgets.upgrade import draw_upgrade

LOOK_SECS: Final = 5.0
LINES: Final = 300
SHOWN: Final = 30_000  # characters of one file of a bundle
_LEAD: Final = "What an operator looks at: of the node that answers here"
_GRAVE: Final = {Severity.P0: "bad", Severity.P1: "bad", Severity.P2: "warn", Severity.P3: ""}
_LEVELS: Final = {"debug": "", "info": "", "warning": "warn", "error": "bad", "critical": "bad"}
TABS: Final = {
    "": "Incidents",
    "failures": "Failures",
    "log": "Log",
    "resources": "Resources",
    "maintenance": "Maintenance",
    "upgrade": "Upgrade",
    "bundle": "Support bundle",
}


def register(screens: Screens) -> None:
    """Register ``/operations``."""

    @screens.page(
        "/operations", Place("Operations", "operations", "operations#incidents-failures-and-the-log-on-screen")
    )
    async def operations(visit: Visit) -> None:
        require(visit.who, Action.OPERATIONS_READ)
        chosen = visit.request.query_params.get("show", "")
        chosen = chosen if chosen in TABS else ""
        with page_head("Operations", _LEAD):
            pass
        with node("nav", css="tabs", data_live="tabs", aria_label="What to look at"):
            for name, label in TABS.items():
                href = f"/operations?show={name}" if name else "/operations"
                node("a", label, href=href, aria_current="page" if name == chosen else None)
        await _DRAWN[chosen](visit)


class Incidents:
    """What is open, the gravest first, and what was lately; drawn anew when something in it changed."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._place = node("div")
        self._drawn: list[Incident] = []

    async def draw(self) -> None:
        """Draw the lists as they are now."""
        self._drawn = await self._found()
        self._place.clear()
        still, over = [one for one in self._drawn if one.open], [one for one in self._drawn if not one.open]
        with self._place, node("div", css="stack"):
            with card("Open", tight=True):
                if still:
                    self._table(still)
                else:
                    notice("check", "Nothing is wrong", "Conditions that last become incidents, and show up here.")
            if over:
                with card("Over, in the last 30 days", tight=True):
                    self._table(over)

    async def look(self) -> None:
        """Show what has changed since."""
        try:
            await self._visit.principal()
            found = await self._found()
        except DashError:
            return
        if found != self._drawn:
            await self.draw()

    async def _found(self) -> list[Incident]:
        return (await self._visit.services.operations.incidents(self._visit.who, every=True)).items

    def _table(self, found: list[Incident]) -> None:
        with node("div", css="table-wrap"), node("table", css="table cards"):
            with node("thead"), node("tr"):
                for label in ("Severity", "Incident", "Since", "Known to", ""):
                    node("th", label, scope="col", aria_label=label or "Actions")
            with node("tbody"):
                for one in found:
                    self._row(one)

    def _row(self, one: Incident) -> None:
        condition = one.condition
        with node("tr"):
            with node("td", css="corner"):
                grave = one.open and not one.muted
                node("span", condition.severity.value, f"badge plain {_GRAVE[condition.severity] if grave else ''}")
            with node("td", css="first full"):
                node("span", condition.title, "name")
                node("span", condition.message, "sub wrap")
                if one.open:
                    with node("span", css="sub wrap"):
                        node("span", f"→ {condition.remedy}. ")
                        node("a", "What to do", href=f"/docs/{condition.page}", target="_blank")
            with node("td", data_label="Since"):
                moment(one.opened_at)
            with node("td", data_label="Over" if one.closed_at else "Known to"):
                if one.closed_at:
                    moment(one.closed_at)
                else:
                    told = "muted" if one.muted else one.acknowledged_by or "nobody"
                    node("span", told, "" if one.acknowledged_by else "faint")
            with node("td", css="num full"):
                known = one.acknowledged_by is not None or one.muted
                if one.open and not known and self._visit.may(Action.OPERATIONS_MANAGE):
                    made = button("Acknowledge", "small", title="Others see that somebody looks after it")
                    on(made, "click", self._visit.act(partial(self._acknowledge, one=one), busy=made))

    async def _acknowledge(self, who: Principal, one: Incident) -> None:
        await self._visit.services.operations.acknowledge(who, one.id)
        await self.draw()
        toast(self._visit.client, f"Everybody sees that you know: {one.condition.title}")


async def _incidents(visit: Visit) -> None:
    board = Incidents(visit)
    await board.draw()
    ui.timer(LOOK_SECS, board.look)


class Failures:
    """What went wrong, one row a kind, what happened last first."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._place = node("div")

    async def draw(self) -> None:
        """Draw the list as it is now."""
        found = (await self._visit.services.operations.failures(self._visit.who)).items
        self._place.clear()
        with self._place, card("By kind", tight=True):
            if not found:
                told = (
                    "Errors of the log are counted here by kind. They are sent nowhere unless a setting says where to."
                )
                notice("check", "Nothing failed", told)
                return
            with node("div", css="table-wrap"), node("table", css="table cards"):
                with node("thead"), node("tr"):
                    for label in ("Failure", "Times", "First", "Last", ""):
                        node("th", label, "num" if label == "Times" else "", scope="col", aria_label=label or "Actions")
                with node("tbody"):
                    for one in found:
                        self._row(one)

    def _row(self, one: Failure) -> None:
        with node("tr"):
            with node("td", css="first full"):
                node("span", one.event, "name")
                node("span", " · ".join(part for part in (one.part, one.kind, one.place) if part), "sub wrap")
                _details(one.last)
            node("td", f"{one.count:,}", "num", data_label="Times")
            for label, at in (("First", one.first_at), ("Last", one.last_at)):
                with node("td", data_label=label):
                    stamp(at)
            with node("td", css="num full"):
                if self._visit.may(Action.OPERATIONS_MANAGE):
                    made = button("Set aside", "small", title="It counts from nothing when it comes again")
                    on(made, "click", self._visit.act(partial(self._forget, key=one.key), busy=made))

    async def _forget(self, who: Principal, key: str) -> None:
        await self._visit.services.operations.forget_failure(who, key)
        await self.draw()
        toast(self._visit.client, "Set aside; it comes back when it happens again")


async def _failures(visit: Visit) -> None:
    await Failures(visit).draw()


class Log:
    """The newest lines, from a level on, that hold a text; new ones come by themselves."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._level: Level = "info"
        self._search = ""
        with node("div", css="toolbar"):
            levels = [(one, f"From {one} on") for one in ("debug", "info", "warning", "error")]
            on_value(select(levels, self._level, "input", aria_label="Level"), self._at_level)
            text = node("input", type="search", placeholder="Search", aria_label="Search the log", css="input grow")
            on_value(text, self._for_text)
        self._place = node("div")
        self._newest = -1

    async def _at_level(self, value: Level) -> None:
        self._level = value
        await self.draw()

    async def _for_text(self, value: str) -> None:
        self._search = value
        await self.draw()

    async def look(self) -> None:
        """Draw again if there is a line that is not on screen."""
        try:
            await self._visit.principal()
            found = await self._found(1)
        except DashError:
            return
        if found and found[0].number != self._newest:
            await self.draw()

    async def draw(self) -> None:
        """Draw the lines as they are now."""
        found = await self._found(LINES)
        self._newest = found[0].number if found else -1
        self._place.clear()
        with self._place, card("Newest first", tight=True):
            if not found:
                told = "Nothing in memory fits that." if self._search else "Nothing of that level was logged yet."
                notice("inbox", "No lines", told).classes("slim")
                return
            with node("div", css="table-wrap log"), node("table", css="table cards"), node("tbody"):
                for line in found:
                    _line(line)

    async def _found(self, limit: int) -> list[Line]:
        query = LogQuery(level=self._level, search=self._search, limit=limit)
        return (await self._visit.services.operations.log(self._visit.who, query)).items


def _line(line: Line) -> None:
    with node("tr"):
        with node("td", css="faint"):
            stamp(line.at, "clock")
        with node("td", css="corner"):
            node("span", line.level, f"badge plain {_LEVELS.get(line.level, 'bad')}")
        with node("td", css="full"):
            node("span", line.event, "name")
            told = " · ".join([line.part, *(f"{key}={value}" for key, value in line.values.items())])
            node("span", told, "sub wrap")
            if line.exception:
                _details(line)


def _details(line: Line) -> None:
    with node("details"):
        node("summary", "Where it came from" if line.exception else "The last line", "sub")
        told = line.exception or "\n".join(f"{key}: {value}" for key, value in line.values.items()) or line.event
        node("pre", told, "trace")


async def _log(visit: Visit) -> None:
    board = Log(visit)
    await board.draw()
    ui.timer(LOOK_SECS, board.look)


async def _bundle(visit: Visit) -> None:
    preview = await visit.services.support.preview(visit.who)
    with card("What would be saved, word for word") as (head, _):
        with head:
            link_button("Save it", "/api/v1/support-bundle", "primary small", glyph="download", download=preview.name)
        with node("div", css="stack tight"):
            node(
                "p",
                "State, settings, metrics, log and failures of this node. No event, no name of a pipeline, no secret "
                "and no address of a person. Nothing is sent: you save a file, and pass it on to whom you trust.",
                "muted",
            )
            for one in preview.files:
                with node("details"):
                    with node("summary"):
                        node("span", one.name, "name")
                        node("span", f" {size(one.size)}", "faint")
                    node("pre", _shown(one.text), "trace")


def _shown(text: str) -> str:
    """Return what a page can carry of it; the file that is saved has it all, and so has the API."""
    left = len(text) - SHOWN
    return text if left <= 0 else f"{text[:SHOWN]}\n… and {left:,} more characters, in the file"


_DRAWN: Final[dict[str, Callable[[Visit], Awaitable[None]]]] = {
    "": _incidents,
    "failures": _failures,
    "log": _log,
    "upgrade": draw_upgrade,
    "resources": resources,
    "maintenance": maintenance,
    "bundle": _bundle,
}
