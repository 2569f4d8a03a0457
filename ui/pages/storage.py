"""Storage: what the data occupies, when the disk will be full, how long data is kept, and giving space back."""

from functools import partial
from typing import Final

from appliance.components.archive import ArchiveState
from appliance.domain.access import Action, Principal
from appliance.domain.disk import DiskState
from appliance.domain.pipeline import Retention
from appliance.errors import Invalid
from appliance.services.retention_rules import Round
from appliance.services.storage import DiskView, PipelineStorage, StorageView
from ui.frame import Place
from ui.markup import button, icon, link_button, node, on, on_value
from ui.screens import Screens
from ui.session import Visit
from ui.toast import go, toast
from ui.widgets.card import card
from ui.widgets.chunking import chunking_card
from ui.widgets.empty import notice
from ui.widgets.figures import moment, size
from ui.widgets.form import Field, text_field
from ui.widgets.head import page_head

_LOOKS: Final = {DiskState.FINE: "ok", DiskState.WARNING: "warn", DiskState.SLOW: "warn", DiskState.STOPPED: "bad"}
_KEPT: Final = (
    ("bronze", "Raw events go at the age of", "365d"),
    ("silver", "Rows go at the age of", "90d"),
    ("bronze_size", "Raw events of one pipeline, at most", "50 GiB"),
)

_LEAD: Final = "What the data occupies, how it grows, and how long it is kept"
_LEAD_ELSEWHERE: Final = (
    "This node keeps no events: Bronze is measured where it lies, on each ingestor, and shown by its API and metrics"
)


def register(screens: Screens) -> None:
    """Register ``/storage``."""

    @screens.page("/storage", Place("Storage", "storage", "storage"))
    async def storage(visit: Visit) -> None:
        view = await visit.services.storage.overview(visit.who)
        lead = _LEAD if view.keeps_events else _LEAD_ELSEWHERE
        with page_head("Storage", lead) as actions, actions:
            if visit.may(Action.DATA_ERASE):
                link_button("Erase somebody's data…", "/erasures", glyph="trash")
        with node("div", css="stack"):
            if view.disk is not None:
                _disk(view.disk)
            if view.archive is not None:
                _archive(view.archive)
            _figures(view)
            _pipelines(visit, view)
            if view.chunking is not None:
                chunking_card(view.chunking, {one.id: one.name for one in view.pipelines})
            with node("div", css="split"):
                _rounds(view.rounds, {one.id: one.name for one in view.pipelines})
                RetentionForm(visit, view.retention).draw()


def _disk(disk: DiskView) -> None:
    with card("Disk of the data directory") as (head, _):
        with head:
            node("span", disk.state.value, f"badge plain {_LOOKS[disk.state]}")
        with node("div", css="stack tight"):
            used = node(
                "div",
                css="gauge",
                role="img",
                aria_label=f"{disk.used_percent} % in use; marks at {disk.warn_percent}, {disk.slow_percent} and "
                f"{disk.stop_percent} %",
            )
            with used:
                node("i", css=_LOOKS[disk.state]).style(f"width:{min(100.0, disk.used_percent)}%")
                for mark in (disk.warn_percent, disk.slow_percent, disk.stop_percent):
                    node("b").style(f"left:{mark}%")
            node("p", f"{disk.told}", "muted")
            node("p", _forecast(disk), "sub")


def _forecast(disk: DiskView) -> str:
    if disk.growth_bytes_per_day is None:
        return "The forecast begins when the growth of six hours is known."
    if disk.days_until_stop is None:
        return "It is not growing."
    days = disk.days_until_stop
    when = f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} hours"
    return f"It grows by {size(disk.growth_bytes_per_day)} a day: receiving would stop in about {when}."


def _archive(archive: ArchiveState) -> None:
    with card("Archive") as (head, _):
        with head:
            node("span", "archiving" if archive.well else "waiting", f"badge plain {'ok' if archive.well else 'warn'}")
        with node("div", css="stack tight"):
            held = f"{archive.archived_segments:,} segments, {size(archive.archived_bytes)}"
            node("p", f"{archive.place}, under the name {archive.name}: {held}; {size(archive.local_bytes)} here too")
            if not archive.well:
                node("p", archive.told, "muted")
                node("a", "What to do", href="/docs/archive#what-is-wrong-and-what-to-do", target="_blank")
            with node("p", css="sub"):
                if archive.pending_events:
                    lost = f"{archive.pending_events:,} events, {size(archive.pending_bytes)}"
                    node("span", f"Not yet archived, and lost with this machine: {lost}, the oldest received ")
                    moment(archive.pending_since)
                else:
                    node("span", "Everything is archived.")


def _figures(view: StorageView) -> None:
    figures = [
        ("Bronze", *((size(view.bronze_bytes), "raw events") if view.keeps_events else ("–", "on each ingestor"))),
        ("Silver", size(view.silver_bytes), f"{size(view.free_block_bytes)} free in it"),
        ("Gold", size(view.gold_bytes), "rollups, within Silver"),
    ]
    if (disk := view.disk) is not None:
        figures.append(("Free on disk", size(disk.free_bytes), f"of {size(disk.total_bytes)}"))
    with node("dl", css="stats"):
        for label, told, more in figures:
            with node("div"):
                node("dt", label)
                with node("dd"):
                    node("span", told)
                    node("small", f" {more}")


