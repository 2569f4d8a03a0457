"""What is wrong with the appliance itself: conditions, and the incidents that they open and close."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

import msgspec

KEPT: Final = timedelta(days=30)  # of incidents that are over
MOST: Final = 500


class Severity(Enum):
    """How soon somebody has to act."""

    P0 = "P0"  # nothing is received: now
    P1 = "P1"  # something that was promised does not happen: within the hour
    P2 = "P2"  # it will come to that: today
    P3 = "P3"  # worth knowing: this week


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as it should be at this moment.

    ``key``: what it is about, so that it is recognised at the next look. ``page``: where the handbook says what to do.
    ``hold``: for how long it has to last before it is an incident.
    """

    key: str
    severity: Severity
    title: str
    message: str
    remedy: str
    page: str
    hold: timedelta = timedelta(0)


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """A condition that lasted. ``gone_at``: since when it has not been seen; ``closed_at``: when that was believed.

    ``muted``: it was not opened, because of maintenance; if it outlasts that, it is then.
    """

    id: str
    condition: Condition
    opened_at: datetime
    gone_at: datetime | None = None
    closed_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    muted: bool = False

    @property
    def open(self) -> bool:
        return self.closed_at is None


class Board(msgspec.Struct, frozen=True):
    """Incidents, oldest first, and since when conditions are seen that have not lasted long enough."""

    incidents: tuple[Incident, ...] = ()
    seen: Mapping[str, datetime] = {}


CALM: Final = timedelta(minutes=2)  # that a condition has to be gone: one that comes and goes stays one incident


def after(board: Board, conditions: Iterable[Condition], now: datetime, *, muted: bool = False) -> Board:
    """Return the board after a look that found ``conditions``. ``muted``: none opens; all are remembered."""
    found = {one.key: one for one in conditions}
    known = {one.condition.key for one in board.incidents if one.open}
    seen = {key: board.seen.get(key, now) for key in found if key not in known}
    ripe = [found[key] for key, since in seen.items() if now - since >= found[key].hold and not muted]
    opened = [
        Incident(id=f"inc_{now:%Y%m%d%H%M%S}_{number}", condition=one, opened_at=seen[one.key])
        for number, one in enumerate(ripe)
    ]
    kept = [_looked_at(one, found.get(one.condition.key), now) for one in board.incidents]
    kept = [one for one in kept if one.closed_at is None or now - one.closed_at < KEPT]
    waiting = {key: since for key, since in seen.items() if found[key] not in ripe}
    return Board(tuple([*kept, *opened][-MOST:]), waiting)


def kept_quiet(board: Board, conditions: Iterable[Condition], now: datetime) -> tuple[Incident, ...]:
    """Return what would be incidents, had they not been muted."""
    waiting = [(one, board.seen[one.key]) for one in conditions if one.key in board.seen]
    return tuple(
        Incident(id=f"muted:{one.key}", condition=one, opened_at=since, muted=True)
        for one, since in waiting
        if now - since >= one.hold
    )


def acknowledged(board: Board, incident_id: str, who: str, now: datetime) -> Board:
    """Return the board with one incident marked as known to ``who``; others stay as they are."""
    changed = [
        msgspec.structs.replace(one, acknowledged_at=now, acknowledged_by=who) if one.id == incident_id else one
        for one in board.incidents
    ]
    return Board(tuple(changed), board.seen)


def _looked_at(one: Incident, found: Condition | None, now: datetime) -> Incident:
    if not one.open:
        return one
    if found is not None:
        return msgspec.structs.replace(one, condition=found, gone_at=None)
    gone = one.gone_at or now
    return msgspec.structs.replace(one, gone_at=gone, closed_at=gone if now - gone >= CALM else None)
