"""Drift: what a pipeline's events look like, how they differ from that, and who has taken note."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import structlog
from sqlalchemy.orm import Session

from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.drift import LEARNING, Drift, DriftKind, Finding
from appliance.domain.drift_merging import baseline_of, merged
from appliance.domain.ids import PipelineId
from appliance.domain.schedule import Every
from appliance.engine.attempt import Attempt
from appliance.engine.drift import Drifts
from appliance.engine.jobs import Recurring
from appliance.errors import DashError, NotFound
from appliance.services.ports import Engine
from appliance.storage.control import drift as kept
from appliance.storage.control import pipelines as store
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.plane import ControlPlane

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
    """Shows and acknowledges what the watchers of all nodes found; each keeps its own every minute and at the end."""

    def __init__(self, plane: ControlPlane, engine: Engine, clock: Clock = utc_now) -> None:
        self._plane, self._engine, self._clock = plane, engine, clock

    async def show(self, who: Principal, pipeline_id: PipelineId) -> DriftView:
        """Return the baseline and the open findings over all nodes, newest first. Raises NotFound.

        Other nodes' are as they kept them last, a minute ago at most.
        """
        require(who, Action.PIPELINE_READ)
        return _view(await self._merged(who, pipeline_id))

    async def acknowledge(
        self, who: Principal, pipeline_id: PipelineId, finding_ids: Sequence[str] | None = None
    ) -> DriftView:
        """Make findings (None: all) part of the baseline of every node; one that is gone already is passed over.

        Raises:
            NotFound: no such pipeline; or none of the findings named was ever there.
        """
        require(who, Action.PIPELINE_WRITE)
        known = (await self._merged(who, pipeline_id)).findings
        wanted = list(known) if finding_ids is None else finding_ids
        done = [known[one] for one in wanted if one in known]
        if finding_ids and not done:
            raise NotFound(f"pipeline {pipeline_id!r} has no finding {finding_ids[0]!r}: look at its drift again")
        if done:
            deed = Deed(
                organisation_id=who.organisation_id,
                who=who.name,
                action="drift.acknowledge",
                target=pipeline_id,
                detail={"findings": [one.id for one in done]},
            )
            await self._plane.write(lambda tx: self._note(tx, deed, done))
        return _view(await self._merged(who, pipeline_id))

    async def _merged(self, who: Principal, pipeline_id: PipelineId) -> Drift:
        def ask(tx: Session) -> kept.Parts:
            store.find(tx, who.organisation_id, pipeline_id)
            return kept.of(tx, pipeline_id)

        parts, drifts = await self._plane.read(ask), self._engine.drifts
        if drifts.partition is not None:
            parts[drifts.partition] = drifts.of(pipeline_id).state()
        return merged(list(parts.values()))

    def _note(self, tx: Session, deed: Deed, findings: Sequence[Finding]) -> None:
        """Take note here and now, and have the others do so."""
        pipeline_id, drifts, now = PipelineId(deed.target), self._engine.drifts, self._clock()
        if (own := drifts.partition) is not None:
            watcher = drifts.of(pipeline_id)
            watcher.note([*kept.acknowledged(tx, own).get(pipeline_id, ()), *findings])
            kept.put(tx, pipeline_id, own, watcher.take(), now)
        kept.acknowledge(tx, pipeline_id, findings, own)
        record(tx, deed, now)

    async def load(self) -> None:
        """Hand what was kept to the engine, before pipelines are started.

        What this node has seen nothing of yet begins with what the others know.
        """
        drifts = self._engine.drifts
        for pipeline_id, parts in (await self._plane.read(kept.everything)).items():
            own = None if drifts.partition is None else parts.get(drifts.partition)
            drifts.restore(pipeline_id, own if own is not None else baseline_of(list(parts.values())))


def save(plane: ControlPlane, drifts: Drifts, clock: Clock = utc_now) -> None:
    """Keep what changed since it was kept last, with what was acknowledged elsewhere; blocking."""
    own, taken = drifts.partition, set[PipelineId]()
    if own is None:
        return
    asked = plane.read_now(lambda tx: kept.acknowledged(tx, own))
    if not asked and not any(watcher.changed for watcher in drifts.all().values()):
        return

    def put(tx: Session) -> None:
        for pipeline_id, findings in kept.acknowledged(tx, own).items():
            drifts.of(pipeline_id).note(findings)
        for pipeline_id, watcher in drifts.all().items():
            if watcher.changed:
                taken.add(pipeline_id)
                kept.put(tx, pipeline_id, own, watcher.take(), clock())

    try:
        plane.write_now(put)
    except DashError:
        for pipeline_id in taken:
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


def _view(drift: Drift) -> DriftView:
    newest = sorted(drift.findings.values(), key=lambda one: one.first.at_us, reverse=True)
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
