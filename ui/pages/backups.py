"""Backups: what there is, how old, and whether it is good; taken now, by what schedule, and how one is brought back."""

from functools import partial
from typing import Any, Final

from nicegui import ui
from nicegui.element import Element

from appliance.domain.access import Action, Principal
from appliance.domain.backup import Kind
from appliance.domain.backup_plan import BackupPlan
from appliance.domain.backup_view import BackupView
from appliance.errors import DashError, Invalid
from appliance.services.backup_views import BackupsView
from appliance.services.jobs import JobView
from ui.frame import Place
from ui.markup import button, node, on, on_value
from ui.screens import Screens
from ui.session import Visit
from ui.toast import toast
from ui.widgets.card import card
from ui.widgets.code_block import code_block
from ui.widgets.empty import notice
from ui.widgets.figures import moment, size
from ui.widgets.form import Field, check, text_field
from ui.widgets.head import page_head

LOOK_SECS: Final = 2.0
SHOWN: Final = 60
_LEAD: Final = "Everything on this disk, taken while receiving goes on: events, rows, and what people entered"
_KEYS: Final = "secret.key is in no backup: keep a copy of that file where the backups are not."
_TIMES: Final = (
    ("incremental", "Store what is new", "7 * * * *", "Minute, hour, day, month, weekday; empty: never"),
    ("full", "Copy all rows anew", "30 2 * * *", "Where both are due, this one is taken"),
    ("timezone", "Time zone of both", "UTC", ""),
)
_KEPT: Final = (("last", "The newest"), ("daily", "Days"), ("weekly", "Weeks"), ("monthly", "Months"))


def register(screens: Screens) -> None:
    """Register ``/backups``."""

    @screens.page("/backups", Place("Backups", "backups", "backup"))
    async def backups(visit: Visit) -> None:
        with page_head("Backups", _LEAD) as actions:
            pass
        if not visit.may(Action.BACKUP_READ):
            notice(
                "lock",
                "For administrators",
                "Backups are of the whole appliance: administrators of the organisation that operates it see them.",
            )
            return
        board = Board(visit, actions)
        await board.draw()
        ui.timer(LOOK_SECS, board.look)


