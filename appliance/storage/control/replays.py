"""Replays in the control plane: one row each, with the whole replay as a document."""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.replay import UNFINISHED, Replay, ReplayState, Told, Wish
from appliance.errors import Conflict, NotFound
from appliance.storage.control.tables import PipelineRow, ReplayRow


def add(tx: Session, replay: Replay) -> None:
    """Remember a new replay.

    Raises:
        Conflict: the pipeline has one that is not finished.
    """
    unfinished = [state.value for state in UNFINISHED]
    mine = select(ReplayRow.id).where(ReplayRow.pipeline_id == replay.pipeline_id, ReplayRow.state.in_(unfinished))
    if (other := tx.scalar(mine)) is not None:
        raise Conflict(f"the replay {other!r} of this pipeline is not finished: cancel it, or wait for its end")
    row = ReplayRow(id=replay.id, organisation_id=replay.organisation_id, pipeline_id=replay.pipeline_id)
    row.state, row.document, row.created_at = replay.state.value, msgspec.to_builtins(replay), replay.created_at
    tx.add(row)


def save(tx: Session, replay: Replay) -> None:
    """Remember a replay as it is now.

    What others wish of it, and what they were told, stays as it is here while it is of use.

    Raises:
        NotFound: its pipeline has been deleted, and it with it.
        Conflict: that does not follow from what is remembered; somebody else carried it on.
    """
    known = _remembered(tx, replay)
    if replay.state is not known.state:
        known.to(replay.state)
    lasting = replay.unfinished or (replay.state is known.state and known.wish is Wish.UNDO)
    wish, told = (known.wish, known.told) if lasting else (None, None)
    _write(tx, msgspec.structs.replace(replay, wish=wish, told=told))


def ask(tx: Session, replay: Replay, wish: Wish | None) -> None:
    """Remember what somebody wishes of a replay, None: that it was heard.

    Raises:
        NotFound: as ``save``.
        Conflict: it is not in a state any more in which that could be done.
    """
    known = _remembered(tx, replay)
    possible = known.state is ReplayState.SWAPPED if wish is Wish.UNDO else known.unfinished
    if wish is not None and not possible:
        raise Conflict(f"replay {known.id!r} is {known.state.value} by now: look at it again")
    _write(tx, msgspec.structs.replace(known, wish=wish))


def tell(tx: Session, replay: Replay, told: Told) -> None:
    """Remember what is told of a replay under way. Raises NotFound."""
    _write(tx, msgspec.structs.replace(_remembered(tx, replay), told=told))


def _remembered(tx: Session, replay: Replay) -> Replay:
    row = tx.get(ReplayRow, replay.id)
    if row is None:
        raise NotFound(f"there is no replay {replay.id!r} any more: its pipeline was deleted")
    return _replay(row)


def _write(tx: Session, replay: Replay) -> None:
    row = tx.get_one(ReplayRow, replay.id)
    row.state, row.document = replay.state.value, msgspec.to_builtins(replay)


def find(tx: Session, organisation_id: str, replay_id: str, pipeline_id: str | None = None) -> Replay:
    """Return one replay. Raises NotFound: none, or of another organisation or pipeline."""
    row = tx.get(ReplayRow, replay_id)
    if row is None or row.organisation_id != organisation_id or pipeline_id not in (None, row.pipeline_id):
        raise NotFound(f"there is no replay {replay_id!r}")
    return _replay(row)


def page(
    tx: Session, organisation_id: str, pipeline_id: str | None, before_id: str | None, limit: int
) -> Sequence[Replay]:
    """Return up to ``limit`` replays, newest first, of one pipeline or of all."""
    wanted = select(ReplayRow).where(ReplayRow.organisation_id == organisation_id)
    if pipeline_id is not None:
        wanted = wanted.where(ReplayRow.pipeline_id == pipeline_id)
    if before_id is not None:
        wanted = wanted.where(ReplayRow.id < before_id)
    return [_replay(row) for row in tx.scalars(wanted.order_by(ReplayRow.id.desc()).limit(limit))]


def in_states(tx: Session, states: Collection[ReplayState]) -> list[Replay]:
    """Return the replays of all organisations in one of ``states``, oldest first."""
    wanted = select(ReplayRow).where(ReplayRow.state.in_([state.value for state in states]))
    return [_replay(row) for row in tx.scalars(wanted.order_by(ReplayRow.created_at, ReplayRow.id))]


def adopt(tx: Session, pipeline_id: str, version: int, name: str, now: datetime) -> None:
    """Make ``version``, saved before, the pipeline's own. Raises NotFound: the pipeline has been deleted."""
    row = tx.get(PipelineRow, pipeline_id)
    if row is None or row.live_name is None:
        raise NotFound(f"there is no pipeline {pipeline_id!r}")
    row.version, row.live_name, row.updated_at = version, name, now


def _replay(row: ReplayRow) -> Replay:
    return msgspec.convert(row.document, Replay)
