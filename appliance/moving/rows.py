"""Rows of every organisation into other stores, a pipeline at a time, and compared with what they were."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy.orm import Session

from appliance.components.silver import Table
from appliance.components.transfer import Share, Stock, Transferable
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.mapping import Mapping
from appliance.domain.pipeline import State
from appliance.domain.rollup import Rollup
from appliance.errors import FatalError
from appliance.moving.contents import Contents
from appliance.moving.progress import Count, Doing
from appliance.storage.control import pipelines as saved

TableOf = Callable[[PipelineId, Mapping, tuple[Rollup, ...]], Table]


class Held(NamedTuple):
    """A pipeline that the control plane knows."""

    organisation_id: OrganisationId
    name: str
    table: Table


class Cargo(NamedTuple):
    """A pipeline whose rows are moved."""

    held: Held
    stock: Stock

    @property
    def lines(self) -> int:
        return sum(self.stock.counts.values())


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """``there``: pipelines whose rows had arrived before, by a move that was interrupted."""

    pipelines: int
    rows: int
    dead: int
    there: int
    secs: float


def held(tx: Session, table_of: TableOf) -> list[Held]:
    """Return the pipelines of all organisations, as their mappings of today have their tables."""
    return [
        Held(
            OrganisationId(row.organisation_id),
            str(row.live_name),
            table_of(
                PipelineId(row.id),
                msgspec.convert(version.definition.get("mapping", {}), Mapping),
                msgspec.convert(version.definition.get("rollups", []), tuple[Rollup, ...]),
            ),
        )
        for row, version in saved.everything(tx)
        if row.state != State.DELETED.value
    ]


def cargo(found: Sequence[Held], store_of: Callable[[OrganisationId], Transferable | None]) -> list[Cargo]:
    """Return what there is to move; None: the organisation has no store."""
    loads = []
    for organisation_id in dict.fromkeys(one.organisation_id for one in found):
        store = store_of(organisation_id)
        stocks = {one.pipeline_id: one for one in store.transfer.stocks()} if store is not None else {}
        own = (one for one in found if one.organisation_id == organisation_id)
        loads += [Cargo(one, stocks[one.table.pipeline_id]) for one in own if one.table.pipeline_id in stocks]
    return loads


def clear(store: Transferable, keep: Sequence[PipelineId] = ()) -> None:
    """Remove every pipeline of a store but those of ``keep``: what is left of a time before."""
    for stock in store.transfer.stocks():
        if stock.pipeline_id not in keep:
            store.drop(stock.pipeline_id)


def carry(load: Cargo, source: Transferable, target: Transferable, count: Count) -> bool:
    """Copy a pipeline's rows and compare them; return false where they were there already, by a move before.

    Raises:
        FatalError: what arrived is not what was there.
    """
    there = {one.pipeline_id: one for one in target.transfer.stocks()}.get(load.stock.pipeline_id)
    if there is not None and _alike(load.stock, there):
        known = _read(load, source, target, lambda lines: count.add(Doing.COPYING, load.held.name, lines))
        if not list(_differences(load, (source, target), known, count)):
            return False
        count.total += 2 * load.lines  # and once more from the beginning
    copied = _copy(load, source, target, count)
    if differences := list(_differences(load, (source, target), copied, count)):
        told = f"moving the rows of {load.held.name}: the copy differs from what was there: {'; '.join(differences)}"
        raise FatalError(
            told, hint="nothing was switched and the source is as it was; run 'dash-appliance verify', then move again"
        )
    return True


def _copy(load: Cargo, source: Transferable, target: Transferable, count: Count) -> Contents:
    """Copy all shares; return what was read, as the target can hold it."""
    table, contents = load.held.table, Contents()
    target.transfer.begin(table, load.stock)
    for share in Share:
        for part in source.transfer.read(table, load.stock, share):
            storable = target.transfer.storable(part)
            contents.add(share, storable)
            target.transfer.write(table, load.stock, share, storable)
            count.add(Doing.COPYING, load.held.name, part.num_rows if share is not Share.KEPT else 0)
    target.transfer.finish(table, load.stock)
    return contents


def _read(load: Cargo, store: Transferable, holder: Transferable, told: Callable[[int], None]) -> Contents:
    """Return what a store has of a pipeline, as ``holder`` could hold it."""
    contents = Contents()
    for share in Share:
        for part in store.transfer.read(load.held.table, load.stock, share):
            contents.add(share, holder.transfer.storable(part))
            told(part.num_rows if share is not Share.KEPT else 0)
    return contents


def _differences(
    load: Cargo, stores: tuple[Transferable, Transferable], known: Contents, count: Count
) -> Iterator[str]:
    """Yield how the target is other than the source, of which ``known`` was read."""
    source, target = stores
    table = msgspec.structs.replace(load.held.table, generation=None)
    asked: dict[str, Callable[[Transferable], object]] = {
        "progress": lambda store: store.progress(table.pipeline_id),
        "ledger": lambda store: store.generations.spans(table.pipeline_id),
        "counted from the rows": lambda store: store.recount(table),
    }
    for name, ask in asked.items():
        expected, got = ask(source), ask(target)
        if expected != got:
            yield f"{name}: expected {expected}, got {got}"
    arrived = _read(load, target, target, lambda lines: count.add(Doing.COMPARING, load.held.name, lines))
    yield from known.differences(arrived)


def _alike(one: Stock, other: Stock) -> bool:
    """Return whether a move that was interrupted may have brought it: then it is worth comparing."""
    same = (one.generation, one.first_seq, one.columns, one.progress, dict(one.counts))
    return same == (other.generation, other.first_seq, other.columns, other.progress, dict(other.counts))
