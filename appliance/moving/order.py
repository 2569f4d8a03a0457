"""A whole appliance moved, as it was ordered: rows, then the control plane, then what remembers where it is."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from appliance.components.transfer import Share, Transferable
from appliance.domain.database.access import Access
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.errors import ConfigError, FatalError, Problem
from appliance.moving import control, rows
from appliance.moving.alone import check_alone
from appliance.moving.progress import Count, Told
from appliance.settings import Settings
from appliance.silvers import FOLDER, Silvers, silvers_in
from appliance.storage.control import transfer
from appliance.storage.control.given_up import give_up
from appliance.storage.control.plane import ControlPlane

UNFINISHED: Final = f"{FOLDER}.moving"  # rows on their way into the data directory; nobody starts on them
RATES: Final = {"there": 30_000.0, "back": 50_000.0}  # rows/s, copied and compared: measured, see docs/reference


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """``rebuild``: rows are not moved but made again from Bronze. ``accept_loss``: even those that it has no more.

    ``expired``: of each pipeline the last event that Bronze has no more; asked for when rows are to be made again.
    """

    settings: Settings
    source: control.Place
    target: control.Place
    table_of: rows.TableOf
    expired: Callable[[Sequence[PipelineId]], Mapping[PipelineId, int]]
    rebuild: bool = False
    accept_loss: bool = False

    @property
    def folder(self) -> Path:
        return self.settings.server.data_dir


class Load(msgspec.Struct, frozen=True):
    """What would be moved of a pipeline."""

    pipeline: str
    events: int
    rows: int
    dead: int


class Plan(msgspec.Struct, frozen=True):
    """``secs``: about how long rows take, by what was measured elsewhere."""

    source: str
    target: str
    counts: dict[str, int]
    pipelines: list[Load]
    secs: float


class Moved(msgspec.Struct, frozen=True):
    """``rows``: None where they are made again."""

    control: control.Move
    rows: rows.Carried | None


def plan(order: Order) -> Plan:
    """Return what would be moved; blocking, changes nothing.

    Raises:
        ConfigError: there is nothing to move, or rows would be lost.
    """
    counts = control.plan(order.folder, order.source)
    found = _held(order)
    loads = []
    if order.rebuild:
        _check_expired(order, found)
    else:
        with _opened(order, order.source) as stores:
            loads = rows.cargo(found, partial(_there, order, stores))
    lines = sum(load.lines for load in loads)
    told = [Load(one.held.name, one.stock.progress.seq, _of(one, Share.ROWS), _of(one, Share.DEAD)) for one in loads]
    secs = lines / RATES["there" if isinstance(order.target, Access) else "back"]
    return Plan(control.name_of(order.source), control.name_of(order.target), counts, told, secs)


def carry_out(order: Order, told: Told, told_control: transfer.Told) -> Moved:
    """Move everything; blocking. The caller owns the data directory. ``order.source`` is left as it is.

    After any error, and after the process was killed at any moment, it is either not moved, and the same order goes on
    with what has arrived, or moved.

    Raises:
        ConfigError, Conflict, FatalError, TransientError: see ``plan``, ``rows.carry`` and ``control.move``.
    """
    control.plan(order.folder, order.source)
    found = _held(order)
    lost = _check_expired(order, found) if order.rebuild else {}
    if isinstance(order.target, Access):
        _mark(order, order.target)
    carried = None
    if order.rebuild:
        _clear(order, found)
    else:
        carried = _carry(order, found, told)
    done = control.move(order.folder, order.source, order.target, told_control, partial(_exchange, order.folder))
    if lost:
        _note(order.target, lost)
    return Moved(done, carried)


def _held(order: Order) -> list[rows.Held]:
    """Return the pipelines to be moved. Raises ConfigError: a data directory cannot hold what is there."""
    plane = ControlPlane.look(order.source)
    try:
        if isinstance(order.source, Access):
            plane.read_now(lambda tx: check_alone(tx, order.folder))
        return plane.read_now(lambda tx: rows.held(tx, order.table_of))
    finally:
        plane.close()


def _carry(order: Order, found: Sequence[rows.Held], told: Told) -> rows.Carried:
    began, there = time.monotonic(), 0
    with _opened(order, order.source) as sources, _opened(order, order.target, arriving=True) as targets:
        loads = rows.cargo(found, partial(_there, order, sources))
        if losses := sources.losses():
            raise FatalError(f"moving rows: the source is damaged: {'; '.join(losses)}", hint=_DAMAGED)
        for organisation_id in dict.fromkeys(one.organisation_id for one in found):
            own = [one.stock.pipeline_id for one in loads if one.held.organisation_id == organisation_id]
            rows.clear(targets.of(organisation_id), own)
        count = Count(2 * sum(load.lines for load in loads), told)
        for load in loads:
            organisation_id = load.held.organisation_id
            there += not rows.carry(load, sources.of(organisation_id), targets.of(organisation_id), count)
    return rows.Carried(
        pipelines=len(loads),
        rows=sum(_of(one, Share.ROWS) for one in loads),
        dead=sum(_of(one, Share.DEAD) for one in loads),
        there=there,
        secs=round(time.monotonic() - began, 3),
    )


_DAMAGED: Final = "start the appliance once where it is now and let it refine again what is missing, then move"


def _clear(order: Order, found: Sequence[rows.Held]) -> None:
    """Leave no rows at the target that somebody may take for those that are to be made again."""
    with _opened(order, order.target, arriving=True) as targets:
        for organisation_id in dict.fromkeys(one.organisation_id for one in found):
            rows.clear(targets.of(organisation_id))


def _check_expired(order: Order, found: Sequence[rows.Held]) -> Mapping[PipelineId, int]:
    """Return what Bronze has no more, unless that is a reason not to go on."""
    lost = {one: seq for one, seq in order.expired([held.table.pipeline_id for held in found]).items() if seq}
    if lost and not order.accept_loss:
        names = {one.table.pipeline_id: one.name for one in found}
        hint = "move the rows too, which needs no events: leave out --rebuild; or give them up with --accept-loss"
        raise ConfigError(
            [
                Problem(names[one], f"Bronze has its events up to {seq} no more: their rows cannot be made again", hint)
                for one, seq in lost.items()
            ]
        )
    return lost


def _mark(order: Order, target: Access) -> None:
    plane = ControlPlane.open(target)
    try:
        transfer.begin(plane, control.told_from(order.source), datetime.now(UTC))
    finally:
        plane.close()


def _note(target: control.Place, lost: Mapping[PipelineId, int]) -> None:
    plane = ControlPlane.open(target)
    try:
        plane.write_now(lambda tx: give_up(tx, lost, datetime.now(UTC)))
    finally:
        plane.close()


@contextmanager
def _opened(order: Order, place: control.Place, *, arriving: bool = False) -> Iterator[Silvers]:
    folder = order.folder / (UNFINISHED if arriving else FOLDER)
    stores = silvers_in(order.settings, place if isinstance(place, Access) else folder)
    try:
        yield stores
    finally:
        stores.close()


def _there(order: Order, stores: Silvers, organisation_id: OrganisationId) -> Transferable | None:
    """Return an organisation's store at the source; None: it has no file, and none shall be made."""
    if isinstance(order.source, Path) and not (order.folder / FOLDER / f"{organisation_id}.duckdb").exists():
        return None
    return stores.of(organisation_id)


def _exchange(folder: Path, now: datetime) -> None:
    """Put the rows that have arrived where rows are; those that were there before are kept beside them."""
    former, arrived = folder / FOLDER, folder / UNFINISHED
    if former.exists():
        former.rename(former.with_name(f"{FOLDER}.before-{now:%Y%m%dT%H%M%SZ}"))
    if arrived.exists():
        arrived.rename(former)


def _of(load: rows.Cargo, share: Share) -> int:
    return load.stock.counts[share]
