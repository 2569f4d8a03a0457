"""Backups as people see them, and what they may say of the schedule."""

from datetime import datetime

import msgspec

from appliance.domain.backup import Kind
from appliance.domain.backup_plan import BackupPlan, BackupRecord
from appliance.domain.backup_view import BackupView
from appliance.services.jobs import JobView


class BackupsView(msgspec.Struct, frozen=True, kw_only=True):
    """``place`` None: backups go nowhere, because backup.url is not set. ``trouble``: why it could not be looked at.

    ``items``: newest first. ``next_at``: when the next is due. ``record``: of the node that answers. ``jobs``: those
    that wait or are under way.
    """

    place: str | None
    encrypted: bool
    plan: BackupPlan
    next_at: datetime | None
    items: list[BackupView]
    broken: list[str]
    trouble: str | None
    record: BackupRecord | None
    jobs: list[JobView]


class BackupRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``kind`` left out: incremental, where there is a backup before."""

    kind: Kind | None = None
