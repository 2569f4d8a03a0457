"""Jobs: what is done in the background, how far it is, what failed; cancelled and sent back."""

from functools import partial
from typing import Final
from urllib.parse import urlencode

from nicegui import ui
from nicegui.element import Element

from appliance.domain.access import Action, Principal
from appliance.domain.job import JobState
from appliance.errors import DashError
from appliance.services.jobs import JobFilter, JobView
from ui.frame import Place
from ui.markup import button, link_button, node, on
from ui.screens import Screens
from ui.session import Visit
from ui.toast import toast
from ui.widgets.card import card
from ui.widgets.empty import notice
from ui.widgets.figures import moment
from ui.widgets.head import page_head

SHOWN: Final = 100
LOOK_SECS: Final = 2.0
FILTERS: Final[dict[str, tuple[str, tuple[JobState, ...]]]] = {
    "": ("All", ()),
    "open": ("Waiting and running", (JobState.READY, JobState.RUNNING)),
    "failed": ("Failed", (JobState.FAILED,)),
    "ended": ("Ended", (JobState.DONE, JobState.CANCELLED)),
}
_LOOKS: Final = {
    JobState.READY: "",
    JobState.RUNNING: "accent",
    JobState.DONE: "ok",
    JobState.FAILED: "bad",
    JobState.CANCELLED: "warn",
}
_WORDS: Final = {JobState.READY: "waiting"}
_NAMES: Final = {
    "backup.take": "Take a backup",
    "backup.verify": "Verify a backup",
    "control.tidy": "Forget what has expired",
    "drift.save": "Keep what events look like",
    "erasure.run": "Erase somebody's data",
    "erasure.forget": "Drop what was erased from memory",
    "replay.forget": "Discard former rows",
    "retention.round": "Round of retention",
    "storage.sample": "Measure storage",
}


def register(screens: Screens) -> None:
    """Register ``/jobs``."""

    @screens.page("/jobs", Place("Jobs", "jobs", "jobs"))
    async def jobs(visit: Visit) -> None:
        chosen = visit.request.query_params.get("show", "")
        chosen = chosen if chosen in FILTERS else ""
        routine = visit.request.query_params.get("routine") == "yes"
        with page_head("Jobs", "What is done in the background: by schedule, and because somebody asked for it"):
            switch = "Leave out routine" if routine else "Show routine too"
            title = "What comes by the clock all day is left out where it went well"
            link_button(switch, _href(chosen, not routine), "small", title=title)
        with node("nav", css="tabs", data_live="tabs", aria_label="Which jobs"):
            for name, (label, _) in FILTERS.items():
                node("a", label, href=_href(name, routine), aria_current="page" if name == chosen else None)
        board = Board(visit, JobFilter(FILTERS[chosen][1], routine=routine))
        await board.draw()
        ui.timer(LOOK_SECS, board.look)


