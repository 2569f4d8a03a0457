"""Storage: what the data occupies, how fast it grows, when the disk will be full, and giving space back."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from sqlalchemy.orm import Session

from appliance.components.archive import ArchiveState
from appliance.components.upkeep import Chunking, Compacted, StoreSize
from appliance.domain.access import Action, Principal, may, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.disk import DiskState, Marks, Room
from appliance.domain.forecast import Sample, days_until, growth_per_day
from appliance.domain.ids import NodeId, OrganisationId, PipelineId
from appliance.domain.pipeline import Retention
from appliance.engine.attempt import Attempt
from appliance.services.ports import Engine
from appliance.services.readers import nodes
from appliance.services.retention_rules import Round, default_retention, rounds
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.keeping import add_usage, forget_usage, usage
from appliance.storage.control.plane import ControlPlane

SAMPLE_EVERY: Final = timedelta(hours=1)
SAMPLES_KEPT: Final = timedelta(days=35)
LOOKED_BACK: Final = timedelta(days=14)  # what a forecast is made from
NO_STORE: Final = StoreSize(0, 0, {})


class Disk(Protocol):
    """The disk of the data directory, as its guard saw it last."""

    @property
    def room(self) -> Room: ...
    @property
    def state(self) -> DiskState: ...
    @property
    def marks(self) -> Marks: ...
    @property
    def held_back(self) -> int: ...
    def told(self) -> str: ...


class Occupied(Protocol):
    """What the watch found."""

    @property
    def at(self) -> datetime: ...
    @property
    def bronze(self) -> dict[PipelineId, int]: ...
    @property
    def silver(self) -> dict[OrganisationId, StoreSize]: ...
    @property
    def owners(self) -> dict[PipelineId, OrganisationId]: ...


class Watch(Protocol):
    async def look(self) -> Occupied: ...


class DiskView(msgspec.Struct, frozen=True, kw_only=True):
    """``free_bytes``: with the reserve, which is given up when it is needed. Marks in per cent in use, and bytes.

    ``days_until_stop``: until receiving stops, if it goes on as in the last two weeks; None: not known (six samples are
    needed, one an hour), or not growing.
    """

    total_bytes: int
    free_bytes: int
    used_percent: float
    state: DiskState
    told: str
    warn_percent: float
    slow_percent: float
    stop_percent: float
    stop_free_bytes: int
    reserve_bytes: int
    growth_bytes_per_day: float | None
    days_until_stop: float | None


class PipelineStorage(msgspec.Struct, frozen=True, kw_only=True):
    """``silver_bytes`` and ``gold_bytes`` are a share of the organisation's one file, about."""

    id: PipelineId
    name: str
    bronze_bytes: int
    silver_bytes: int
    gold_bytes: int
    growth_bytes_per_day: float | None


class StorageView(msgspec.Struct, frozen=True, kw_only=True):
    """``silver_bytes``: the file of the organisation's rows, whole; ``free_block_bytes``: what of it has no content.

    ``bronze_bytes``: with what is in the archive only; 0 on a node that keeps no events (``keeps_events``): each
    ingestor knows its own. ``disk``: of the machine, and ``archive``: of the whole installation, for the organisation
    that operates it (the latter for who may manage storage); None: there is none. ``chunking``: what TimescaleDB does
    for the rows; None: they are not in a database that has it.
    """

    at: datetime
    disk: DiskView | None
    keeps_events: bool
    bronze_bytes: int
    silver_bytes: int
    free_block_bytes: int
    gold_bytes: int
    archive: ArchiveState | None
    pipelines: list[PipelineStorage]
    chunking: Chunking | None
    retention: Retention
    rounds: list[Round]


class Here(NamedTuple):
    """This node's own disk: who guards it, who measures what lies on it, which node that is, and who says how archiving
    goes; None: nothing is archived."""

    disk: Disk
    watch: Watch
    node_id: NodeId
    archive: Callable[[], ArchiveState] | None = None


