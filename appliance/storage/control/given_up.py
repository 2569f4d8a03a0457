"""Events of which somebody said that their rows may be lost: Bronze has them no more, and no store has their rows."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from appliance.domain.ids import PipelineId
from appliance.storage.control import audit
from appliance.storage.control.audit import Deed
from appliance.storage.control.keeping import remember, remembered

_GIVEN_UP: Final = "rows.given_up"


def given_up(tx: Session) -> dict[PipelineId, int]:
    """Return, by pipeline, the last event of those given up."""
    return {PipelineId(one): int(seq) for one, seq in (remembered(tx, _GIVEN_UP) or {}).items()}


def give_up(tx: Session, lost: Mapping[PipelineId, int], now: datetime) -> None:
    """Give up the events of each pipeline up to the one named, and put it down in the audit trail."""
    remember(tx, _GIVEN_UP, {str(one): seq for one, seq in (given_up(tx) | dict(lost)).items()}, now)
    for pipeline_id, seq in lost.items():
        deed = Deed(organisation_id=None, who="operator", action="rows.give_up", target=f"{pipeline_id} up to {seq}")
        audit.record(tx, deed, now)