class Board:
    """The page but for its head; drawn anew when something has come or ended, with progress moving in place."""

    def __init__(self, visit: Visit, actions: Element) -> None:
        self._visit = visit
        self._actions = actions
        self._place = node("div", css="stack")
        with node("div", css="split").style("margin-top:16px"):
            self._form = node("div")
            self._help = node("div")
        self._drawn: tuple[object, ...] = ()
        self._bars: dict[str, tuple[Element, Element]] = {}

    async def draw(self) -> None:
        """Draw it as it is now."""
        view = await self._visit.services.backups.overview(self._visit.who)
        if not self._drawn:
            self._once(view)
        self._drawn, self._bars = _face(view), {}
        self._place.clear()
        with self._place:
            if view.place is None:
                notice(
                    "alert",
                    "Nothing is backed up",
                    "A lost disk loses everything. The operator of this machine sets backup.url, such as "
                    "file:///mnt/backup or s3://bucket/prefix, and restarts.",
                    ("How to set it up", "/docs/backup#set-it-up"),
                )
                return
            self._state(view)
            if view.jobs:
                self._under_way(view.jobs)
            self._list(view)

    async def look(self) -> None:
        """Show what has changed since; whoever has signed out meanwhile sees nothing new."""
        try:
            await self._visit.principal()
            jobs = await self._visit.services.backups.under_way(self._visit.who)
        except DashError:
            return
        if tuple((one.id, one.state, one.error) for one in jobs) != self._drawn[0]:
            await self.draw()
            return
        for one in jobs:
            self._move(one)

    def _once(self, view: BackupsView) -> None:
        """Draw what stays: the button, the schedule and how to restore."""
        if view.place is not None and self._visit.may(Action.BACKUP_MANAGE):
            with self._actions:
                full = button("Full backup", "", title="Copies all rows anew")
                on(full, "click", self._visit.act(partial(self._create, kind="full"), busy=full))
                made = button("Back up now", "primary")
                on(made, "click", self._visit.act(self._create, busy=made))
        with self._form:
            PlanForm(self._visit, view.plan).draw()
        with self._help:
            _how_to_restore(view)

    def _state(self, view: BackupsView) -> None:
        record, newest = view.record, view.items[0] if view.items else None
        wrong = view.trouble or (record.wrong if record is not None else None)
        failed = record.error if record is not None and record.failures else None
        with card("How it stands") as (head, _):
            with head:
                looks, word = (
                    ("bad", "trouble") if wrong or failed else ("ok", "fine") if newest else ("warn", "none yet")
                )
                node("span", word, f"badge plain {looks}")
            with node("div", css="stack tight"):
                sealed = "encrypted" if view.encrypted else "not encrypted"
                node("p", f"{view.place}, {sealed}" if view.trouble is None else f"{view.place}")
                with node("p", css="muted"):
                    if newest is not None:
                        node("span", "The newest was taken ")
                        moment(newest.at)
                        node("span", f": {size(newest.bytes)}. ")
                    if view.next_at is not None:
                        node("span", "The next is due ")
                        moment(view.next_at, "date")
                        node("span", ".")
                if wrong:
                    node("p", wrong, "wrap")
                if failed and record is not None:
                    node("p", f"{record.failures} attempts failed since: {failed}", "wrap")
                for told in view.broken:
                    node("p", f"Does not read: {told}", "wrap")
                node("p", _KEYS, "sub")

    def _under_way(self, jobs: list[JobView]) -> None:
        with card("Under way"), node("div", css="stack tight"):
            for one in jobs:
                verifying = one.kind == "backup.verify"
                with node("div"):
                    node("p", f"{'Verifying' if verifying else 'Backing up'} {one.node or ''}".strip())
                    bar = node("progress", max=1, aria_label="Progress")
                    told = node("span", "waiting" if one.state.value == "ready" else "", "sub")
                    self._bars[one.id] = bar, told
                    self._move(one)
                    if one.error:
                        node("p", f"The last attempt failed: {one.error}", "sub wrap")

    def _move(self, one: JobView) -> None:
        bar, told = self._bars.get(one.id, (None, None))
        if one.progress is None or bar is None or told is None:
            return
        done, total = one.progress.done, one.progress.total
        if total:
            bar.props["max"], bar.props["value"] = total, done
            bar.update()
        what = one.progress.text.partition("; ")[2]
        text = f"{size(done)}{f' of {size(total)}' if total else ''}, {what}"
        told.set_text(text)  # type: ignore[attr-defined]

    def _list(self, view: BackupsView) -> None:
        with card("Newest first", tight=True):
            if not view.items:
                told = view.trouble or "The first one is taken by the schedule, or by the button above."
                notice("alert" if view.trouble else "inbox", "No backups to show", told).classes("slim")
                return
            with node("div", css="table-wrap"), node("table", css="table cards"):
                with node("thead"), node("tr"):
                    for label in ("Taken", "Kind", "Events", "Size", "New", "Verified", ""):
                        css = "num" if label in ("Events", "Size", "New") else ""
                        node("th", label, css, scope="col", aria_label=label or "Actions")
                with node("tbody"):
                    for one in view.items[:SHOWN]:
                        self._row(one)
            if len(view.items) > SHOWN:
                node("p", f"and {len(view.items) - SHOWN} older ones", "sub").style("padding:12px 16px")

    def _row(self, one: BackupView) -> None:
        with node("tr"):
            with node("td", css="first full"):
                with node("span", css="name"):
                    moment(one.at)
                node("span", f"{one.id} · {one.host} · {one.took_secs:.1f} s", "sub")
            with node("td", css="corner"):
                node("span", one.kind.value, f"badge plain {'accent' if one.kind is Kind.FULL else ''}")
            node("td", f"{one.events:,}", "num", data_label="Events")
            node("td", size(one.bytes), "num", data_label="Size")
            node("td", size(one.new_bytes), "num", data_label="New")
            with node("td", data_label="Verified"):
                _verified(one)
            with node("td", css="num full"):
                if self._visit.may(Action.BACKUP_MANAGE):
                    made = button("Verify", "small", title="Reads it whole, and opens what it holds")
                    on(made, "click", self._visit.act(partial(self._verify, backup_id=one.id), busy=made))

    async def _create(self, who: Principal, kind: str | None = None) -> None:
        await self._visit.services.backups.create(who, {"kind": kind} if kind else {})
        await self.draw()
        toast(self._visit.client, "It has begun")

    async def _verify(self, who: Principal, backup_id: str) -> None:
        await self._visit.services.backups.verify(who, backup_id)
        await self.draw()
        toast(self._visit.client, "It is being read")


