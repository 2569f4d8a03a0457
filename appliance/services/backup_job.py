"""Backups in the background: enqueued when they are due, taken, verified and pruned, and noted for those who watch."""

import asyncio
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy.orm import Session

from appliance.components.backups import BackupKeeper
from appliance.components.jobs import NewJob
from appliance.domain.backup import Backup, Kind
from appliance.domain.backup_plan import BackupRecord
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import NodeId
from appliance.domain.job import on_node
from appliance.engine.attempt import Attempt
from appliance.engine.bells import Bell
from appliance.engine.jobs import Recurring
from appliance.errors import Conflict, DashError
from appliance.storage.control import backups as book
from appliance.storage.control.jobs import enqueue
from appliance.storage.control.plane import ControlPlane

TAKE: Final = "backup.take"
VERIFY: Final = "backup.verify"
LOOK_EVERY_SECS: Final = 20.0
MOST_ATTEMPTS: Final = 4
_PARTS: Final = {"silver": "rows", "bronze": "events"}

log = structlog.get_logger("backup")


class BackupJob:
    """Of one node, which backs up what is on its own disk. ``record``: what became of them, as it was known last."""

    def __init__(
        self, plane: ControlPlane, keeper: BackupKeeper, node_id: NodeId, bell: Bell, clock: Clock = utc_now
    ) -> None:
        self._plane, self._keeper, self._node_id = plane, keeper, node_id
        self._bell, self._clock = bell, clock
        self.record: BackupRecord | None = None
        self.failures = 0  # since this process began

    def kinds(self) -> list[Recurring]:
        """Return what the runner of jobs does; both are enqueued by somebody, not by the clock of the runner."""
        return [Recurring(TAKE, None, self.take, always=True), Recurring(VERIFY, None, self.verify, always=True)]

    async def run(self) -> None:
        """Enqueue what is due, every twenty seconds; ends by cancellation."""
        while True:
            try:
                if await self._plane.write(self._enqueue_due):
                    self._bell.set()
            except DashError as error:
                log.warning("backup.not_planned", error=str(error))
            await asyncio.sleep(LOOK_EVERY_SECS)

    def take(self, attempt: Attempt) -> None:
        """Take a backup, verify it if it is a full one and that is wanted, and prune; blocking."""
        kind = attempt.payload.get("kind")
        try:
            backup = self._keeper.take(Kind(kind) if kind else None, _Telling(attempt, "backing up"))
        except Conflict:
            raise  # another is under way, or somebody prunes: it is tried again soon
        except (DashError, OSError) as error:
            self._failed(str(error))
            raise
        self._taken(backup)
        plan = self._plane.read_now(book.plan)
        if plan.verify and backup.kind is Kind.FULL:
            self._prove(backup.id, attempt)
        try:
            pruned = self._keeper.prune(plan.keep)
            log.info("backup.pruned", backups=len(pruned.backups), bytes=pruned.bytes)
        except Conflict as error:  # another node takes one: the next backup prunes
            log.info("backup.not_pruned", reason=str(error))

    def verify(self, attempt: Attempt) -> None:
        """Verify the backup that the job names; blocking."""
        self._prove(str(attempt.payload["backup"]), attempt)

    def _prove(self, backup_id: str, attempt: Attempt) -> None:
        verdict = self._keeper.prove(backup_id, _Telling(attempt, "verifying"))
        wrong = f"{backup_id}: {verdict.problems[0]}" if verdict.problems else None
        now = self._clock()
        self.record = self._plane.write_now(
            lambda tx: book.note(tx, self._node_id, now, verified_at=now, wrong=wrong)
        )  # fmt: skip
        if wrong is not None:
            log.error("backup.wrong", backup=backup_id, problems=list(verdict.problems))

    def _enqueue_due(self, tx: Session) -> bool:
        now = self._clock()
        self.record = book.record_of(tx, self._node_id) or book.note(tx, self._node_id, now)
        due = book.plan(tx).due(self.record, now) if self._keeper.place is not None else None
        if due is None:
            return False
        kind, slot = due
        changes = {"asked_at": slot, **({"asked_full_at": slot} if kind is Kind.FULL else {})}
        self.record = book.note(tx, self._node_id, now, **changes)
        job = taking(self._node_id, kind, unique_key=f"{TAKE}:{kind.value}:{slot.isoformat()}:{self._node_id}")
        return enqueue(tx, job, now) is not None

    def _taken(self, backup: Backup) -> None:
        now: datetime = self._clock()
        changes = {
            "last_at": backup.at, "last_id": backup.id, "bytes": backup.bytes, "new_bytes": backup.new_bytes,
            "took_secs": backup.took_secs, "failures": 0, "error": None,
            **({"last_full_at": backup.at} if backup.kind is Kind.FULL else {}),
        }  # fmt: skip
        self.record = self._plane.write_now(lambda tx: book.note(tx, self._node_id, now, **changes))

    def _failed(self, why: str) -> None:
        now = self._clock()
        self.failures += 1

        def save(tx: Session) -> BackupRecord:
            before = book.record_of(tx, self._node_id)
            failures = before.failures + 1 if before is not None else 1
            return book.note(tx, self._node_id, now, failures=failures, failed_at=now, error=why)

        self.record = self._plane.write_now(save)


def taking(node_id: str, kind: Kind | None, unique_key: str | None = None) -> NewJob:
    """Return the job of taking one, which only that node can do."""
    payload = {"kind": kind.value} if kind is not None else {}
    return NewJob(
        kind=TAKE, payload=payload, unique_key=unique_key, needs=(on_node(NodeId(node_id)),), max_attempts=MOST_ATTEMPTS
    )


class _Telling:
    """Says how far it is without naming what belongs to some organisation: everybody's jobs are in one list."""

    def __init__(self, attempt: Attempt, doing: str) -> None:
        self._attempt, self._doing = attempt, doing

    def __call__(self, done: int, total: int | None, path: str) -> None:
        part = _PARTS.get(path.partition("/")[0], "control plane")
        self._attempt.tell(done, total, f"bytes; {self._doing} {part}")
