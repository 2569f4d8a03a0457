"""What the licence allows at this moment: asked before something new is saved, and by nothing that runs."""

from collections import Counter
from datetime import date, datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import NodeId
from appliance.domain.node import NodeState
from appliance.domain.pipeline import State
from appliance.errors import Unlicensed
from appliance.storage.control import installation as record
from appliance.storage.control import nodes, partitions
from appliance.storage.control.installation import Installation
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import NodeRow, OrganisationRow, PipelineRow, UserRow
from license import verify
from license.document import Feature, License, Revocations
from license.entitlements import COMMUNITY, Entitlements, Thing, entitled
from license.errors import LicenseError
from license.keys import KeyRing
from license.standing import Outlook, outlook
from license.verify import Here

CLOCK_SLACK: Final = timedelta(hours=1)  # clocks of several nodes differ, and the mark is as coarse as that
_WHERE: Final = "on the page Licence, or by 'dash-appliance license install FILE'"
_INSTALL: Final = f"install a licence {_WHERE}"
_INSTEAD: Final = {
    Thing.ORGANISATIONS: "what is there runs on",
    Thing.USERS: "who is there stays; disable somebody who is not needed any more",
    Thing.PIPELINES: "what runs, runs on; delete one that is not needed any more",
    Thing.NODES: "those that run, run on; stop one of them",
    Thing.EVENTS_PER_DAY: "all of them were taken, and receiving goes on; wait until two days in a row are below that",
}


class Held(msgspec.Struct, frozen=True):
    """What is installed, proved. ``trouble``: why the document that is installed does not count."""

    installation: Installation
    license: License | None = None
    revocations: Revocations | None = None
    trouble: LicenseError | None = None


class Allowed(msgspec.Struct, frozen=True):
    """What follows from what is held, on a day (UTC)."""

    today: date
    outlook: Outlook
    entitlements: Entitlements