class PlanForm:
    """When backups are taken, and how long they are kept."""

    def __init__(self, visit: Visit, plan: BackupPlan) -> None:
        self._visit = visit
        self._values: dict[str, Any] = {name: getattr(plan, name) or "" for name, *_ in _TIMES}
        self._values |= {name: str(getattr(plan.keep, name)) for name, _ in _KEPT}
        self._verify = plan.verify
        self._fields: dict[str, Field] = {}

    def draw(self) -> None:
        """Draw the form; for those who may not change it, what it says."""
        editable = self._visit.may(Action.BACKUP_MANAGE)
        with card("When, and how long"), node("form", css="form") as form:
            for name, label, example, hint in _TIMES:
                self._text(name, label, editable=editable, placeholder=example, hint=hint)
            node("p", "Kept are the newest, and the newest of each of so many days, weeks and months.", "muted")
            with node("div", css="form-grid").style("grid-template-columns:repeat(4, minmax(0, 1fr))"):
                for name, label in _KEPT:
                    self._text(name, label, editable=editable, placeholder="0", hint="")
            control = check("verify", "Verify each full one", checked=self._verify)
            on_value(control, self._verified, checked=True)
            if editable:
                with node("div", css="form-foot"):
                    save = button("Save", "primary", type="submit")
                form.on("submit.prevent", self._visit.act(self._save, busy=save), args=[])

    def _text(self, name: str, label: str, *, editable: bool, placeholder: str, hint: str) -> None:
        field = text_field(
            name, label, value=self._values[name], placeholder=placeholder, hint=hint, disabled=not editable
        )
        on_value(field.control, partial(self._values.__setitem__, name))
        self._fields[name] = field

    def _verified(self, checked: bool) -> None:
        self._verify = bool(checked)

    async def _save(self, who: Principal) -> None:
        for field in self._fields.values():
            field.complain("")
        try:
            await self._visit.services.backups.set_plan(who, self._document())
        except Invalid as error:
            for problem in error.problems:
                name = problem.pointer.rpartition("/")[2]
                if name in self._fields:
                    self._fields[name].complain(problem.message)
            toast(self._visit.client, "Not saved: see the marked fields", "bad")
            return
        toast(self._visit.client, "Saved")

    def _document(self) -> dict[str, Any]:
        kept = {name: self._values[name].strip() or "0" for name, _ in _KEPT}
        return {
            "incremental": self._values["incremental"].strip() or None,
            "full": self._values["full"].strip() or None,
            "timezone": self._values["timezone"].strip() or "UTC",
            "verify": self._verify,
            "keep": {name: int(value) if value.isdecimal() else value for name, value in kept.items()},
        }


def _verified(one: BackupView) -> None:
    if one.verified is None:
        node("span", "not yet", "faint")
        return
    wrong = one.verified.problems
    node(
        "span", "wrong" if wrong else "good", f"badge plain {'bad' if wrong else 'ok'}", title="; ".join(wrong) or None
    )
    with node("span", css="sub"):
        moment(one.verified.at)


def _how_to_restore(view: BackupsView) -> None:
    source = (view.place or "/mnt/backup").removeprefix("file://")
    sealed = " --passphrase-file FILE" if view.encrypted else ""
    with card("How one is brought back"), node("div", css="stack tight"):
        node("p", "On any machine, with the same or a newer version, into an empty directory:")
        code_block(
            f"install -m 700 -d DIR\ninstall -m 600 YOUR-COPY-OF/secret.key DIR/\n"
            f"dash-appliance restore {source}{sealed} --data-dir DIR --dry-run\n"
            f"dash-appliance restore {source}{sealed} --data-dir DIR\ndash-appliance verify --data-dir DIR",
            "restore-commands",
            wrap=True,
        )
        node("p", "Rehearse it once a month:")
        code_block(f"dash-appliance backup drill --from {source}{sealed}", "drill-command", wrap=True)


def _face(view: BackupsView) -> tuple[object, ...]:
    """Return what the page is drawn anew for."""
    return tuple((one.id, one.state, one.error) for one in view.jobs), tuple(one.id for one in view.items)
