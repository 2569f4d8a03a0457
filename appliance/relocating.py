"""A move that was ordered of a running appliance, carried out by a process that only receives meanwhile.

It was started anew for that, on the same port. Whatever ends it in the middle, the order is still there and the next
start goes on with it; an error or a withdrawn order leaves the appliance where it was (decision 0037).
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog
from msgspec import structs

from appliance.domain.database.dsn import Dsn
from appliance.domain.ids import PipelineId
from appliance.errors import DashError
from appliance.moving import Moved, Order, Place, Step, carry_out, control, name_of, ordered
from appliance.moving.ordered import Ordered, Standing, State
from appliance.moving.rows import TableOf
from appliance.placing import ELSEWHERE, place_of
from appliance.settings import Settings
from appliance.settings.chosen import choose_database, choose_embedded

TELL_SECS: Final = 0.5

log = structlog.get_logger("appliance")


class Withdrawn(Exception):
    """Somebody has taken the order back."""


class Interrupted(Exception):
    """The process is to end; the next start goes on."""


def under_way(settings: Settings) -> tuple[Settings, "Relocation | None"]:
    """Return with which settings to start, and the move that was ordered and has not ended; None: there is none.

    One that had switched already when something ended it is noted down as done. Blocking.
    """
    order = ordered.recall(settings.server.data_dir)
    if order is None:
        return settings, None
    move = Relocation(settings, order)
    if not move.has_switched():
        return settings, move
    move.settle(None)
    return move.after, None


@dataclass
class Relocation:
    """``settings``: those of this start. ``source``: by them the appliance is where it is; ``after``: where it goes."""

    settings: Settings
    ordered: Ordered
    source: Settings = field(init=False)
    after: Settings = field(init=False)
    step: Step | None = None
    stopping: Callable[[], bool] = bool

    def __post_init__(self) -> None:
        there = None if self.ordered.target is None else Dsn.parse(self.ordered.target)
        self.after = _in(self.settings, there)
        self.source = self.settings if there is None else _in(self.settings, None)
        self._told_at = 0.0

    @property
    def data_dir(self) -> Path:
        return self.settings.server.data_dir

    @property
    def ends(self) -> tuple[Place, Place]:
        """From where and to where."""
        return place_of(self.source), place_of(self.after)

    def has_switched(self) -> bool:
        """Return whether the appliance is there already; blocking."""
        url, there = self.settings.database.url, self.after.database.url
        if url == there:
            return True
        elsewhere = self.data_dir / ELSEWHERE
        if there is None or elsewhere.exists():
            return there is not None and elsewhere.read_text("utf-8").strip() == str(there)
        try:
            return control.has_arrived(*self.ends)
        except DashError as error:  # then it cannot be moved there either, which is told in its turn
            log.info("move.target_not_seen", reason=str(error))
            return False

    def order(self, table_of: TableOf, first_seq: Callable[[PipelineId], int]) -> Order:
        """Return it as it is carried out. ``first_seq``: of the log, which this process has open."""
        source, target = self.ends
        return Order(
            settings=self.settings,
            source=source,
            target=target,
            table_of=table_of,
            expired=lambda pipeline_ids: {one: first_seq(one) - 1 for one in pipeline_ids},
            rebuild=self.ordered.rebuild,
            accept_loss=self.ordered.accept_loss,
        )

    async def run(self, order: Order, stopping: asyncio.Event) -> Settings:
        """Carry it out, and return the settings by which the appliance goes on: in the old place, unless all went well.

        ``stopping``: ends it as soon as can be, to be gone on with by the next start.
        """
        self.stopping = stopping.is_set
        log.info("move.begun", source=name_of(order.source), target=name_of(order.target))
        try:
            moved = await asyncio.to_thread(self._carry_out, order)
        except Interrupted:
            return self.source
        except Withdrawn:
            await asyncio.to_thread(self.end, State.CANCELLED)
        except Exception as error:  # noqa: BLE001 - whatever it is, the appliance goes on where it was
            await asyncio.to_thread(self.fail, error)
        else:
            await asyncio.to_thread(self.settle, moved)
            return self.after
        return self.source

    def _carry_out(self, order: Order) -> Moved:
        self._tell(State.MOVING)
        return carry_out(order, self._told, self._told_control)

    def _told(self, step: Step) -> None:
        self.step = step
        self._look()
        if time.monotonic() - self._told_at >= TELL_SECS:
            self._tell(State.MOVING)

    def _told_control(self, table: str, rows: int, total: int) -> None:
        self._look()

    def _look(self) -> None:
        if self.stopping():
            raise Interrupted
        if not ordered.is_ordered(self.data_dir):
            raise Withdrawn

    def settle(self, moved: Moved | None) -> None:
        """Have the next start use the new place, and take the order for done; blocking."""
        there = self.after.database.url
        if there is not None:
            choose_database(self.data_dir, there)
        else:
            choose_embedded(self.data_dir)
        log.info("move.done", target=name_of(self.ends[1]))
        self.end(State.MOVED, moved=moved)

    def fail(self, error: Exception) -> None:
        """Say that nothing was switched, and why; blocking."""
        log.error("move.failed", error=str(error), exc_info=None if isinstance(error, DashError) else error)
        self.end(State.FAILED, _reason(error))

    def end(self, state: State, reason: str | None = None, moved: Moved | None = None) -> None:
        """Say how it ended, and that nothing is ordered any more; blocking."""
        self._tell(state, reason, moved)
        ordered.withdraw(self.data_dir)

    def _tell(self, state: State, reason: str | None = None, moved: Moved | None = None) -> None:
        self._told_at = time.monotonic()
        source, target = map(name_of, self.ends)
        standing = Standing(
            state=state, source=source, target=target, at=datetime.now(UTC), step=self.step, reason=reason, moved=moved
        )
        ordered.tell(self.data_dir, standing)

    def share(self) -> float:
        """Return how much is done, of 1."""
        return self.step.done / self.step.total if self.step is not None and self.step.total else 0.0

    def told(self) -> str:
        """Return how far it is, in words that anybody may read."""
        where = "its data directory" if self.after.database.url is None else "a database"
        told = f"this appliance is being moved to {where}: events are received, and all else begins when it is done"
        if self.step is None:
            return told
        left = "" if self.step.secs_left is None else f", about {self.step.secs_left:.0f} s left"
        return f"{told}; {self.step.doing.value}, {self.step.done:,} of {self.step.total:,} lines{left}"


def _in(settings: Settings, url: Dsn | None) -> Settings:
    return structs.replace(settings, database=structs.replace(settings.database, url=url))


def _reason(error: Exception) -> str:
    hint = getattr(error, "hint", None)
    return f"{error} ({hint})" if hint else f"{error}" or type(error).__name__
