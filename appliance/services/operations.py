"""What an operator looks at: incidents, failures by kind, and the log; of the node that answers."""

from collections.abc import Iterable
from itertools import islice
from typing import Literal, Protocol

import msgspec

from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.incident import Incident
from appliance.errors import NotFound
from appliance.observe.log_book import Failure, Line, LogBook
from appliance.services.views import Page
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.plane import ControlPlane

Level = Literal["debug", "info", "warning", "error"]


class Watch(Protocol):
    """Who keeps the incidents of this node."""

    @property
    def book(self) -> LogBook: ...
    @property
    def incidents(self) -> Iterable[Incident]: ...
    @property
    def muted(self) -> Iterable[Incident]: ...
    def acknowledge(self, incident_id: str, who: str) -> Incident: ...


class LogQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``after``: only lines whose number is larger: what a reader has not seen yet."""

    level: Level = "info"
    search: str = ""
    after: int = 0
    limit: int = 200


MOST_LINES = 2_000


class Operations:
    """Nothing of it is an organisation's: it is the node's that answers, for those who run it."""

    def __init__(self, plane: ControlPlane, watch: Watch, clock: Clock = utc_now) -> None:
        self._plane, self._watch, self._clock = plane, watch, clock

    async def incidents(self, who: Principal, *, every: bool = False) -> Page[Incident]:
        """Return what is open, the gravest first, then what is muted; ``every``: then what was closed in the last 30
        days, newest first."""
        require(who, Action.OPERATIONS_READ)
        held = list(self._watch.incidents)
        found = sorted((one for one in held if one.open), key=lambda one: (one.condition.severity.value, one.opened_at))
        found += self._watch.muted
        if every:
            found += sorted((one for one in held if not one.open), key=lambda one: one.opened_at, reverse=True)
        return Page(found)

    async def acknowledge(self, who: Principal, incident_id: str) -> Incident:
        """Let everybody see that somebody knows of an incident. Raises NotFound."""
        require(who, Action.OPERATIONS_MANAGE)
        incident = self._watch.acknowledge(incident_id, who.name)
        await self._note(who, "incident.acknowledge", incident_id, title=incident.condition.title)
        return incident

    async def failures(self, who: Principal) -> Page[Failure]:
        """Return what went wrong, counted by kind, what happened last first."""
        require(who, Action.OPERATIONS_READ)
        return Page(self._watch.book.failures())

    async def forget_failure(self, who: Principal, key: str) -> None:
        """Count a kind of failure from nothing again. Raises NotFound."""
        require(who, Action.OPERATIONS_MANAGE)
        if not self._watch.book.forget(key):
            raise NotFound(f"there is no failure {key!r}: look at the list again")
        await self._note(who, "failure.forget", key)

    async def log(self, who: Principal, query: LogQuery) -> Page[Line]:
        """Return lines of the log that this process still has in memory, newest first."""
        require(who, Action.OPERATIONS_READ)
        lines = self._watch.book.lines(query.level, query.search, query.after)
        return Page(list(islice(lines, max(1, min(query.limit, MOST_LINES)))))

    async def _note(self, who: Principal, action: str, target: str, **detail: str) -> None:
        deed = Deed(
            organisation_id=who.organisation_id, who=who.name, action=action, target=target, detail=dict(detail)
        )
        await self._plane.write(lambda tx: record(tx, deed, self._clock()))
