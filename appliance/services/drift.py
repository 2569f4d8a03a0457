"""Drift: what a pipeline's events look like, how they differ from that, and who has taken note."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.drift import LEARNING, Drift, DriftKind, Finding
from appliance.domain.ids import PipelineId
from appliance.domain.schedule import Every
from appliance.engine.attempt import Attempt
from appliance.engine.drift import Drifts
from appliance.engine.jobs import Recurring
from appliance.errors import DashError, NotFound
from appliance.services.ports import Engine
from appliance.storage.control import pipelines as store
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import DriftRow, PipelineRow

SAVE_EVERY: Final = timedelta(minutes=1)

log = structlog.get_logger("drift")


class SeenPath(msgspec.Struct, frozen=True, kw_only=True):
    """A path of the baseline. ``share``: of the events that taught it."""

    path: str
    types: list[str]
    share: float


class FindingView(msgspec.Struct, frozen=True, kw_only=True):
    """One difference. ``share``: of the events looked at since the first that has it."""

    id: str
    kind: DriftKind
    path: str
    before: list[str]
    after: list[str]
    told: str
    first_seq: int
    first_at: datetime
    last_seq: int
    last_at: datetime
    count: int
    share: float
    example_seq: int


class DriftView(msgspec.Struct, frozen=True, kw_only=True):
    """``learned``: whether the baseline is complete; until then nothing is found. Events are those looked at."""

    learned: bool
    events: int
    learning_events: int
    findings: list[FindingView]
    baseline: list[SeenPath]


class DriftFindings:
    """Shows and acknowledges what the engine's watchers found; they are kept every minute and at the end."""

    def __init__(self, plane: ControlPlane, engine: Engine, clock: Clock = utc_now) -> None:
        self._plane, self._engine, self._clock = plane, engine, clock

    async def show(self, who: Principal, pipeline_id: PipelineId) -> DriftView:
        """Return the baseline and the open findings, newest first. Raises NotFound."""
        require(who, Action.PIPELINE_READ)
        await self._plane.read(lambda tx: store.find(tx, who.organisation_id, pipeline_id))
        return _view(self._engine.drifts.of(pipeline_id).state())

    async def acknowledge(
        self, who: Principal, pipeline_id: PipelineId, finding_ids: Sequence[str] | None = None
    ) -> DriftView:
        """Make findings (None: all) part of the baseline; one that is gone already is passed over.

        Raises:
            NotFound: no such pipeline; or none of the findings named was ever there.
            Conflict: this node keeps no events.
        """
        require(who, Action.PIPELINE_WRITE)
        await self._plane.read(lambda tx: store.find(tx, who.organisation_id, pipeline_id))
        self._engine.check_here("acknowledging drift")
        watcher = self._engine.drifts.of(pipeline_id)
        done = watcher.acknowledge(finding_ids)
        if finding_ids and not done:
            raise NotFound(f"pipeline {pipeline_id!r} has no finding {finding_ids[0]!r}: look at its drift again")
        if done:
            deed = Deed(
                organisation_id=who.organisation_id,
                who=who.name,
                action="drift.acknowledge",
                target=pipeline_id,
                detail={"findings": done},
            )
            await self._plane.write(lambda tx: self._keep(tx, deed, watcher.take()))
        return _view(watcher.state())

    def _keep(self, tx: Session, deed: Deed, drift: Drift) -> None:
        _put(tx, PipelineId(deed.target), drift, self._clock())
        record(tx, deed, self._clock())

    async def load(self) -> None:
        """Hand what was kept to the engine: before pipelines are started, and again where other nodes keep it."""
        rows = await self._plane.read(lambda tx: list(tx.scalars(select(DriftRow))))
        for row in rows:
            self._engine.drifts.restore(PipelineId(row.pipeline_id), _drift_of(row))


def save(plane: ControlPlane, drifts: Drifts, clock: Clock = utc_now) -> None:
    """Keep what changed since it was kept last; blocking."""
    changed = {pipeline_id: watcher.take() for pipeline_id, watcher in drifts.all().items() if watcher.changed}

    def put(tx: Session) -> None:
        for pipeline_id, drift in changed.items():
            _put(tx, pipeline_id, drift, clock())

    if not changed:
        return
    try:
        plane.write_now(put)
    except DashError:
        for pipeline_id in changed:
            drifts.of(pipeline_id).changed = True
        raise


def save_at_the_end(plane: ControlPlane, drifts: Drifts) -> None:
    """Keep it once more; that it cannot be kept holds up no end."""
    try:
        save(plane, drifts)
    except DashError as error:
        log.warning("drift.not_kept", error=str(error))


def recurring_saving(plane: ControlPlane, drifts: Drifts) -> Recurring:
    """Return the job that keeps drift."""

    def work(_: Attempt) -> None:
        save(plane, drifts)

    return Recurring("drift.save", Every(SAVE_EVERY), work, per_node=True)


def _put(tx: Session, pipeline_id: PipelineId, drift: Drift, now: datetime) -> None:
    if tx.get(PipelineRow, pipeline_id) is None:
        return  # deleted meanwhile
    plain = msgspec.to_builtins(drift)
    findings = {name: plain.pop(name) for name in ("findings", "absent")}
    row = tx.get(DriftRow, pipeline_id)
    if row is None:
        tx.add(DriftRow(pipeline_id=pipeline_id, baseline=plain, findings=findings, updated_at=now))
    else:
        row.baseline, row.findings, row.updated_at = plain, findings, now


def _drift_of(row: DriftRow) -> Drift:
    return msgspec.convert({**row.baseline, **row.findings}, Drift)


def _view(drift: Drift) -> DriftView:
    newest = sorted(drift.findings.values(), key=lambda one: one.first.seq, reverse=True)
    return DriftView(
        learned=drift.learned,
        events=drift.events,
        learning_events=LEARNING,
        findings=[_finding(one) for one in newest],
        baseline=[
            SeenPath(path=path, types=known.types, share=round(known.seen / max(1, drift.taught), 3))
            for path, known in sorted(drift.known.items())
        ],
    )


def _finding(finding: Finding) -> FindingView:
    return FindingView(
        id=finding.id,
        kind=finding.kind,
        path=finding.path,
        before=finding.before,
        after=finding.after,
        told=_told(finding),
        first_seq=finding.first.seq,
        first_at=datetime.fromtimestamp(finding.first.at_us / 1e6, UTC),
        last_seq=finding.last.seq,
        last_at=datetime.fromtimestamp(finding.last.at_us / 1e6, UTC),
        count=finding.count,
        share=round(finding.count / max(1, finding.since), 3),
        example_seq=finding.example_seq,
    )


def _told(finding: Finding) -> str:
    before, after = " or ".join(finding.before), " or ".join(finding.after)
    match finding.kind:
        case DriftKind.NEW_FIELD:
            return f"{finding.path} is new: {after}"
        case DriftKind.TYPE_CHANGED:
            return f"{finding.path} was {before} and is {after} now"
        case DriftKind.VANISHED:
            return f"{finding.path} ({before}) comes no more"
