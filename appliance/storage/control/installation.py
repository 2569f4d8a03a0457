"""What the control plane remembers of the licence: who this installation is, what it was given, and events by day.

Kept where people and pipelines are, so that it goes along with them into backups and other databases, and so that all
nodes have one. Documents lie here as they were given and are proved again at each start.
"""

import secrets
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy.orm import Session

from appliance.domain.ids import OrganisationId
from appliance.storage.control.keeping import remember, remembered
from appliance.storage.control.plane import ControlPlane
from license import request

_INSTALLATION: Final = "installation"
_EVENTS: Final = "events.by_day"
EVENTS_TODAY: Final = "events.today"
_RANDOM_BYTES: Final = 8
DAYS_KEPT: Final = timedelta(days=31)


class Installation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``code``: its request code. ``license``, ``revocations``: documents, as text. ``seen_at``: the highest time."""

    code: str
    license: str | None = None
    installed_at: datetime | None = None
    installed_by: str | None = None
    revocations: str | None = None
    seen_at: datetime | None = None


def stored(tx: Session) -> Installation | None:
    """Return what is known of this installation; None: it has not been opened by a version that asks."""
    found = remembered(tx, _INSTALLATION)
    return None if found is None else msgspec.convert(found, Installation)


def keep(tx: Session, installation: Installation, now: datetime) -> None:
    """Remember ``installation`` instead of what was known."""
    remember(tx, _INSTALLATION, msgspec.to_builtins(installation), now)


def known(plane: ControlPlane, now: datetime) -> Installation:
    """Return this installation, given its name if it has none yet; blocking."""
    return plane.read_now(stored) or plane.write_now(lambda tx: _named(tx, now))


def _named(tx: Session, now: datetime) -> Installation:
    if (there := stored(tx)) is not None:  # another node was quicker
        return there
    made = Installation(code=request.code(secrets.token_bytes(_RANDOM_BYTES)))
    keep(tx, made, now)
    return made


def events_by_day(tx: Session) -> dict[date, int]:
    """Return how many events all nodes together have received on each of the last days, in UTC."""
    found = remembered(tx, _EVENTS) or {}
    return {date.fromisoformat(day): int(events) for day, events in found.items()}


def events_today(tx: Session, now: datetime) -> dict[str, int]:
    """Return how many events each organisation has received on this day (UTC), by id."""
    found = remembered(tx, EVENTS_TODAY) or {}
    return dict(found["organisations"]) if found.get("day") == now.date().isoformat() else {}


def add_events(tx: Session, events: Mapping[OrganisationId, int], now: datetime) -> None:
    """Count events of this day, of each organisation."""
    today = now.date()
    organisations = Counter(events_today(tx, now)) + Counter(events)
    remember(tx, EVENTS_TODAY, {"day": today.isoformat(), "organisations": dict(organisations)}, now)
    days = events_by_day(tx)
    days[today] = days.get(today, 0) + sum(events.values())
    kept = {day.isoformat(): count for day, count in days.items() if day > today - DAYS_KEPT}
    remember(tx, _EVENTS, kept, now)
