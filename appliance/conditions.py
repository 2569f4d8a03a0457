"""What is not as it should be on this node, at this moment: from readiness, disk, pipelines, jobs and nodes."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from appliance.domain.clock import utc_now
from appliance.domain.disk import DiskState
from appliance.domain.incident import Condition, Severity
from appliance.domain.job import JobState
from appliance.domain.node import NodeState
from appliance.domain.pipeline import State
from appliance.engine.letter_watch import LetterWatch
from appliance.errors import DashError
from appliance.services.license_views import at_a_glance
from appliance.storage.control import backups, nodes
from appliance.storage.control.tables import JobRow
from appliance.vitals import Check, Vitals

if TYPE_CHECKING:
    from appliance.compose import Appliance

LAGS_SECS: Final = 60.0
OLD_LETTERS: Final = timedelta(days=7)
LATELY: Final = timedelta(days=1)
SOON_DAYS: Final = 14.0

_OF_PARTS: Final[Mapping[str, tuple[Severity, str, str]]] = {
    "receiving": (Severity.P0, "Events are not received", "runbook#receiving"),
    "refining": (Severity.P1, "Events are not refined", "runbook#refining"),
    "disk": (Severity.P0, "The disk is full", "runbook#disk"),
    "database": (Severity.P1, "The database does not answer", "runbook#database"),
    "node": (Severity.P3, "This node is drained", "runbook#node"),
}
_OF_DISK: Final = {DiskState.WARNING: Severity.P3, DiskState.SLOW: Severity.P2, DiskState.STOPPED: Severity.P0}


class Conditions:
    """Asked every few seconds, so it reads what others have counted, and the control plane once."""

    def __init__(self, it: "Appliance", vitals: Vitals, letters: LetterWatch) -> None:
        self._it, self._vitals, self._letters = it, vitals, letters

    async def __call__(self) -> list[Condition]:
        found = [
            *self._parts(self._vitals.checks()),
            *self._disk(),
            *self._licence(),
            *self._pipelines(),
            *self._ingestors(),
        ]
        with suppress(DashError):  # that it does not answer is a condition of its own, above
            found += await self._it.plane.read(self._in_control)
        return found

    def _parts(self, checks: Mapping[str, Check]) -> Iterator[Condition]:
        for name, (well, reason) in checks.items():
            if well or name not in _OF_PARTS:
                continue
            severity, title, page = _OF_PARTS[name]
            yield Condition(
                key=f"part:{name}", severity=severity, title=title, message=reason, page=page,
                remedy="look at the reason; 'dash-appliance doctor' has a remedy for each finding",
                hold=timedelta(seconds=20),
            )  # fmt: skip

    def _ingestors(self) -> Iterator[Condition]:
        """What only a node notices that keeps no events itself: each of the others has its own incidents."""
        elsewhere = self._it.elsewhere
        if elsewhere is not None and not elsewhere.living:
            yield Condition(
                key="ingestors", severity=Severity.P0, title="Nothing is received", message=elsewhere.told(),
                remedy="start an ingestor: systemctl start dash-appliance there", page="runbook#ingestors",
                hold=timedelta(seconds=20),
            )  # fmt: skip

    def _disk(self) -> Iterator[Condition]:
        state = self._it.disk.state
        if state is DiskState.FINE:
            return
        yield Condition(
            key="disk", severity=_OF_DISK[state], title="The disk fills up", message=self._it.disk.told(),
            remedy="shorten a retention, give free space back on the page Storage, or make the disk larger",
            page="runbook#disk",
        )  # fmt: skip

    def _licence(self) -> Iterator[Condition]:
        for one in at_a_glance(self._it.allowance):
            yield Condition(
                key=f"licence:{one.code}", severity=Severity.P3, title="See to the licence", message=one.message,
                remedy=one.remedy, page="licence",
            )  # fmt: skip

    def _pipelines(self) -> Iterator[Condition]:
        if self._it.engine.looks:
            return
        for run in self._it.engine.runs():
            one, stats = run.pipeline, run.stats()
            if one.state is State.RUNNING and stats.lag_secs > LAGS_SECS:
                yield Condition(
                    key=f"lag:{one.id}", severity=Severity.P2, title=f"{one.document.name} is behind",
                    message=f"{stats.lag_events:,} events wait to be refined, the oldest {stats.lag_secs:.0f} s",
                    remedy="nothing is lost; wait if it shrinks, else look at processor time and the database",
                    page="runbook#lag", hold=timedelta(minutes=2),
                )  # fmt: skip
            oldest = self._letters.count(one.id).oldest
            if oldest is not None and utc_now() - oldest > OLD_LETTERS:
                yield Condition(
                    key=f"letters:{one.id}", severity=Severity.P3, title=f"Old dead letters of {one.document.name}",
                    message=f"{stats.ledger.dead:,} events are dead letters, the oldest since {oldest:%Y-%m-%d}",
                    remedy="correct, retry or drop them on the page of the pipeline", page="runbook#dead-letters",
                )  # fmt: skip

    def _in_control(self, tx: Session) -> list[Condition]:
        return [*_jobs(tx), *self._nodes(tx), *self._backups(tx)]

    def _nodes(self, tx: Session) -> Iterator[Condition]:
        for node in nodes.all_nodes(tx, utc_now):
            # One that has just been started is gone to itself, until its first heartbeat.
            if node.state is NodeState.GONE and node.card.id != self._it.node_id:
                yield Condition(
                    key=f"node:{node.card.id}", severity=Severity.P2, title=f"Node {node.card.name} is gone",
                    message=f"nothing was heard of it since {node.seen_at:%Y-%m-%d %H:%M} UTC; others do its work",
                    remedy="start it again, or forget it on the page Nodes if it will not come back",
                    page="runbook#node",
                )  # fmt: skip

    def _backups(self, tx: Session) -> Iterator[Condition]:
        record = backups.record_of(tx, self._it.node_id)
        if self._it.settings.backup.url is None or self._it.engine.looks or record is None:
            return
        if record.wrong is not None:
            yield Condition(
                key="backup:wrong", severity=Severity.P1, title="A backup is not good", message=record.wrong,
                remedy="take a full one on the page Backups, and look at the disk or bucket", page="backup",
            )  # fmt: skip
        late = record.overdue(backups.plan(tx), utc_now())
        if late is not None:
            why = record.error or "no attempt has failed: look at the page Jobs"
            yield Condition(
                key="backup:late", severity=Severity.P2, title="No backup lately",
                message=f"none has succeeded for {late.total_seconds() / 3600:.0f} h: {why}",
                remedy="mend the cause, then press 'Back up now' on the page Backups", page="backup",
            )  # fmt: skip


def _jobs(tx: Session) -> Iterator[Condition]:
    failed = select(JobRow.kind, func.count(), func.max(JobRow.error)).where(
        JobRow.state == JobState.FAILED.value, JobRow.finished_at > utc_now() - LATELY
    )
    for kind, count, error in tx.execute(failed.group_by(JobRow.kind)):
        yield Condition(
            key=f"job:{kind}", severity=Severity.P3, title=f"Jobs of the kind {kind} fail",
            message=f"{count} in the last day; one of them: {error}",
            remedy="look at the page Jobs, and send them back when the cause is gone", page="runbook#jobs",
        )  # fmt: skip