def _pipelines(visit: Visit, view: StorageView) -> None:
    with card("Pipelines", tight=True) as (head, _):
        if visit.may(Action.STORAGE_MANAGE):
            with head:
                _compacting(visit)
        if not view.pipelines:
            notice("disk", "Nothing is stored yet", "The first pipeline fills this table.", ("New", "/pipelines/new"))
            return
        with node("div", css="table-wrap"), node("table", css="table cards"):
            with node("thead"), node("tr"):
                for label in ("Pipeline", "Bronze", "Silver", "Gold", "Growth a day"):
                    node("th", label, "" if label == "Pipeline" else "num", scope="col")
            with node("tbody"):
                for one in sorted(view.pipelines, key=lambda one: -one.bronze_bytes - one.silver_bytes):
                    _pipeline(one, view.keeps_events)


def _pipeline(one: PipelineStorage, keeps_events: bool) -> None:
    growth = size(one.growth_bytes_per_day) if one.growth_bytes_per_day is not None else "–"
    with node("tr"):
        with node("td", css="first full"):
            node("a", one.name, "name", href=f"/pipelines/{one.id}")
        for label, told in (
            ("Bronze", size(one.bronze_bytes) if keeps_events else "–"),
            ("Silver", size(one.silver_bytes)),
            ("Gold", size(one.gold_bytes) if one.gold_bytes else "–"),
            ("Growth a day", growth),
        ):
            node("td", told, "num", data_label=label)


def _compacting(visit: Visit) -> None:
    made = button("Give free space back", "small", title="Writes the file of the rows anew; reading goes on meanwhile")

    async def compact(who: Principal) -> None:
        done = await visit.services.storage.compact(who)
        freed = size(max(0, done.before_bytes - done.after_bytes))
        go(visit.client, None, f"{freed} given back in {done.took_secs:.1f} s: {size(done.after_bytes)} remain")

    on(made, "click", visit.act(compact, busy=made))


def _rounds(rounds: list[Round], names: dict[str, str]) -> None:
    with card("Last rounds of retention", tight=True):
        if not rounds:
            notice("clock", "No round yet", "Every ten minutes it removes what has become too old.").classes("slim")
            return
        with node("div", css="table-wrap"), node("table", css="table cards"):
            with node("thead"), node("tr"):
                for label in ("When", "Events", "Rows", "Given back", ""):
                    node(
                        "th",
                        label,
                        "num" if label in ("Events", "Rows", "Given back") else "",
                        aria_label=label or "Notes",
                    )
            with node("tbody"):
                for one in rounds[:12]:
                    _round(one, names)


def _round(one: Round, names: dict[str, str]) -> None:
    freed = one.bytes_freed + (one.compacted.before_bytes - one.compacted.after_bytes if one.compacted else 0)
    told = [
        f"{names.get(each.pipeline_id, each.pipeline_id)}: {each.error or each.held_back}"
        for each in one.pipelines
        if each.error or each.held_back
    ]
    told += [one.postponed] if one.postponed else []
    with node("tr"):
        with node("td", css="first"):
            moment(one.at)
        node("td", f"{one.events:,}", "num", data_label="Events")
        node("td", f"{one.rows:,}", "num", data_label="Rows")
        node("td", size(freed), "num", data_label="Given back")
        node("td", "; ".join(told), "sub full")


class RetentionForm:
    """How long data is kept where a pipeline says nothing else."""

    def __init__(self, visit: Visit, retention: Retention) -> None:
        self._visit = visit
        self._values = {name: getattr(retention, name) or "" for name, _, _ in _KEPT}
        self._fields: dict[str, Field] = {}

    def draw(self) -> None:
        """Draw the form; for those who may not change it, what it says."""
        with card("How long data is kept"), node("form", css="form") as form:
            node("p", "Empty: for ever. A pipeline may say otherwise in its settings.", "muted")
            editable = self._visit.may(Action.STORAGE_MANAGE)
            for name, label, example in _KEPT:
                field = text_field(name, label, value=self._values[name], placeholder=example, disabled=not editable)
                on_value(field.control, partial(self._values.__setitem__, name))
                self._fields[name] = field
            if editable:
                with node("div", css="form-foot"):
                    icon("clock")
                    node("span", "Counts from the next round on", "sub").style("margin-right:auto")
                    save = button("Save", "primary", type="submit")
                form.on("submit.prevent", self._visit.act(self._save, busy=save), args=[])

    async def _save(self, who: Principal) -> None:
        document = {name: value.strip() for name, value in self._values.items() if value.strip()}
        for field in self._fields.values():
            field.complain("")
        try:
            await self._visit.services.retention.put(who, who.organisation_id, document)
        except Invalid as error:
            for problem in error.problems:
                name = problem.pointer.strip("/")
                if name in self._fields:
                    self._fields[name].complain(problem.message)
            toast(self._visit.client, "Not saved: see the marked fields", "bad")
            return
        toast(self._visit.client, "Saved")
