"""Resources: what the node that answers uses of what it may use, and what cleaning up did lately."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.usage import Queue, Usage
from appliance.errors import TransientError
from appliance.services.erasure_job import FORGET
from appliance.services.retention_rules import Round, rounds
from appliance.services.storage import DiskView, Storage
from appliance.services.upkeep import ROUND
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import JobRow

_CLEANING: Final = {
    ROUND: "Retention, and compaction",
    "control.tidy": "Sessions, answers and jobs that are over",
    "replay.forget": "Former rows of replays",
    FORGET: "Payloads of erasures",
}


class CleanUp(msgspec.Struct, frozen=True, kw_only=True):
    """The last run of one kind on any node. ``freed_bytes`` None: that kind does not count it; of retention, of the own
    organisation."""

    kind: str
    title: str
    at: datetime
    took_secs: float
    state: str
    told: str
    freed_bytes: int | None


class ResourceView(msgspec.Struct, frozen=True, kw_only=True):
    """``disk``: with a forecast, as on the page Storage. ``clean_ups``: what ran last first."""

    at: datetime
    disk: DiskView
    usage: Usage
    clean_ups: list[CleanUp]


def _unmeasured() -> Usage:
    raise TransientError("the appliance is starting: ask again shortly", retry_after_secs=1)


class Resources:
    """``measure`` and ``bodies`` (bytes of requests under way) are set by whoever runs the appliance."""

    def __init__(self, plane: ControlPlane, storage: Storage, clock: Clock = utc_now) -> None:
        self._plane, self._storage, self._clock = plane, storage, clock
        self.measure: Callable[[], Usage] = _unmeasured
        self.bodies: Callable[[], Queue | None] = lambda: None

    async def view(self, who: Principal) -> ResourceView:
        """Return what holds at this moment."""
        require(who, Action.OPERATIONS_READ)
        disk = await self._storage.disk(who)
        usage, bodies = self.measure(), self.bodies()
        if bodies is not None:
            usage = msgspec.structs.replace(usage, queues=[bodies, *usage.queues])
        cleaned = await self._plane.read(lambda tx: list(_clean_ups(tx, rounds(tx, who.organisation_id))))
        found = sorted(cleaned, key=lambda one: one.at, reverse=True)
        return ResourceView(at=self._clock(), disk=disk, usage=usage, clean_ups=found)


def _clean_ups(tx: Session, done: list[Round]) -> Iterator[CleanUp]:
    for kind, title in _CLEANING.items():
        wanted = select(JobRow).where(JobRow.kind == kind, JobRow.finished_at.is_not(None))
        row = tx.scalars(wanted.order_by(JobRow.finished_at.desc()).limit(1)).first()
        if row is None or row.finished_at is None:
            continue
        began = row.started_at or row.finished_at
        yield CleanUp(
            kind=kind,
            title=title,
            at=row.finished_at,
            took_secs=round((row.finished_at - began).total_seconds(), 3),
            state=row.state,
            told=row.error or (_removed(done) if kind == ROUND else ""),
            freed_bytes=sum(one.bytes_freed for one in done) if kind == ROUND else None,
        )


def _removed(done: list[Round]) -> str:
    events, rows = sum(one.events for one in done), sum(one.rows for one in done)
    told = f"{events:,} events and {rows:,} rows removed" if events or rows else "nothing had grown old"
    compacted = [one.compacted for one in done if one.compacted is not None]
    if compacted:
        told += f", the file of rows written anew {len(compacted)} times"
    return f"the last {len(done)} rounds: {told}" if len(done) > 1 else told
