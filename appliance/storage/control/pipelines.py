"""Pipelines in the control plane: rows and their versions, always of one organisation."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from appliance.domain.pipeline import State
from appliance.errors import Conflict, NotFound
from appliance.storage.control.tables import PipelineRow, PipelineVersionRow

Saved = tuple[PipelineRow, PipelineVersionRow]


def find(tx: Session, organisation_id: str, pipeline_id: str) -> Saved:
    """Return a pipeline and its current version.

    Raises:
        NotFound: there is none, it is being deleted, or it belongs to somebody else.
    """
    row = tx.get(PipelineRow, pipeline_id)
    if row is None or row.organisation_id != organisation_id or row.state == State.DELETED.value:
        raise NotFound(f"there is no pipeline {pipeline_id!r}")
    return row, tx.get_one(PipelineVersionRow, (row.id, row.version))


def page(tx: Session, organisation_id: str, after_id: str, limit: int) -> list[Saved]:
    """Return up to ``limit`` pipelines with ids after ``after_id``, oldest first."""
    mine = (PipelineRow.organisation_id == organisation_id, PipelineRow.id > after_id)
    return _load(tx, *mine, PipelineRow.state != State.DELETED.value, limit=limit)


def everything(tx: Session) -> list[Saved]:
    """Return the pipelines of all organisations, those being deleted too: what is there when the program starts."""
    return _load(tx)


def _load(tx: Session, *conditions: Any, limit: int | None = None) -> list[Saved]:
    current = (PipelineVersionRow.pipeline_id == PipelineRow.id) & (PipelineVersionRow.version == PipelineRow.version)
    wanted = select(PipelineRow, PipelineVersionRow).join(PipelineVersionRow, current).where(*conditions)
    return [(row, saved) for row, saved in tx.execute(wanted.order_by(PipelineRow.id).limit(limit))]


def versions(tx: Session, pipeline_id: str) -> Sequence[PipelineVersionRow]:
    """Return every version, newest first."""
    wanted = select(PipelineVersionRow).where(PipelineVersionRow.pipeline_id == pipeline_id)
    return tx.scalars(wanted.order_by(PipelineVersionRow.version.desc())).all()


def check_name(tx: Session, organisation_id: str, name: str, own_id: str | None = None) -> None:
    """Return if no other pipeline of the organisation has this name.

    Raises:
        Conflict: one has.
    """
    taken = select(PipelineRow.id).where(PipelineRow.organisation_id == organisation_id, PipelineRow.live_name == name)
    if tx.scalar(taken) not in (None, own_id):
        raise Conflict(f"there is a pipeline named {name!r} already: choose another name")


def add_version(tx: Session, row: PipelineRow, definition: dict[str, Any], author: str, now: datetime) -> None:
    """Save ``definition`` as the pipeline's current ``version``."""
    tx.add(
        PipelineVersionRow(
            pipeline_id=row.id, version=row.version, definition=definition, author=author, created_at=now
        )
    )


def remove(tx: Session, pipeline_id: str) -> None:
    """Forget a pipeline and its versions; unknown: nothing happens."""
    tx.execute(delete(PipelineVersionRow).where(PipelineVersionRow.pipeline_id == pipeline_id))
    tx.execute(delete(PipelineRow).where(PipelineRow.id == pipeline_id))
