"""Pipelines in the control plane: rows and their versions, always of one organisation."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import delete, func, select
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


def sources(tx: Session, organisation_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return id, name and source (secrets sealed) of every pipeline of the organisation, oldest first."""
    mine = (PipelineRow.organisation_id == organisation_id, PipelineRow.state != State.DELETED.value)
    return [(row.id, str(row.live_name), saved.definition["source"]) for row, saved in _load(tx, *mine)]


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


class Edition(msgspec.Struct, frozen=True, kw_only=True):
    """A version to be saved; ``definition``: its document, secrets sealed."""

    version: int
    definition: dict[str, Any]
    author: str
    at: datetime
    note: str | None = None


def add_version(tx: Session, pipeline_id: str, edition: Edition) -> None:
    """Save ``edition``; whether it runs is for the pipeline's own ``version`` to say."""
    tx.add(
        PipelineVersionRow(
            pipeline_id=pipeline_id,
            version=edition.version,
            definition=edition.definition,
            author=edition.author,
            created_at=edition.at,
            note=edition.note,
        )
    )


def version(tx: Session, pipeline_id: str, number: int) -> PipelineVersionRow:
    """Return one version.

    Raises:
        NotFound: there is none of that number.
    """
    row = tx.get(PipelineVersionRow, (pipeline_id, number)) if 0 < number < 2**31 else None
    if row is None:
        raise NotFound(f"pipeline {pipeline_id!r} has no version {number}")
    return row


def next_version(tx: Session, pipeline_id: str) -> int:
    """Return the number after the highest that was ever saved, candidates included."""
    highest = select(func.max(PipelineVersionRow.version)).where(PipelineVersionRow.pipeline_id == pipeline_id)
    return (tx.scalar(highest) or 0) + 1


def remove(tx: Session, pipeline_id: str) -> None:
    """Forget a pipeline and its versions; unknown: nothing happens."""
    tx.execute(delete(PipelineVersionRow).where(PipelineVersionRow.pipeline_id == pipeline_id))
    tx.execute(delete(PipelineRow).where(PipelineRow.id == pipeline_id))