class Storage:
    """What is shown is this node's: each has a disk of its own, and samples of its own to forecast from."""

    def __init__(self, plane: ControlPlane, engine: Engine, here: Here, clock: Clock = utc_now) -> None:
        self._plane, self._engine, self._clock = plane, engine, clock
        self._disk, self._watch, self._node_id, self._archive = here

    async def overview(self, who: Principal) -> StorageView:
        """Return what the organisation's data occupies at this moment, and what that means for the disk."""
        require(who, Action.DATA_READ)
        found = await self._watch.look()
        archive = (
            await self._engine.workers.run("read", self._archive)
            if self._archive and who.operates and may(who, Action.STORAGE_MANAGE)
            else None
        )
        view = await self._plane.read(lambda tx: self._view(tx, who, found))
        return msgspec.structs.replace(view, archive=archive)

    async def disk(self, who: Principal) -> DiskView:
        """Return how full the disk of this node is, and when it will be."""
        require(who, Action.OPERATIONS_READ)
        return await self._plane.read(lambda tx: self._disk_view(self._samples(tx)))

    async def compact(self, who: Principal) -> Compacted:
        """Write the file of the rows anew without its free blocks, now.

        Raises:
            TransientError: there is not enough free disk for a second one; nothing was changed.
        """
        require(who, Action.STORAGE_MANAGE)
        silver = await self._engine.workers.run("upkeep", self._engine.silver, who.organisation_id)
        done: Compacted = await self._engine.workers.run("upkeep", silver.upkeep.compact)
        deed = Deed(
            organisation_id=who.organisation_id, who=who.name, action="storage.compact", target=who.organisation_id,
            detail={"before_bytes": done.before_bytes, "after_bytes": done.after_bytes},
        )  # fmt: skip
        await self._plane.write(lambda tx: record(tx, deed, self._clock()))
        return done

    async def sample(self, _: Attempt) -> None:
        """Keep what is occupied now, for the forecast: the job of every hour."""
        found = await self._watch.look()
        used = self._disk.room.total - self._disk.room.free
        pipelines = {one: sum(_bytes_of(found, one)) for one in found.owners}
        now = self._clock()
        sample = {"node": self._node_id, "used": used, "total": self._disk.room.total, "pipelines": pipelines}

        def save(tx: Session) -> None:
            add_usage(tx, now, sample)
            forget_usage(tx, now - SAMPLES_KEPT)

        await self._plane.write(save)

    def _samples(self, tx: Session) -> list[tuple[datetime, dict[str, Any]]]:
        kept = usage(tx, self._clock() - LOOKED_BACK)
        return [(at, one) for at, one in kept if one.get("node", self._node_id) == self._node_id]

    def _view(self, tx: Session, who: Principal, found: Occupied) -> StorageView:
        organisation_id, samples = who.organisation_id, self._samples(tx)
        store = found.silver.get(organisation_id, NO_STORE)
        pipelines = [
            _pipeline(found, node.id, node.name, _series(samples, lambda one, of=node.id: one["pipelines"].get(of)))  # type: ignore[misc]
            for node in nodes(tx, organisation_id)
        ]
        return StorageView(
            at=found.at,
            disk=self._disk_view(samples) if who.operates else None,
            keeps_events=not self._engine.looks,
            bronze_bytes=sum(one.bronze_bytes for one in pipelines),
            silver_bytes=store.file_bytes,
            free_block_bytes=store.free_bytes,
            gold_bytes=sum(one.gold_bytes for one in pipelines),
            archive=None,
            pipelines=pipelines,
            chunking=store.chunking,
            retention=default_retention(tx, organisation_id),
            rounds=rounds(tx, organisation_id),
        )

    def _disk_view(self, samples: Sequence[tuple[datetime, dict[str, Any]]]) -> DiskView:
        room, marks = self._disk.room, self._disk.marks
        growth = growth_per_day(_series(samples, lambda one: one["used"]))
        left = room.free - max(round(room.total * (1 - marks.stop)), marks.stop_free_bytes)
        return DiskView(
            total_bytes=room.total,
            free_bytes=room.free,
            used_percent=round(100 * room.used_share, 1),
            state=self._disk.state,
            told=self._disk.told(),
            warn_percent=round(100 * marks.warn, 1),
            slow_percent=round(100 * marks.slow, 1),
            stop_percent=round(100 * marks.stop, 1),
            stop_free_bytes=marks.stop_free_bytes,
            reserve_bytes=self._disk.held_back,
            growth_bytes_per_day=growth,
            days_until_stop=days_until(left, growth),
        )


def _series(samples: Sequence[tuple[datetime, dict[str, Any]]], pick: Callable[[dict[str, Any]], Any]) -> list[Sample]:
    """Return the samples that have what ``pick`` picks."""
    return [(at, value) for at, document in samples if (value := pick(document)) is not None]


def _bytes_of(found: Occupied, pipeline_id: PipelineId) -> tuple[int, int, int]:
    """Return the bytes of a pipeline in Bronze, Silver and Gold."""
    store = found.silver.get(found.owners.get(pipeline_id, OrganisationId("")), NO_STORE)
    return found.bronze.get(pipeline_id, 0), store.pipelines.get(pipeline_id, 0), store.gold.get(pipeline_id, 0)


def _pipeline(found: Occupied, pipeline_id: PipelineId, name: str, samples: Sequence[Sample]) -> PipelineStorage:
    bronze, silver, gold = _bytes_of(found, pipeline_id)
    return PipelineStorage(
        id=pipeline_id,
        name=name,
        bronze_bytes=bronze,
        silver_bytes=silver,
        gold_bytes=gold,
        growth_bytes_per_day=growth_per_day(samples),
    )
