"""White label: what the appliance is called and looks like, seen by everybody, changed by whoever may and is licensed.

What is shown is in memory, and no licence is asked for it: what was set stays when the licence has ended.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final

import msgspec
import structlog
from msgspec import Meta
from sqlalchemy.orm import Session

from appliance.domain.access import Action, Principal, require
from appliance.domain.brand import Brand, Kind, Picture, Support, Words, problems, tidied
from appliance.domain.clock import Clock, utc_now
from appliance.engine.bells import Bell, rung
from appliance.errors import DashError, Invalid, NotFound, Problem, TooLarge, TransientError
from appliance.services.allowance import Allowance
from appliance.storage.control import branding as store
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.plane import ControlPlane
from license.document import Feature

LOOK_SECS: Final = 60.0  # at the latest: a bell tells other nodes at once
MOST_BYTES: Final = 256 << 10

log = structlog.get_logger("branding")


class BrandingView(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown. `own`: something differs from Dash. Pictures are addresses, null where there is none."""

    own: bool
    name: str
    accent: str | None
    support: Support | None
    powered_by: bool
    name_beside_logo: bool
    logo: Annotated[str | None, Meta(description="Changes with the picture: it may be kept for ever")]
    logo_dark: str | None
    favicon: str | None


class Branding:
    """``run`` keeps what is known as the control plane has it; whoever shows it asks nobody."""

    def __init__(self, plane: ControlPlane, allowance: Allowance, clock: Clock = utc_now) -> None:
        self._plane, self._allowance, self._clock = plane, allowance, clock
        self._known = Brand()
        self.bell = Bell()

    def now(self) -> Brand:
        """Return what is shown at this moment, to anybody."""
        return self._known

    def view(self) -> BrandingView:
        """Return what is shown, to anybody."""
        brand = self._known
        words = brand.words
        return BrandingView(
            own=brand.own,
            name=brand.name,
            accent=words.accent,
            support=words.support,
            powered_by=words.powered_by,
            name_beside_logo=words.name_beside_logo,
            logo=brand.address(Kind.LOGO),
            logo_dark=brand.address(Kind.LOGO_DARK),
            favicon=brand.address(Kind.FAVICON),
        )

    def picture(self, kind: str) -> Picture:
        """Return a picture, to anybody. Raises NotFound."""
        found = self._known.pictures.get(_kind(kind))
        if found is None:
            raise NotFound(f"there is no {kind} of this appliance's own: upload one with PUT to the same address")
        return found

    async def refusal(self, who: Principal) -> str | None:
        """Return why it may not be changed, to be shown beside the form; None: it may, or nobody knows right now."""
        require(who, Action.BRANDING_MANAGE)
        try:
            return await self._plane.read(lambda tx: self._allowance.locked(tx, Feature.WHITE_LABEL))
        except TransientError:
            return None

    async def change(self, who: Principal, wanted: Words) -> BrandingView:
        """Show ``wanted`` instead of the words there were; pictures stay. Raises Unlicensed; Invalid: all problems."""
        require(who, Action.BRANDING_MANAGE)
        words = tidied(wanted)

        def save(tx: Session) -> None:
            self._allow(tx, problems(words))
            store.keep_words(tx, words, self._clock())
            self._note(tx, who, "branding.change", **msgspec.to_builtins(words))

        return await self._changed(save)

    async def put_picture(self, who: Principal, kind: str, data: bytes) -> BrandingView:
        """Show a picture instead of the one there was. Raises Unlicensed, NotFound, TooLarge, Invalid."""
        require(who, Action.BRANDING_MANAGE)
        wanted = _kind(kind)
        found = [] if len(data) > MOST_BYTES else await asyncio.to_thread(_examined, data, wanted)

        def save(tx: Session) -> None:
            self._allow(tx, [one for one in found if isinstance(one, Problem)])
            if len(data) > MOST_BYTES:
                told = f"the picture has {len(data):,} bytes, and {MOST_BYTES:,} are allowed"
                raise TooLarge(f"{told}: make it smaller, an SVG or a PNG of 320 pixels is enough")
            for picture in found:
                if isinstance(picture, Picture):
                    store.keep_picture(tx, wanted, picture, self._clock())
                    self._note(tx, who, "branding.picture", kind=kind, media=picture.media, bytes=len(data))

        return await self._changed(save)

    async def drop_picture(self, who: Principal, kind: str) -> None:
        """Show no such picture any more; without one nothing happens. No licence is asked."""
        require(who, Action.BRANDING_MANAGE)
        wanted = _kind(kind)

        def save(tx: Session) -> None:
            if store.forget_picture(tx, wanted, self._clock()):
                self._note(tx, who, "branding.picture", kind=kind, media=None)

        await self._changed(save)

    async def reset(self, who: Principal) -> None:
        """Be Dash again, in everything. No licence is asked."""
        require(who, Action.BRANDING_MANAGE)

        def save(tx: Session) -> None:
            if store.forget_all(tx):
                self._note(tx, who, "branding.reset")

        await self._changed(save)

    async def look(self) -> None:
        """Take over what the control plane has."""
        self._known = await self._plane.read(partial(store.stored, known=self._known))

    async def run(self) -> None:
        """Look on; returns only by cancellation. While the control plane is away, what was known last is shown."""
        while True:
            await rung(self.bell, LOOK_SECS)
            try:
                await self.look()
            except DashError as error:
                log.debug("branding.not_looked", error=str(error))

    async def _changed(self, save: Callable[[Session], None]) -> BrandingView:
        await self._plane.write(save)
        await self.look()
        self.bell.ring()
        return self.view()

    def _allow(self, tx: Session, found: list[Problem]) -> None:
        self._allowance.allows(tx, Feature.WHITE_LABEL)
        if found:
            raise Invalid(found)

    def _note(self, tx: Session, who: Principal, action: str, **detail: Any) -> None:
        deed = Deed(
            organisation_id=who.organisation_id or None, who=who.name, action=action, target="appliance", detail=detail
        )
        record(tx, deed, self._clock())


def _kind(name: str) -> Kind:
    try:
        return Kind(name)
    except ValueError:
        raise NotFound(f"there is no picture {name[:40]!r}: {', '.join(Kind)} are known") from None


def _examined(data: bytes, kind: Kind) -> list[Picture | Problem]:
    from appliance.domain.picture import Unfit, examined  # a parser that hardly anybody needs

    try:
        return [examined(data, kind)]
    except Unfit as unfit:
        return list(unfit.problems)
