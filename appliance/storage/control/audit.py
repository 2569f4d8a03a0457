"""The audit trail: a chain of entries, each covering the one before it, written in the transaction it tells about."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.storage.control.tables import AuditHeadRow, AuditRow

GENESIS: Final = "0" * 64
_HEAD: Final = 1


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """What happened. ``target``: the id or name of the thing; ``detail`` never holds a secret."""

    organisation_id: str | None
    who: str
    action: str  # noun.verb
    target: str
    detail: dict[str, Any] = {}


def record(tx: Session, deed: Deed, at: datetime) -> None:
    """Append ``deed`` to the chain."""
    head = tx.get(AuditHeadRow, _HEAD, with_for_update=True)
    if head is None:
        head = AuditHeadRow(id=_HEAD, sequence=0, digest=GENESIS)
        tx.add(head)
    row = AuditRow(
        sequence=head.sequence + 1,
        organisation_id=deed.organisation_id,
        at=at,
        who=deed.who,
        action=deed.action,
        target=deed.target,
        detail=deed.detail,
        previous=head.digest,
        digest="",
    )
    row.digest = _digest(row)
    tx.add(row)
    head.sequence, head.digest = row.sequence, row.digest


def last(tx: Session) -> AuditRow | None:
    """Return the newest entry; None: there is none."""
    return tx.scalars(select(AuditRow).order_by(AuditRow.sequence.desc()).limit(1)).first()


def head(tx: Session) -> str:
    """Return the digest that the next entry will follow."""
    found = tx.get(AuditHeadRow, _HEAD)
    return GENESIS if found is None else found.digest


def verify(tx: Session) -> Iterator[str]:
    """Walk the whole chain and yield what is wrong with it, one sentence each; nothing: it is as it was written."""
    expected, previous = 1, GENESIS
    for row in tx.scalars(select(AuditRow).order_by(AuditRow.sequence).execution_options(yield_per=1000)):
        if row.sequence != expected:
            yield f"audit entries {expected} to {row.sequence - 1} are missing"
        elif row.previous != previous:
            yield f"audit entry {row.sequence} does not follow the one before it"
        if _digest(row) != row.digest:
            yield f"audit entry {row.sequence} was changed after it was written"
        expected, previous = row.sequence + 1, row.digest
    head = tx.get(AuditHeadRow, _HEAD)
    end = (head.sequence, head.digest) if head else (0, GENESIS)
    if end != (expected - 1, previous):
        yield f"the audit trail ends at entry {expected - 1} and should end at {end[0]}"


def _digest(row: AuditRow) -> str:
    content = [
        row.previous,
        row.sequence,
        row.organisation_id,
        round(row.at.timestamp() * 1_000_000),
        row.who,
        row.action,
        row.target,
        row.detail,
    ]
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()
