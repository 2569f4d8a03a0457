"""A copied control plane reduced to one organisation: nothing of the others is left in it."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from appliance.domain.clock import utc_now
from appliance.storage.control import audit
from appliance.storage.control.installation import EVENTS_TODAY
from appliance.storage.control.keeping import forget
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.provider_tables import IdentityRow, ProviderRow
from appliance.storage.control.tables import (
    AuditHeadRow,
    AuditRow,
    DashboardRow,
    ErasureRow,
    IdempotencyRow,
    JobNeedRow,
    JobRow,
    LeaseRow,
    NoticeRow,
    OrganisationRow,
    PipelineRow,
    ReceivedRow,
    ReplayRow,
    SessionRow,
    SettingRow,
    TokenRow,
    UsageRow,
    UserRow,
)

# What has an organisation: of the others it goes, in this order. What is about all of them at once goes altogether.
_OWNED: tuple[Any, ...] = (
    TokenRow, IdentityRow, ProviderRow, UserRow, ReplayRow, ErasureRow, DashboardRow, PipelineRow,
)  # fmt: skip
_SHARED = (SessionRow, IdempotencyRow, JobNeedRow, JobRow, LeaseRow, NoticeRow, UsageRow)


def reduced(path: Path, organisation_id: str) -> None:
    """Remove every other organisation from the control plane at ``path``, which nobody has open; blocking.

    Its audit trail is written anew with what concerns this organisation: the chain of all cannot be kept without the
    entries of the others. The first entry names the end of the chain that it was taken from.
    """
    plane = ControlPlane.open(path)
    try:
        plane.write_now(lambda tx: _reduce(tx, organisation_id))
    finally:
        plane.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("VACUUM")  # pages that are free keep what was in them
        connection.execute("PRAGMA journal_mode = DELETE")


def _reduce(tx: Session, organisation_id: str) -> None:
    for shared in _SHARED:
        tx.execute(delete(shared))
    for owned in _OWNED:
        tx.execute(delete(owned).where(owned.organisation_id != organisation_id))
    tx.execute(delete(OrganisationRow).where(OrganisationRow.id != organisation_id))
    tx.execute(update(OrganisationRow).values(operates=True))  # it is alone there
    own = select(PipelineRow.id).where(PipelineRow.organisation_id == organisation_id)
    tx.execute(delete(ReceivedRow).where(ReceivedRow.pipeline_id.not_in(own)))
    others = or_(SettingRow.key.startswith("retention:"), SettingRow.key.startswith("retention-rounds:"))
    tx.execute(delete(SettingRow).where(others, ~SettingRow.key.endswith(f":{organisation_id}")))
    forget(tx, EVENTS_TODAY)
    _chain_anew(tx, organisation_id)


def _chain_anew(tx: Session, organisation_id: str) -> None:
    head = tx.scalar(select(AuditHeadRow))
    before = {"entries": head.sequence, "digest": head.digest} if head is not None else {}
    kept = [
        _deed(row)
        for row in tx.scalars(select(AuditRow).order_by(AuditRow.sequence))
        if _concerns(row, organisation_id)
    ]
    tx.execute(delete(AuditRow))
    tx.execute(delete(AuditHeadRow))
    tx.expire_all()
    first = audit.Deed(
        organisation_id=organisation_id, who="backup", action="organisation.restore", target=organisation_id,
        detail=before,
    )  # fmt: skip
    audit.record(tx, first, utc_now())
    for deed, at in kept:
        audit.record(tx, deed, at)


def _deed(row: AuditRow) -> tuple[audit.Deed, datetime]:
    deed = audit.Deed(
        organisation_id=row.organisation_id, who=row.who, action=row.action, target=row.target, detail=row.detail
    )
    return deed, row.at.astimezone(UTC)


def _concerns(row: AuditRow, organisation_id: str) -> bool:
    return row.organisation_id == organisation_id
