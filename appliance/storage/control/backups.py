"""When backups are taken, by the installation, and what became of them, by node."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.orm import Session

from appliance.domain.backup_plan import BackupPlan, BackupRecord
from appliance.storage.control.keeping import remember, remembered

_PLAN = "backup.plan"


def plan(tx: Session) -> BackupPlan:
    """Return the schedule; that of Dash where nobody has set one."""
    found = remembered(tx, _PLAN)
    return BackupPlan() if found is None else msgspec.convert(found, BackupPlan)


def save_plan(tx: Session, wanted: BackupPlan, now: datetime) -> None:
    remember(tx, _PLAN, msgspec.to_builtins(wanted), now)


def record_of(tx: Session, node_id: str) -> BackupRecord | None:
    """Return what became of the backups of a node; None: it was never asked for one."""
    found = remembered(tx, f"backup.record:{node_id}")
    return None if found is None else msgspec.convert(found, BackupRecord)


def note(tx: Session, node_id: str, now: datetime, **changes: Any) -> BackupRecord:
    """Change what is recorded of a node, and return it."""
    before = record_of(tx, node_id) or BackupRecord(begun_at=now)
    after = msgspec.structs.replace(before, **changes)
    remember(tx, f"backup.record:{node_id}", msgspec.to_builtins(after), now)
    return after
