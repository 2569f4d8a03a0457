"""How long an organisation keeps its data where a pipeline says nothing else, and what the last rounds removed."""

from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy.orm import Session

from appliance.components.lint import lint
from appliance.components.upkeep import Compacted
from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.pipeline import Retention
from appliance.errors import Invalid, NotFound
from appliance.services.definitions import lint_retention
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.keeping import remember, remembered
from appliance.storage.control.plane import ControlPlane

ROUNDS_KEPT: Final = 50


class PipelineRound(msgspec.Struct, frozen=True, kw_only=True):
    """What one round removed of one pipeline. ``held_back``: why something that is old enough stays; None: nothing."""

    pipeline_id: PipelineId
    events: int = 0
    segments: int = 0
    bytes_freed: int = 0
    rows: int = 0
    held_back: str | None = None
    error: str | None = None

    @property
    def worth_telling(self) -> bool:
        return bool(self.events or self.rows or self.held_back or self.error)


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One round of retention. ``pipelines``: those of which something was removed, or could not be.

    ``compacted``: the file of the rows was written anew without its free blocks; ``postponed``: why it was not, though
    that would be worth it. ``arranged``: chunks of rows that were put into columns.
    """

    at: datetime
    took_secs: float
    events: int
    rows: int
    bytes_freed: int
    pipelines: list[PipelineRound]
    compacted: Compacted | None = None
    postponed: str | None = None
    arranged: int = 0


class Rounds(msgspec.Struct, frozen=True):
    """Newest first."""

    rounds: list[Round] = []


def default_retention(tx: Session, organisation_id: str) -> Retention:
    """Return what an organisation says; nothing said: for ever."""
    return msgspec.convert(remembered(tx, f"retention:{organisation_id}") or {}, Retention)


def rounds(tx: Session, organisation_id: str) -> list[Round]:
    """Return the last rounds that removed something, and the last one in any case, newest first."""
    return msgspec.convert(remembered(tx, f"retention-rounds:{organisation_id}") or {}, Rounds).rounds


def note_round(tx: Session, organisation_id: str, done: Round) -> None:
    """Remember a round; one before it that had nothing to do is forgotten."""
    before = [one for one in rounds(tx, organisation_id) if one.events or one.rows or one.compacted]
    kept = Rounds([done, *before][:ROUNDS_KEPT])
    remember(tx, f"retention-rounds:{organisation_id}", msgspec.to_builtins(kept), done.at)


class RetentionRules:
    """The organisation's own, changed by its administrators."""

    def __init__(self, plane: ControlPlane, clock: Clock = utc_now) -> None:
        self._plane, self._clock = plane, clock

    async def get(self, who: Principal, organisation_id: OrganisationId) -> Retention:
        """Return the defaults. Raises NotFound: another organisation's."""
        require(who, Action.PIPELINE_READ)
        _own(who, organisation_id)
        return await self._plane.read(lambda tx: default_retention(tx, organisation_id))

    async def put(self, who: Principal, organisation_id: OrganisationId, document: Any) -> Retention:
        """Replace the defaults; they count from the next round on.

        Raises:
            NotFound: another organisation's.
            Invalid: with every problem.
        """
        require(who, Action.STORAGE_MANAGE)
        _own(who, organisation_id)
        if problems := lint(Retention, document) + lint_retention(document, ""):
            raise Invalid(problems)
        wanted = msgspec.convert(document, Retention)
        await self._plane.write(lambda tx: self._save(tx, who, wanted))
        return wanted

    async def rounds(self, who: Principal) -> list[Round]:
        """Return the last rounds, newest first."""
        require(who, Action.DATA_READ)
        return await self._plane.read(lambda tx: rounds(tx, who.organisation_id))

    def _save(self, tx: Session, who: Principal, wanted: Retention) -> None:
        now, value = self._clock(), msgspec.to_builtins(wanted)
        remember(tx, f"retention:{who.organisation_id}", value, now)
        deed = Deed(
            organisation_id=who.organisation_id, who=who.name, action="organisation.retention",
            target=who.organisation_id, detail=value,
        )  # fmt: skip
        record(tx, deed, now)


def _own(who: Principal, organisation_id: OrganisationId) -> None:
    if organisation_id != who.organisation_id:
        raise NotFound(f"there is no organisation {organisation_id!r}")