class Allowance:
    """One for a process. Knows what was installed as of ``load``, and asks the control plane again before it refuses.

    ``ring``: the keys whose signatures count.
    """

    def __init__(self, plane: ControlPlane, ring: KeyRing, clock: Clock = utc_now) -> None:
        self._plane, self.ring, self._clock = plane, ring, clock
        self.refused: Counter[Thing | Feature] = Counter()
        self.used: dict[Thing, int] = {}  # as a running node counted a minute ago, for those who must not wait
        self.held = Held(Installation(code=""))
        self._now = self.on(clock().date())

    def load(self) -> None:
        """Learn what is installed; blocking. An installation without a name is given one."""
        self.learn(record.known(self._plane, self._clock()))

    def now(self) -> Allowed:
        """Return what is allowed now. Some microseconds: made once a day, and when something else is installed."""
        today = self._clock().date()
        if self._now.today != today:
            self._now = self.on(today)
        return self._now

    def on(self, day: date) -> Allowed:
        """Return what would be allowed on ``day``."""
        return self.of(self.held, day)

    def of(self, held: Held, day: date) -> Allowed:
        """Return what would be allowed on ``day`` if ``held`` were installed."""
        found = outlook(held.license, day)
        return Allowed(day, found, entitled(held.license, found.standing))

    def maintained_to(self) -> date | None:
        """Return the last day whose releases are covered; None: there is no licence, and every release is."""
        return self.held.license.maintenance_to if self.held.license is not None else None

    def clock_set_back(self) -> bool:
        """Return whether the clock is behind what it showed before. That warns, and locks nothing."""
        seen = self.held.installation.seen_at
        return self.held.license is not None and seen is not None and self._clock() < seen - CLOCK_SLACK

    def check(self, tx: Session, thing: Thing) -> None:
        """Return if there may be one more of ``thing``; ``tx``: the transaction that is to save it.

        Raises:
            Unlicensed: there may not; the message names the limit.
        """
        if (refusal := self.refusal(tx, thing)) is None:
            return
        self.refused[thing] += 1
        raise Unlicensed(refusal)

    def allows(self, tx: Session, feature: Feature) -> None:
        """Return if ``feature`` may be set or changed; ``tx``: the transaction that is to save it.

        Raises:
            Unlicensed: it may not; what was set stays, and may be taken away.
        """
        if (refusal := self.locked(tx, feature)) is None:
            return
        self.refused[feature] += 1
        raise Unlicensed(refusal)

    def locked(self, tx: Session, feature: Feature) -> str | None:
        """Return why ``feature`` may not be set or changed, and what to do; None: it may."""
        if not self.now().entitlements.allows(feature) and (stored := record.stored(tx)) is not None:
            self.learn(stored)  # another node may have installed something since
        entitlements = self.now().entitlements
        if entitlements.allows(feature):
            return None
        named = feature.value.replace("_", " ")
        return (
            f"{entitlements.by} has no {named}: what was set stays and may be taken away; to set or change it, "
            f"install a licence that names {feature.value} {_WHERE}"
        )

    def refusal(self, tx: Session, thing: Thing) -> str | None:
        """Return why there may not be one more, and what to do; None: there may.

        More events than are allowed keep only pipelines above Community from being made.
        """
        found = self._refusal(tx, thing)
        if (
            found is None
            and thing is Thing.PIPELINES
            and self.now().entitlements.limit(Thing.EVENTS_PER_DAY) is not None
        ):
            room = Entitlements(COMMUNITY).refusal(thing, counted(tx, thing, self._clock())) is None
            return None if room else self._refusal(tx, Thing.EVENTS_PER_DAY)
        return found

    def _refusal(self, tx: Session, thing: Thing) -> str | None:
        if self.now().entitlements.limit(thing) is None:
            return None
        there = counted(tx, thing, self._clock())
        if self.now().entitlements.refusal(thing, there) is None:
            return None
        if (stored := record.stored(tx)) is not None:  # another node may have installed something since
            self.learn(stored)
        refusal = self.now().entitlements.refusal(thing, there)
        return None if refusal is None else f"{refusal}: {_INSTEAD[thing]}, or {_INSTALL}"

    def admit(self, tx: Session, node_id: NodeId) -> None:
        """Return if this node may take part: it did before, or there is room for one more. Raises Unlicensed."""
        if tx.get(NodeRow, node_id) is None and partitions.given(tx, node_id) is None:
            self.check(tx, Thing.NODES)

    def learn(self, installation: Installation) -> None:
        """Believe what is stored from now on."""
        if installation != self.held.installation:
            self.held = proved(installation, self.ring, self._clock().date())
            self._now = self.on(self._clock().date())


def proved(installation: Installation, ring: KeyRing, today: date) -> Held:
    """Return what counts of what is installed: signatures are looked at again, whoever may have written it.

    A revocation list that cannot be read any more is told of, and takes no licence away.
    """
    listed, license, trouble = None, None, None
    try:
        if installation.revocations is not None:
            listed = verify.revocations(installation.revocations, ring)
    except LicenseError as error:
        trouble = error
    try:
        if installation.license is not None:
            license = verify.held(installation.license, ring, here(installation, listed, today))
    except LicenseError as error:
        trouble = error
    return Held(installation, license, listed, trouble)


def here(installation: Installation, listed: Revocations | None, today: date) -> Here:
    """Return what a licence has to fit to count here today."""
    return Here(installation.code, today, frozenset(listed.licenses if listed is not None else ()))


def counted(tx: Session, thing: Thing, now: datetime) -> int:
    """Return how many there are that a limit speaks of, of all organisations.

    Events: of today, or of yesterday where those were more, so that nothing changes at midnight.
    """
    match thing:
        case Thing.ORGANISATIONS:
            return tx.scalar(select(func.count()).select_from(OrganisationRow)) or 0
        case Thing.USERS:
            return tx.scalar(select(func.count()).where(UserRow.disabled_at.is_(None))) or 0
        case Thing.PIPELINES:
            return tx.scalar(select(func.count()).where(PipelineRow.state != State.DELETED.value)) or 0
        case Thing.NODES:
            return sum(one.state is not NodeState.GONE for one in nodes.all_nodes(tx, lambda: now))
        case Thing.EVENTS_PER_DAY:
            days = record.events_by_day(tx)
            return max(days.get(now.date(), 0), days.get(now.date() - timedelta(days=1), 0))
