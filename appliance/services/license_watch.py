"""What a running node does about the licence: learns of a new one, counts events, tells once a day, marks the time."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Final

import msgspec
import structlog
from sqlalchemy.orm import Session

from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.engine.bells import Bell, rung
from appliance.errors import DashError
from appliance.services.allowance import Allowance, counted
from appliance.services.license_views import at_a_glance
from appliance.storage.control import installation as store
from appliance.storage.control.plane import ControlPlane
from license.entitlements import Thing

LOOK_SECS: Final = 60.0
MARK_EVERY: Final = timedelta(hours=1)
NOBODY: Final = OrganisationId("")  # who had a pipeline that was deleted since

log = structlog.get_logger("license")

Received = Callable[[], Mapping[PipelineId, int]]
Owners = Callable[[], Mapping[PipelineId, OrganisationId]]


class LicenseWatch:
    """``received``: how many events this node has taken of each pipeline, ever; ``owners``: whose pipelines those are.
    Nothing waits for what is done here.

    Events are counted by what came in between two looks, so those of the last minute before a crash are not.
    """

    def __init__(
        self, plane: ControlPlane, allowance: Allowance, received: Received, owners: Owners, clock: Clock = utc_now
    ) -> None:  # fmt: skip
        self._plane, self._allowance, self._received, self._clock = plane, allowance, received, clock
        self._owners = owners
        self._before = dict(received())
        self._told_on: date | None = None

    async def run(self, bell: Bell) -> None:
        """Look every minute, and when another document was installed; ends by cancellation."""
        while True:
            await self.look()
            await rung(bell, LOOK_SECS)

    async def look(self) -> None:
        """Look once; whatever is wrong with the control plane is others' to tell, and the next look's to make up."""
        now, events = self._clock(), dict(self._received())
        new = self._since(events)
        try:
            if new or self._marks(now):
                await self._plane.write(lambda tx: self._note(tx, new, now))
            self._before |= events
            self._allowance.used = await self._plane.read(lambda tx: self._seen(tx, now))
        except DashError as error:
            log.debug("license.not_looked_at", error=str(error))
        self._tell(now)

    def _since(self, events: Mapping[PipelineId, int]) -> Counter[OrganisationId]:
        """Return how many events more than before each organisation has received; none of those that have not."""
        owners = self._owners()
        new: Counter[OrganisationId] = Counter()
        for one, count in events.items():
            new[owners.get(one, NOBODY)] += max(0, count - self._before.get(one, count))
        return +new

    def _marks(self, now: datetime) -> bool:
        seen = self._allowance.held.installation.seen_at
        return seen is None or now >= seen + MARK_EVERY

    def _note(self, tx: Session, new: Counter[OrganisationId], now: datetime) -> None:
        if new:
            store.add_events(tx, new, now)
        known = store.stored(tx)
        if known is not None and (known.seen_at is None or now >= known.seen_at + MARK_EVERY):
            store.keep(tx, msgspec.structs.replace(known, seen_at=now), now)

    def _seen(self, tx: Session, now: datetime) -> dict[Thing, int]:
        if (known := store.stored(tx)) is not None:
            self._allowance.learn(known)
        return {thing: counted(tx, thing, now) for thing in Thing}

    def _tell(self, now: datetime) -> None:
        """Log what a person should know, once a day."""
        if now.date() == self._told_on:
            return
        self._told_on = now.date()
        for one in at_a_glance(self._allowance):
            log.warning(f"license.{one.code}", told=one.message, remedy=one.remedy)
