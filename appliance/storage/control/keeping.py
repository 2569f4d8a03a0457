"""Small things that are remembered by name, and what the data occupied over time."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from appliance.storage.control.tables import SettingRow, UsageRow


def remembered(tx: Session, key: str) -> dict[str, Any] | None:
    """Return what was remembered under ``key``; None: nothing was."""
    row = tx.get(SettingRow, key)
    return None if row is None else row.value


def remember(tx: Session, key: str, value: dict[str, Any], now: datetime) -> None:
    """Remember ``value`` under ``key``, instead of what was there."""
    row = tx.get(SettingRow, key)
    if row is None:
        tx.add(SettingRow(key=key, value=value, updated_at=now))
    else:
        row.value, row.updated_at = value, now


def forget(tx: Session, key: str) -> None:
    """Remember nothing under ``key`` any more."""
    tx.execute(delete(SettingRow).where(SettingRow.key == key))


def add_usage(tx: Session, at: datetime, document: dict[str, Any]) -> None:
    """Keep what the data occupied at ``at``; one sample for one instant."""
    tx.merge(UsageRow(at=at, document=document))


def usage(tx: Session, since: datetime) -> list[tuple[datetime, dict[str, Any]]]:
    """Return the samples since then, oldest first."""
    wanted = select(UsageRow).where(UsageRow.at >= since).order_by(UsageRow.at)
    return [(row.at, row.document) for row in tx.scalars(wanted)]


def forget_usage(tx: Session, before: datetime) -> None:
    """Remove older samples."""
    tx.execute(delete(UsageRow).where(UsageRow.at < before))