class Board:
    """The list. It is drawn anew when a job changed its state; how far jobs are moves in place."""

    def __init__(self, visit: Visit, wanted: JobFilter) -> None:
        self._visit, self._wanted = visit, wanted
        self._place = node("div")
        self._bars: dict[str, tuple[Element, Element]] = {}
        self._drawn: list[tuple[object, ...]] = []

    async def draw(self) -> None:
        """Draw the list as it is now."""
        found = await self._found()
        self._drawn, self._bars = [_face(one) for one in found], {}
        self._place.clear()
        with self._place, card("Newest first", tight=True):
            if found:
                self._table(found)
            else:
                notice("check", "No such jobs", "What is done in the background shows up here.").classes("slim")

    async def look(self) -> None:
        """Show what has changed since; whoever has signed out meanwhile sees nothing new."""
        try:
            await self._visit.principal()
            found = await self._found()
        except DashError:
            return
        if [_face(one) for one in found] != self._drawn:
            await self.draw()
            return
        for one in found:
            if one.id in self._bars:
                self._move(one)

    async def _found(self) -> list[JobView]:
        jobs = self._visit.services.jobs
        return (await jobs.list(self._visit.who, self._wanted, limit=SHOWN)).items

    def _table(self, found: list[JobView]) -> None:
        with node("div", css="table-wrap"), node("table", css="table cards"):
            with node("thead"), node("tr"):
                for label in ("Job", "State", "Progress", "Node", "When", ""):
                    node("th", label, scope="col", aria_label=label or "Actions")
            with node("tbody"):
                for one in found:
                    self._row(one)

    def _row(self, one: JobView) -> None:
        with node("tr"):
            with node("td", css="first full"):
                node("span", _NAMES.get(one.kind, one.kind), "name")
                node("span", _about(one), "sub")
            with node("td", css="corner"):
                state = "cancelling" if one.cancelling else _WORDS.get(one.state, one.state.value)
                node("span", state, f"badge plain {_LOOKS[one.state]}")
            with node("td", css="full"):
                self._progress(one)
            node("td", one.node or "any", "" if one.node else "faint", data_label="Node")
            waits = one.state is JobState.READY
            with node("td", data_label="Due" if waits else "When"):
                moment(one.run_at if waits else one.finished_at or one.started_at, "date" if waits else "ago")
            with node("td", css="num full"):
                self._actions(one)

    def _progress(self, one: JobView) -> None:
        if one.state is JobState.RUNNING:
            bar = node("progress", max=1, aria_label="Progress")
            told = node("span", "", "sub")
            self._bars[one.id] = bar, told
            self._move(one)
        if one.error:
            node("span", one.error, "sub wrap", title=one.error)

    def _move(self, one: JobView) -> None:
        """Show how far a job is; where nobody knows how much there is, the bar only says that it runs."""
        bar, told = self._bars[one.id]
        progress = one.progress
        if progress is None:
            return
        if progress.total:
            bar.props["max"], bar.props["value"] = progress.total, progress.done
            bar.update()
        counted = f"{progress.done:,} of {progress.total:,}" if progress.total else ""
        told.set_text(", ".join(part for part in (counted, progress.text) if part))  # type: ignore[attr-defined]

    def _actions(self, one: JobView) -> None:
        if not self._visit.may(Action.JOB_MANAGE):
            return
        if one.state in (JobState.READY, JobState.RUNNING) and one.cancellable and not one.cancelling:
            made = button("Cancel", "small")
            on(made, "click", self._visit.act(partial(self._cancel, job_id=one.id), busy=made))
        elif one.state in (JobState.FAILED, JobState.CANCELLED):
            made = button("Try again", "small")
            on(made, "click", self._visit.act(partial(self._retry, job_id=one.id), busy=made))

    async def _cancel(self, who: Principal, job_id: str) -> None:
        job = await self._visit.services.jobs.cancel(who, job_id)
        await self.draw()
        toast(self._visit.client, "It was told to stop" if job.cancelling else "Cancelled")

    async def _retry(self, who: Principal, job_id: str) -> None:
        await self._visit.services.jobs.retry(who, job_id)
        await self.draw()
        toast(self._visit.client, "It is tried again")


def _href(show: str, routine: bool) -> str:
    words = {"show": show, "routine": "yes" if routine else ""}
    query = urlencode({name: word for name, word in words.items() if word})
    return f"/jobs?{query}" if query else "/jobs"


def _face(one: JobView) -> tuple[object, ...]:
    """Return what of a job the list is drawn anew for."""
    return one.id, one.state, one.cancelling, one.attempt, one.error


def _about(one: JobView) -> str:
    told = [one.kind] if one.kind in _NAMES else []
    if one.attempt > 1 or (one.state is JobState.READY and one.error):
        told.append(f"attempt {one.attempt} of {one.max_attempts}")
    if one.priority:
        told.append(f"priority {one.priority}")
    return " · ".join(told)
