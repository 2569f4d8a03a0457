"""Maintenance mode of the whole installation: begun and ended by administrators, known to every node, over restarts."""

from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Final

import msgspec
import structlog
from msgspec import Meta
from sqlalchemy.orm import Session

from appliance.domain.access import Action, Held, Principal, may, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.maintenance import Maintenance
from appliance.engine.bells import Bell, rung
from appliance.errors import DashError, Invalid, Problem
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.keeping import forget, remember, remembered
from appliance.storage.control.plane import ControlPlane

KEY: Final = "maintenance"
LOOK_SECS: Final = 5.0  # at the latest: a bell tells other nodes at once
LONGEST: Final = timedelta(days=30)
_UNKNOWN_END_SECS: Final = 300.0  # when to ask again while nobody has said when it ends
_MOST_SECS: Final = 3_600.0

log = structlog.get_logger("maintenance")


class MaintenanceRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an administrator asks for. ``until``: RFC 3339 with an offset; without it, it lasts until it is ended."""

    message: Annotated[
        str, Meta(description="What everybody is told", examples=["The database moves to a new machine"])
    ]
    until: Annotated[datetime | None, Meta(description="When it ends by itself")] = None


class MaintenanceView(msgspec.Struct, frozen=True, kw_only=True):
    """``told``: the sentence that everybody sees; None like the rest while there is none."""

    on: bool
    told: str | None = None
    message: str | None = None
    by: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Maintenances:
    """What is in force is in memory, so that asking costs nothing; ``run`` keeps it as the control plane has it."""

    def __init__(self, plane: ControlPlane, clock: Clock = utc_now) -> None:
        self._plane, self._clock = plane, clock
        self._known: Maintenance | None = None
        self.bell = Bell()

    def now(self) -> Maintenance | None:
        """Return what is in force at this moment."""
        known = self._known
        return None if known is None or known.over(self._clock()) else known

    @property
    def on(self) -> bool:
        return self.now() is not None

    def told(self) -> str | None:
        """Return the sentence for everybody; None: there is no maintenance."""
        known = self.now()
        return None if known is None else known.told()

    def judged(self, who: Principal | None) -> Principal | None:
        """Return ``who`` as they are at this moment: held, unless they administer the appliance or there is nothing."""
        known = self.now()
        if who is None or known is None or may(who, Action.OPERATIONS_MANAGE):
            return who
        left = (known.until - self._clock()).total_seconds() if known.until is not None else _UNKNOWN_END_SECS
        return msgspec.structs.replace(who, held=Held(known.told(), min(max(1.0, left), _MOST_SECS)))

    async def get(self, who: Principal) -> MaintenanceView:
        """Return what is in force; anybody who is signed in may know."""
        require(who, Action.DATA_READ)
        return _view(self.now(), who)

    async def begin(self, who: Principal, asked: MaintenanceRequest) -> MaintenanceView:
        """Begin it, or say something else about one that is on. Raises Invalid: with every problem."""
        require(who, Action.OPERATIONS_MANAGE)
        now = self._clock()
        if problems := _problems(asked, now):
            raise Invalid(problems)
        before = self.now()
        found = Maintenance(
            message=asked.message.strip(), by=who.name, since=before.since if before is not None else now,
            organisation_id=who.organisation_id, until=asked.until,
        )  # fmt: skip
        until = None if found.until is None else found.until.isoformat()
        deed = _deed(who.organisation_id, who.name, "maintenance.begin", message=found.message, until=until)

        def save(tx: Session) -> None:
            remember(tx, KEY, msgspec.to_builtins(found), now)
            record(tx, deed, now)

        await self._plane.write(save)
        self._take(found)
        self.bell.ring()
        return _view(found, who)

    async def end(self, who: Principal) -> None:
        """End it; without one nothing happens."""
        require(who, Action.OPERATIONS_MANAGE)
        await self._plane.write(lambda tx: self._end(tx, who.organisation_id, who.name, None))
        self._take(None)
        self.bell.ring()

    async def look(self) -> None:
        """Take over what the control plane has; one that has ended by itself is removed there."""
        found = await self._plane.read(_stored)
        if found is not None and found.over(self._clock()):
            await self._plane.write(partial(self._end, organisation_id=found.organisation_id, who="dash", only=found))
            found = None
        self._take(found)

    async def run(self) -> None:
        """Look on; returns only by cancellation. While the control plane is away, what was known last holds."""
        while True:
            await rung(self.bell, LOOK_SECS)
            try:
                await self.look()
            except DashError as error:
                log.debug("maintenance.not_looked", error=str(error))

    def _end(self, tx: Session, organisation_id: str, who: str, only: Maintenance | None) -> None:
        """``only``: this very one; another node may have removed it, or somebody begun another."""
        stored = _stored(tx)
        if stored is None or (only is not None and stored != only):
            return
        forget(tx, KEY)
        record(tx, _deed(organisation_id, who, "maintenance.end", message=stored.message), self._clock())

    def _take(self, found: Maintenance | None) -> None:
        if found == self._known:
            return
        if found is not None:
            log.warning("maintenance.on", told=found.told(), by=found.by)
        else:
            log.info("maintenance.off")
        self._known = found


def _stored(tx: Session) -> Maintenance | None:
    value = remembered(tx, KEY)
    return None if value is None else msgspec.convert(value, Maintenance)


def _problems(asked: MaintenanceRequest, now: datetime) -> list[Problem]:
    problems = []
    if not 1 <= len(asked.message.strip()) <= 500 or not asked.message.strip().isprintable():
        problems.append(Problem("/message", "expected one line of 1 to 500 characters: what everybody is told"))
    if asked.until is not None and asked.until.tzinfo is None:
        problems.append(Problem("/until", "expected an instant with an offset, such as 2026-05-01T22:00:00Z"))
    elif asked.until is not None and not now < asked.until <= now + LONGEST:
        problems.append(
            Problem("/until", "expected an instant in the next 30 days", hint="leave it out: ended by hand")
        )
    return problems


def _view(found: Maintenance | None, who: Principal) -> MaintenanceView:
    """Who began it has a name for their own organisation only."""
    if found is None:
        return MaintenanceView(on=False)
    by = found.by if found.organisation_id == who.organisation_id else "an administrator"
    return MaintenanceView(
        on=True, told=found.told(), message=found.message, by=by, since=found.since, until=found.until
    )


def _deed(organisation_id: str, who: str, action: str, **detail: str | None) -> Deed:
    return Deed(organisation_id=organisation_id, who=who, action=action, target="installation", detail=dict(detail))
