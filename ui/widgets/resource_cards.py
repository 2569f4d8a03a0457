"""Cards of the tab Resources: what this node uses of what it may use, and what cleaning up did lately."""

from collections.abc import Iterable, Sequence
from typing import Final

from nicegui import ui
from nicegui.element import Element

from appliance.domain.usage import Connected, Pool, Queue, Usage
from appliance.errors import DashError
from appliance.services.resources import CleanUp, ResourceView
from appliance.services.storage import DiskView
from ui.markup import link_button, node
from ui.session import Visit
from ui.widgets.card import card
from ui.widgets.empty import notice
from ui.widgets.figures import moment, size

LOOK_SECS: Final = 10.0
_POOLS: Final = {
    "refine": "events to rows",
    "read": "what people and exports ask",
    "control": "accounts, pipelines, jobs",
    "feed": "rows for other pipelines",
    "replay": "mapping history again",
    "rebuild": "storing history again",
    "upkeep": "retention, erasures, space",
    "job": "jobs",
    "internal": "what other nodes ask",
    "ahead": "mapping the next batch",
}


async def resources(visit: Visit) -> None:
    """Draw the tab; it draws itself anew every few seconds."""
    place = node("div")

    async def draw() -> None:
        try:
            view = await visit.services.resources.view(await visit.principal())
        except DashError:
            return  # what is on screen stays; the health light tells
        place.clear()
        with place, node("div", css="stack"):
            _view(view)

    await draw()
    ui.timer(LOOK_SECS, draw)


def _view(view: ResourceView) -> None:
    _figures(view.disk, view.usage)
    with node("div", css="split"):
        _pools(view.usage.pools)
        with node("div", css="stack"):
            _queues(view.usage.queues)
            _memory(view.usage)
    if view.usage.connections:
        _connections(view.usage.connections)
    _clean_ups(view.clean_ups)


def _figures(disk: DiskView, usage: Usage) -> None:
    memory = usage.memory
    with node("dl", css="stats"):
        for label, told, more in (
            ("Memory", size(memory.resident_bytes), f"of {size(memory.most_bytes)}"),
            ("Disk in use", f"{disk.used_percent} %", _until(disk)),
            ("Open files", f"{usage.open_files:,}", f"of {usage.most_open_files:,}"),
            ("Threads at work", f"{sum(one.busy for one in usage.pools)}", f"of {sum(p.threads for p in usage.pools)}"),
        ):
            with node("div"):
                node("dt", label)
                with node("dd"):
                    node("span", told)
                    node("small", f" {more}")


def _until(disk: DiskView) -> str:
    if disk.growth_bytes_per_day is None:
        return "no forecast yet"
    if disk.days_until_stop is None:
        return "not growing"
    days = disk.days_until_stop
    return f"full in {days:.0f} days" if days >= 2 else f"full in {days * 24:.0f} hours"


def _table(columns: Sequence[str]) -> Element:
    """Draw the head of a table and return its body. One of few columns needs no other shape on a narrow screen."""
    with node("div", css="table-wrap"), node("table", css="table cards" if len(columns) > 3 else "table"):
        with node("thead"), node("tr"):
            for place, label in enumerate(columns):
                node("th", label, "num" if place else "", scope="col")
        return node("tbody")


def _row(name: str, more: str, cells: Iterable[tuple[str, str]]) -> None:
    with node("tr"):
        with node("td", css="first full"):
            node("span", name, "name")
            if more:
                node("span", more, "sub wrap")
        for label, told in cells:
            node("td", told, "num", data_label=label)


def _pools(pools: Iterable[Pool]) -> None:
    with card("Threads by kind of work", tight=True), _table(("Kind", "At work", "Waiting")):
        for one in pools:
            waiting = f"{one.waiting:,}" if one.waiting else "–"
            at_work = f"{one.busy} of {one.threads}"
            _row(one.name, _POOLS.get(one.name, ""), (("At work", at_work), ("Waiting", waiting)))


def _queues(queues: Iterable[Queue]) -> None:
    with card("Queues", tight=True), _table(("Queue", "Held")):
        for one in queues:
            told = size if one.unit == "bytes" else "{:,}".format
            held = told(one.held) + (f" of {told(one.most)}" if one.most is not None else "")
            _row(one.name, "", (("Held", held),))


def _memory(usage: Usage) -> None:
    with card("DuckDB may use at most", tight=True), _table(("Part", "Memory")):
        for one in usage.memory.shares:
            _row(one.name, "", (("Memory", size(one.most_bytes)),))


def _connections(connections: Iterable[Connected]) -> None:
    with card("Connections to the database", tight=True), _table(("For", "In use", "Idle", "At most", "Waiting")):
        for one in connections:
            waiting = "–" if not one.waiting else f"{one.waiting:,}"
            cells = (("In use", one.used), ("Idle", one.idle), ("At most", one.most))
            _row(one.name, "", (*((label, str(value)) for label, value in cells), ("Waiting", waiting)))


def _clean_ups(done: Iterable[CleanUp]) -> None:
    done = list(done)
    with card("Cleaning up", tight=True) as (head, _):
        with head:
            link_button("Jobs", "/jobs", "small")
        if not done:
            notice(
                "clock", "Nothing was cleaned up yet", "Retention and housekeeping run by themselves, and tell here."
            )
            return
        with _table(("Last run", "When", "Took", "Given back")):
            for one in done:
                with node("tr"):
                    with node("td", css="first full"):
                        node("span", one.title, "name")
                        if one.told or one.state != "done":
                            node("span", one.told or one.state, "sub wrap")
                    with node("td", css="num", data_label="When"):
                        moment(one.at)
                    node("td", f"{one.took_secs:.2f} s", "num", data_label="Took")
                    given = "–" if one.freed_bytes is None else size(one.freed_bytes)
                    node("td", given, "num", data_label="Given back")
