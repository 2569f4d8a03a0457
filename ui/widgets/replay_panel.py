"""A replay on screen: planned with what it would change, followed while it runs, swapped in, cancelled or undone."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

from msgspec.structs import replace
from nicegui.element import Element

from appliance.domain.access import Action, Principal
from appliance.domain.replay import ReplayProgress, ReplayState
from appliance.errors import DashError, Invalid, Problem
from appliance.services.replay_documents import ReplayPlan, ReplayRequest, ReplayView
from appliance.services.views import PipelineView
from ui.markup import button, icon, node, on, on_value
from ui.session import Visit
from ui.toast import go
from ui.widgets.card import card
from ui.widgets.dialog import dialog, show
from ui.widgets.figures import event_number, moment
from ui.widgets.form import check, text_field
from ui.widgets.problem_list import problem_list

_UNDER_WAY: Final = (ReplayState.WAITING, ReplayState.REBUILDING, ReplayState.READY, ReplayState.SWAPPING)
_WORDS: Final[dict[ReplayState, str]] = {
    ReplayState.WAITING: "waits until another replay of the organisation has ended",
    ReplayState.REBUILDING: "rebuilds history beside the rows in use",
    ReplayState.READY: "is rebuilt and keeps up with new events: swap it in when you are ready",
    ReplayState.SWAPPING: "is being swapped in",
    ReplayState.SWAPPED: "is in use",
    ReplayState.CANCELLED: "was cancelled; the rows in use were not touched",
    ReplayState.FAILED: "failed; the rows in use were not touched",
    ReplayState.UNDONE: "was undone; the former rows are in use again",
}


class ReplayPanel:
    """The newest replay of one pipeline, and the dialog that begins the next."""

    def __init__(self, visit: Visit, view: PipelineView) -> None:
        self._visit, self._view = visit, view
        self._request = ReplayRequest()
        with dialog("Rebuild history") as self._box:
            self._body = node("div", css="dialog-body")
            self._foot = node("div", css="dialog-foot")

    async def begin(self) -> None:
        """Draw the newest replay, if there was one."""
        latest = await self._visit.services.replays.latest(self._visit.who, self._view.id)
        if latest is not None:
            self._draw(latest)

    async def propose(self, version: int, who: Principal) -> None:
        """Open the dialog with what a replay by ``version`` would do."""
        self._request = ReplayRequest(version=version)
        await self._plan(who)
        show(self._box)

    def _draw(self, replay: ReplayView) -> None:
        topic = f"replay:{self._view.id}"
        with card("Replay") as (head, body):
            with head, node("div", css="row"):
                self._buttons(replay)
            body.props["data-live"], body.props["data-topic"] = "replay", topic
            body.props["data-id"], body.props["data-state"] = replay.id, replay.state.value
            with body, node("div", css="stack tight"):
                with node("p"):
                    node("span", f"Version {replay.version} ", "strong")
                    node("span", _WORDS[replay.state], data_slot="words")
                if replay.state in _UNDER_WAY:
                    _progress(replay.progress)
                _facts(replay)
                if replay.error:
                    with node("div", css="callout bad", role="alert"):
                        icon("alert")
                        node("span", replay.error, "grow")
                        node("a", "What to do", href="/docs/replay#its-states", target="_blank")

    def _buttons(self, replay: ReplayView) -> None:
        if not self._visit.may(Action.PIPELINE_WRITE):
            return
        replays = self._visit.services.replays
        if replay.state is ReplayState.READY or (replay.state is ReplayState.REBUILDING and not replay.swap):
            self._button("Swap in", "primary small", replays.swap, replay, "It is swapped in as soon as it is rebuilt")
        if replay.state in (ReplayState.WAITING, ReplayState.REBUILDING, ReplayState.READY):
            self._button("Cancel", "small", replays.cancel, replay, "Cancelled; the rows in use were not touched")
        undoable = replay.undo_until is not None and replay.undo_until > datetime.now(UTC)
        if replay.state is ReplayState.SWAPPED and undoable:
            self._button("Undo", "small", replays.undo, replay, "The former rows and version are in use again")

    def _button(
        self,
        label: str,
        look: str,
        act: Callable[..., Awaitable[ReplayView]],
        replay: ReplayView,
        done: str,
    ) -> None:
        async def clicked(who: Principal) -> None:
            await act(who, self._view.id, replay.id)
            go(self._visit.client, None, done)

        made = button(label, look)
        on(made, "click", self._visit.act(clicked, busy=made))

    async def _plan(self, who: Principal) -> None:
        """Draw the dialog anew with what the request as it stands would do."""
        problems: list[Problem] = []
        plan: ReplayPlan | None = None
        try:
            plan = await self._visit.services.replays.plan(who, self._view.id, self._request)
        except Invalid as error:
            problems = list(error.problems)
        except DashError as error:
            problems = [Problem("", str(error))]
        self._body.clear()
        self._foot.clear()
        with self._body:
            self._options()
            problem_list(problems)
            if plan is not None:
                _plan(plan)
        with self._foot:
            button("Cancel", data_close="")
            look = button("Look again")
            on(look, "click", self._visit.act(self._plan, busy=look))
            if plan is not None and plan.events:
                start = button("Rebuild", "primary")
                on(start, "click", self._visit.act(self._start, busy=start))

    def _options(self) -> None:
        node(
            "p",
            "History is refined again from Bronze beside the rows in use, which stay readable. Then both are exchanged"
            " in one step, which can be undone.",
            "muted",
        )
        with node("div", css="form-grid"):
            start = text_field("from", "Received from", value=self._request.start or "", placeholder="all, or now-7d")
            end = text_field("to", "Received before", value=self._request.end or "", placeholder="2026-01-31T00:00Z")
        on_value(start.control, partial(self._set, "start"))
        on_value(end.control, partial(self._set, "end"))
        swap = check(
            "swap",
            "Swap in when rebuilt",
            hint="Otherwise it waits, keeps up with new events, and you say when.",
            checked=self._request.swap,
        )
        on_value(swap, partial(self._set, "swap"), checked=True)
        resend = check(
            "resend",
            "Hand the new rows on",
            hint="Pipelines that read this one are not sent rows of the past again unless you say so.",
            checked=self._request.resend,
        )
        on_value(resend, partial(self._set, "resend"), checked=True)

    def _set(self, name: str, value: object) -> None:
        given = value.strip() or None if isinstance(value, str) else value
        self._request = replace(self._request, **{name: given})

    async def _start(self, who: Principal) -> None:
        await self._visit.services.replays.begin(who, self._view.id, self._request)
        go(self._visit.client, None, "The replay has begun: its progress is on this page")


def _plan(plan: ReplayPlan) -> None:
    with node("dl", css="kv"):
        stretch = f" ({event_number(plan.first_seq)} to {event_number(plan.last_seq)})"
        _pair("Events", f"{plan.events:,}{stretch}" if plan.events else "none")
        if plan.secs is not None:
            _pair("Takes about", _span(plan.secs))
        if plan.version != plan.running_version:
            _pair("Version", f"{plan.version}, which then runs instead of {plan.running_version}")
        else:
            _pair("Version", f"{plan.version}, the one that runs")
        if plan.expired:
            _pair("Kept as they are", f"rows of {plan.expired:,} events that Bronze no longer has")
    if plan.columns:
        with node("ul", css="words"):
            for column in plan.columns:
                if column.before is None:
                    node("li", f"new column {column.name} ({column.after})")
                elif column.after is None:
                    node("li", f"column {column.name} goes")
                else:
                    node("li", f"column {column.name} becomes {column.after} instead of {column.before}")


def _progress(progress: ReplayProgress | None) -> None:
    done, total = (progress.done_events, progress.total_events) if progress else (0, 0)
    node("progress", max=max(1, total), value=done, data_slot="bar", aria_label="Progress of the replay")
    node("p", _told(progress), "sub", data_slot="told", aria_live="polite")


def _told(progress: ReplayProgress | None) -> str:
    """Return the progress in words, as ``static/replay.js`` does."""
    if progress is None:
        return "about to begin"
    words = [f"{progress.done_events:,} of {progress.total_events:,} events"]
    if progress.rate_per_sec:
        words.append(f"{progress.rate_per_sec:,.0f} a second")
    if progress.secs_left is not None:
        words.append(f"{_span(progress.secs_left)} left")
    if progress.throttled:
        words.append("held back in favour of live traffic")
    return " · ".join(words)


def _facts(replay: ReplayView) -> None:
    with node("p", css="sub"):
        node("span", f"Asked for by {replay.created_by} ")
        moment(replay.created_at)
        if replay.first_seq is not None and replay.last_seq is not None:
            node("span", f" · events {event_number(replay.first_seq)} to {event_number(replay.last_seq)} only")
        if replay.identical is not None:
            same = "came out the very same" if replay.identical else "came out differently"
            node("span", f" · rows that version {replay.version} had made {same}")
        if replay.state is ReplayState.SWAPPED and replay.undo_until is not None:
            node("span", " · can be undone until ")
            moment(replay.undo_until, "date")


def _pair(label: str, text: str) -> Element:
    node("dt", label)
    return node("dd", text)


def _span(secs: float) -> str:
    """Return a length of time as people say it: ``12 s``, ``4 min``, ``2.5 h``."""
    if secs < 90:
        return f"{max(1, round(secs))} s"
    return f"{secs / 60:.0f} min" if secs < 5400 else f"{secs / 3600:.1f} h"
