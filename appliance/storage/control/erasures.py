"""Erasures in the control plane: one row each, with the whole erasure as a document."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.erasure import Erasure, ErasureState
from appliance.errors import NotFound
from appliance.storage.control.tables import ErasureRow


def save(tx: Session, erasure: Erasure) -> None:
    """Remember an erasure as it is now."""
    row = tx.get(ErasureRow, erasure.id)
    if row is None:
        row = ErasureRow(
            id=erasure.id,
            organisation_id=erasure.organisation_id,
            pipeline_id=erasure.pipelines[0],
            created_at=erasure.created_at,
        )
        tx.add(row)
    row.state, row.document = erasure.state.value, msgspec.to_builtins(erasure)


def load(tx: Session, erasure_id: str) -> Erasure | None:
    """Return an erasure of whatever organisation; None: there is none."""
    row = tx.get(ErasureRow, erasure_id)
    return None if row is None else msgspec.convert(row.document, Erasure)


def find(tx: Session, organisation_id: str, erasure_id: str) -> Erasure:
    """Return one erasure. Raises NotFound: none, or another organisation's."""
    row = tx.get(ErasureRow, erasure_id)
    if row is None or row.organisation_id != organisation_id:
        raise NotFound(f"there is no erasure {erasure_id!r}")
    return msgspec.convert(row.document, Erasure)


def under_way(tx: Session) -> Sequence[Erasure]:
    """Return the erasures of all organisations that have not ended, each row locked, oldest first."""
    ended = (ErasureState.FOUND.value, ErasureState.DONE.value)
    rows = tx.scalars(
        select(ErasureRow).where(ErasureRow.state.not_in(ended)).order_by(ErasureRow.id).with_for_update()
    )
    return [msgspec.convert(row.document, Erasure) for row in rows]


def page(tx: Session, organisation_id: str, before_id: str | None, limit: int) -> Sequence[Erasure]:
    """Return up to ``limit`` erasures, newest first."""
    wanted = select(ErasureRow).where(ErasureRow.organisation_id == organisation_id)
    if before_id is not None:
        wanted = wanted.where(ErasureRow.id < before_id)
    rows = tx.scalars(wanted.order_by(ErasureRow.id.desc()).limit(limit))
    return [msgspec.convert(row.document, Erasure) for row in rows]
