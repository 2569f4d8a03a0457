"""The licence of this installation: shown, tried, installed, and what there is to ask for one with."""

from collections.abc import Callable
from datetime import date
from typing import Any, Final

import msgspec
from sqlalchemy.orm import Session

from appliance.domain.access import Action, Principal, may, require
from appliance.domain.clock import Clock, utc_now
from appliance.engine.bells import Bell
from appliance.errors import Invalid, Problem, TransientError
from appliance.services.allowance import Allowance, Held, counted, here, proved
from appliance.services.license_views import LicenseView, PreviewView, Warned, at_a_glance, changes, seen_by, view
from appliance.storage.control import installation as store
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.installation import Installation
from appliance.storage.control.plane import ControlPlane
from license import verify
from license.document import Revocations
from license.entitlements import Thing
from license.errors import LicenseError

LIST: Final = "-----BEGIN DASH REVOCATIONS-----"


class RequestView(msgspec.Struct, frozen=True):
    """What to send to whoever issues licences: 16 characters, as they are read out on the telephone."""

    code: str


class Refused(Invalid):
    """A document is not accepted: ``reason`` says which of the ways in which one may not be."""

    def __init__(self, error: LicenseError, pointer: str = "/document") -> None:
        self.reason = type(error).__name__
        super().__init__([Problem(pointer, f"it is not accepted: {error}", hint=error.remedy)])


class Licenses:
    """``bell``: rung when another document is in force, so that the other nodes learn of it."""

    def __init__(self, plane: ControlPlane, allowance: Allowance, clock: Clock = utc_now) -> None:
        self._plane, self._allowance, self._clock = plane, allowance, clock
        self.bell = Bell()

    async def show(self, who: Principal) -> LicenseView:
        """Return what is in force."""
        require(who, Action.LICENSE_READ)
        return seen_by(who, await self._plane.read(self._view))

    async def request(self, who: Principal) -> RequestView:
        """Return the request code, which names this installation."""
        require(who, Action.LICENSE_REQUEST)
        return RequestView(self._allowance.held.installation.code)

    async def simulate(self, who: Principal, day: date) -> LicenseView:
        """Return what would be in force on ``day`` with what is installed and what there is now."""
        require(who, Action.LICENSE_READ)
        used = await self._plane.read(self._used)
        return seen_by(who, view(self._allowance.held, self._allowance.on(day), used, self._allowance.ring.names))

    async def preview(self, who: Principal, document: str) -> PreviewView:
        """Return what putting ``document`` in force would change, a licence or a revocation list. Raises Refused."""
        require(who, Action.LICENSE_MANAGE)

        def work(tx: Session) -> PreviewView:
            before, used = self._view(tx), self._used(tx)
            stored = self._stored(tx)
            held = self._listed(stored, document)[0] if LIST in document else self._accepted(stored, document)
            allowed = self._allowance.of(held, before.day)
            after = view(held, allowed, used, self._allowance.ring.names)
            return PreviewView(before=before, after=after, changes=changes(before, after))

        return await self._plane.read(work)

    async def install(self, who: Principal, document: str) -> LicenseView:
        """Put ``document`` in force instead of what was; until then, and if it is not accepted, that counts.

        The highest time seen begins anew. Raises Refused.
        """
        require(who, Action.LICENSE_MANAGE)

        def work(tx: Session) -> None:
            now, before = self._clock(), self._stored(tx)
            held = self._accepted(before, document)
            more = {"installed_at": now, "installed_by": who.name, "seen_at": now}
            store.keep(tx, msgspec.structs.replace(held.installation, **more), now)
            if (license := held.license) is not None:
                detail = {"customer": license.customer, "edition": license.edition, "valid_to": str(license.valid_to)}
                self._note(tx, who, "license.install", license.id, **detail)

        return await self._changed(who, work)

    async def revoke(self, who: Principal, document: str) -> LicenseView:
        """Put a revocation list in force; licences it names do not count any more. Raises Refused."""
        require(who, Action.LICENSE_MANAGE)

        def work(tx: Session) -> None:
            now, before = self._clock(), self._stored(tx)
            listed = self._listed(before, document)[1]
            store.keep(tx, msgspec.structs.replace(before, revocations=document), now)
            self._note(tx, who, "license.revocations", str(listed.number), licenses=len(listed.licenses))

        return await self._changed(who, work)

    async def refusal(self, who: Principal, thing: Thing) -> str | None:
        """Return why there may not be one more of ``thing``, to be shown beside the button; None: there may, or nobody
        knows at the moment."""
        require(who, Action.LICENSE_READ)
        try:
            return await self._plane.read(lambda tx: self._allowance.refusal(tx, thing))
        except TransientError:
            return None

    def banner(self, who: Principal) -> Warned | None:
        """Return what to tell somebody on every page; None: nothing, or it is not for this person. Costs nothing."""
        if not may(who, Action.LICENSE_MANAGE):
            return None
        return next(at_a_glance(self._allowance), None)

    async def _changed(self, who: Principal, work: Callable[[Session], None]) -> LicenseView:
        """Save it, and believe it here and on the other nodes."""
        await self._plane.write(work)
        found = await self._plane.read(self._view)
        self.bell.ring()
        return found

    def _view(self, tx: Session) -> LicenseView:
        """Return what is in force by what is stored, which another node may have changed."""
        allowance = self._allowance
        allowance.learn(self._stored(tx))
        used, back = self._used(tx), allowance.clock_set_back()
        return view(allowance.held, allowance.now(), used, allowance.ring.names, clock_set_back=back)

    def _used(self, tx: Session) -> dict[Thing, int]:
        return {thing: counted(tx, thing, self._clock()) for thing in Thing}

    def _stored(self, tx: Session) -> Installation:
        return store.stored(tx) or self._allowance.held.installation

    def _accepted(self, before: Installation, document: str) -> Held:
        """Return what would be held with ``document`` in the place of the licence. Raises Refused."""
        ring, today = self._allowance.ring, self._clock().date()
        listed = proved(before, ring, today).revocations
        try:
            license = verify.accept(document, ring, here(before, listed, today))
        except LicenseError as error:
            raise Refused(error) from error
        return Held(msgspec.structs.replace(before, license=document), license, listed)

    def _listed(self, before: Installation, document: str) -> tuple[Held, Revocations]:
        """Return what would be held with ``document`` as the revocation list, and that list. Raises Refused."""
        ring, today = self._allowance.ring, self._clock().date()
        try:
            listed = verify.revocations(document, ring, proved(before, ring, today).revocations)
        except LicenseError as error:
            raise Refused(error) from error
        return proved(msgspec.structs.replace(before, revocations=document), ring, today), listed

    def _note(self, tx: Session, who: Principal, action: str, target: str, **detail: Any) -> None:
        deed = Deed(
            organisation_id=who.organisation_id or None, who=who.name, action=action, target=target, detail=detail
        )
        record(tx, deed, self._clock())
