"""Nodes: the processes of this installation, how busy each is; drained, taken back, forgotten."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from nicegui import ui

from appliance.domain.access import Action, Principal
from appliance.domain.node import NodeState
from appliance.errors import DashError
from appliance.services.nodes import NodeView
from ui.frame import Place
from ui.markup import button, node, on
from ui.screens import Screens
from ui.session import Visit
from ui.toast import toast
from ui.widgets.card import card
from ui.widgets.empty import notice
from ui.widgets.figures import moment, short, size
from ui.widgets.head import page_head

LOOK_SECS: Final = 3.0
_LOOKS: Final = {NodeState.RUNNING: "ok", NodeState.DRAINING: "warn", NodeState.GONE: "bad"}
_COLUMNS: Final = ("Node", "State", "Role", "Partition", "Events/s", "Lag", "CPU", "Memory", "Jobs", "Since", "")
_NUMBERS: Final = ("Partition", "Events/s", "Lag", "CPU", "Memory", "Jobs")


def register(screens: Screens) -> None:
    """Register ``/nodes``."""

    @screens.page("/nodes", Place("Nodes", "nodes", "nodes"))
    async def nodes(visit: Visit) -> None:
        with page_head("Nodes", "The processes of this installation, as each said at its last heartbeat"):
            pass
        board = Board(visit)
        await board.draw()
        ui.timer(LOOK_SECS, board.look)


class Board:
    """The list, drawn anew when something in it changed."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._place = node("div")
        self._drawn: list[tuple[object, ...]] = []

    async def draw(self) -> None:
        """Draw the list as it is now."""
        found = await self._found()
        self._drawn = [_face(one) for one in found]
        self._place.clear()
        with self._place, card("Nodes", tight=True):
            if not found:
                notice("host", "No node has said anything yet", "They do so a moment after their start.")
                return
            with node("div", css="table-wrap"), node("table", css="table cards"):
                with node("thead"), node("tr"):
                    for label in _COLUMNS:
                        css = "num" if label in _NUMBERS else ""
                        node("th", label, css, scope="col", aria_label=label or "Actions")
                with node("tbody"):
                    for one in found:
                        self._row(one)

    async def look(self) -> None:
        """Show what has changed since."""
        try:
            await self._visit.principal()
            found = await self._found()
        except DashError:
            return
        if [_face(one) for one in found] != self._drawn:
            await self.draw()

    async def _found(self) -> list[NodeView]:
        return (await self._visit.services.nodes.list(self._visit.who)).items

    def _row(self, one: NodeView) -> None:
        load, gone = one.load, one.state is NodeState.GONE
        with node("tr"):
            with node("td", css="first"):
                node("span", f"{one.name}{' (this one)' if one.here else ''}", "name")
                node("span", f"{one.address} · version {one.version}", "sub")
            with node("td", css="corner"):
                node("span", one.state.value, f"badge plain {_LOOKS[one.state]}")
            node("td", one.role, data_label="Role")
            node("td", "–" if one.partition is None else str(one.partition), "num", data_label="Partition")
            for label, told in (
                ("Events/s", short(load.events_per_sec)),
                ("Lag", f"{load.lag_events:,}" + (f" ({load.lag_secs:.1f} s)" if load.lag_events else "")),
                ("CPU", f"{load.cpu:.2f}"),
                ("Memory", size(load.memory_bytes) if load.memory_bytes else "–"),
                ("Jobs", str(load.jobs)),
            ):
                node("td", "–" if gone else told, "num", data_label=label)
            with node("td", data_label="Since"):
                moment(datetime.now(UTC) - timedelta(seconds=one.silent_secs) if gone else one.started_at)
            with node("td", css="num full"):
                self._actions(one)

    def _actions(self, one: NodeView) -> None:
        if not self._visit.may(Action.NODE_MANAGE):
            return
        label, act = {
            NodeState.RUNNING: ("Drain", self._drain),
            NodeState.DRAINING: ("Take back", self._resume),
            NodeState.GONE: ("Forget", self._forget),
        }[one.state]
        made = button(label, "small", title=_TITLES[one.state])
        on(made, "click", self._visit.act(partial(act, one=one), busy=made))

    async def _drain(self, who: Principal, one: NodeView) -> None:
        await self._visit.services.nodes.drain(who, one.id)
        await self.draw()
        toast(self._visit.client, f"{one.name} takes on nothing new, and says so on /readyz")

    async def _resume(self, who: Principal, one: NodeView) -> None:
        await self._visit.services.nodes.resume(who, one.id)
        await self.draw()
        toast(self._visit.client, f"{one.name} takes its part again")

    async def _forget(self, who: Principal, one: NodeView) -> None:
        given_up = await self._visit.services.nodes.forget(who, one.id)
        await self.draw()
        lost = f", and {given_up:,} of them, which nobody has refined, are given up" if given_up else ""
        toast(self._visit.client, f"{one.name} is forgotten; events on its disk are not touched{lost}")


_TITLES: Final = {
    NodeState.RUNNING: "It takes on nothing new, so that it can be stopped without anybody noticing",
    NodeState.DRAINING: "It takes its part of the work again",
    NodeState.GONE: "It will not come back: what it alone could have done is cancelled",
}


def _face(one: NodeView) -> tuple[object, ...]:
    """Return what of a node the list is drawn anew for."""
    return one.id, one.state, one.started_at, one.load
