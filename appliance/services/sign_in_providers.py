"""The providers by which an organisation's people sign in: set up, tried, switched off, removed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from appliance.components.resources import Outbound
from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import new_id
from appliance.domain.sign_in import ProviderDocument, Tried
from appliance.errors import Conflict, NotFound
from appliance.services.allowance import Allowance
from appliance.services.provider_documents import (
    IdentityView,
    ProviderView,
    callback_of,
    decoded,
    sealed,
    unsealed,
    view_of,
    whole,
)
from appliance.services.provider_rows import (
    check_name,
    count_people,
    end_sessions_by,
    identities_of,
    identity_view,
    own,
)
from appliance.services.sessions import SESSION
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.provider_tables import IdentityRow, ProviderRow
from appliance.storage.control.tables import UserRow
from appliance.storage.control.vault import Vault
from license.document import Feature

if TYPE_CHECKING:
    from appliance.openid.client import OpenId

MOST: Final = 20  # of an organisation
_MOST_PEOPLE: Final = 1000
Speaks = Callable[[], "OpenId"]


def speaker(outbound: Outbound) -> "OpenId":
    """Return who speaks with providers. Authlib takes 3 MB and half a second: imported when that is first wanted."""
    from appliance.openid.client import OpenId

    return OpenId(outbound)


@dataclass(frozen=True)
class Reception:
    """What those who deal with providers work with.

    ``base_url``: where people reach this appliance; empty: wherever they asked.
    """

    vault: Vault
    allowance: Allowance
    speaks: Speaks
    base_url: str = ""

    async def openid(self) -> "OpenId":
        """Return who speaks with providers, for all of this process."""
        return await asyncio.to_thread(self.speaks)

    def callback(self, provider_id: str, origin: str) -> str:
        """Return where a provider sends people back to, for somebody who reaches this appliance at ``origin``."""
        return whole(callback_of(provider_id, self.base_url), origin)


class SignInProviders:
    """Of the organisation of the one who asks.

    Setting one up is licensed; switching it off, removing it and coming by it are not.
    """

    def __init__(self, plane: ControlPlane, reception: Reception, clock: Clock = utc_now) -> None:
        self._plane, self._reception, self._clock = plane, reception, clock
        self._vault, self._allowance = reception.vault, reception.allowance

    async def get(self, who: Principal, provider_id: str) -> ProviderView:
        """Return one. Raises NotFound."""
        require(who, Action.USER_MANAGE)
        return await self._plane.read(lambda tx: self._view(tx, own(tx, who, provider_id)))

    async def locked(self, who: Principal) -> str | None:
        """Return why none may be set up or changed, and what to do; None: they may."""
        require(who, Action.USER_MANAGE)
        return await self._plane.read(lambda tx: self._allowance.locked(tx, Feature.ENTERPRISE_SIGN_IN))

    async def create(self, who: Principal, document: Any) -> ProviderView:
        """Add one.

        Raises:
            Invalid: with every problem.
            Conflict: the name is taken, or there are too many.
            Unlicensed: the licence does not name enterprise sign-in, or it has ended.
        """
        require(who, Action.USER_MANAGE)
        wanted, now = decoded(document), self._clock()

        def work(tx: Session) -> ProviderView:
            self._allowance.allows(tx, Feature.ENTERPRISE_SIGN_IN)
            there = select(func.count()).where(ProviderRow.organisation_id == who.organisation_id)
            if (tx.scalar(there) or 0) >= MOST:
                raise Conflict(f"there are {MOST} providers: remove one that is not needed any more")
            check_name(tx, wanted.name, None)
            row = ProviderRow(
                id=new_id("idp"), organisation_id=who.organisation_id, name=wanted.name,
                document=sealed(wanted, self._vault), created_at=now, updated_at=now,
            )  # fmt: skip
            tx.add(row)
            self._note(tx, who, "provider.create", row, **_told(wanted))
            return self._view(tx, row)

        return await self._plane.write(work)

    async def replace(self, who: Principal, provider_id: str, document: Any) -> ProviderView:
        """Change one; a masked secret stays. Raises NotFound, and as ``create``."""
        require(who, Action.USER_MANAGE)

        def work(tx: Session) -> ProviderView:
            row = own(tx, who, provider_id)
            self._allowance.allows(tx, Feature.ENTERPRISE_SIGN_IN)
            former = unsealed(row, self._vault)
            wanted = decoded(document, former)
            check_name(tx, wanted.name, row.id)
            row.name, row.document, row.updated_at = wanted.name, sealed(wanted, self._vault), self._clock()
            fields = ProviderDocument.__struct_fields__
            changed = [name for name in fields if getattr(former, name) != getattr(wanted, name)]
            self._note(tx, who, "provider.update", row, changed=changed, **_told(wanted))
            return self._view(tx, row)

        return await self._plane.write(work)

    async def disable(self, who: Principal, provider_id: str) -> ProviderView:
        """Let nobody come by it any more; who is signed in stays. Raises NotFound."""
        require(who, Action.USER_MANAGE)

        def work(tx: Session) -> ProviderView:
            row = own(tx, who, provider_id)
            if row.document["enabled"]:
                row.document, row.updated_at = row.document | {"enabled": False}, self._clock()
                self._note(tx, who, "provider.disable", row)
            return self._view(tx, row)

        return await self._plane.write(work)

    async def delete(self, who: Principal, provider_id: str) -> None:
        """Remove it. Who a user is to its issuer is kept, for a provider of the same issuer. Raises NotFound."""
        require(who, Action.USER_MANAGE)

        def work(tx: Session) -> None:
            row = own(tx, who, provider_id)
            self._note(tx, who, "provider.delete", row)
            tx.delete(row)

        await self._plane.write(work)

    async def test(self, who: Principal, provider_id: str, origin: str) -> list[Tried]:
        """Ask the provider what it says of itself, now, and return what was found. Raises NotFound."""
        require(who, Action.USER_MANAGE)
        openid = await self._reception.openid()
        from appliance.openid.client import Client  # see ``speaker``
        from appliance.openid.trial import tried

        document = await self._plane.read(lambda tx: unsealed(own(tx, who, provider_id), self._vault))
        client = Client(issuer=document.issuer, client_id=document.client_id, secret=document.client_secret)
        back = self._reception.callback(provider_id, origin)
        return [one async for one in tried(openid, client, document.scopes, back)]

    async def people(self, who: Principal, provider_id: str) -> list[IdentityView]:
        """Return who are known by it, the last that came first. Raises NotFound."""
        require(who, Action.USER_MANAGE)

        def work(tx: Session) -> list[IdentityView]:
            wanted = identities_of(own(tx, who, provider_id)).order_by(IdentityRow.used_at.desc()).limit(_MOST_PEOPLE)
            joined = wanted.join(UserRow, UserRow.id == IdentityRow.user_id).add_columns(UserRow.email)
            return [identity_view(row, email) for row, email in tx.execute(joined)]

        return await self._plane.read(work)

    async def forget(self, who: Principal, provider_id: str, identity_id: str) -> None:
        """Know a user by it no more; their sessions by it end. Raises NotFound."""
        require(who, Action.USER_MANAGE)

        def work(tx: Session) -> None:
            provider = own(tx, who, provider_id)
            row = tx.scalar(identities_of(provider).where(IdentityRow.id == identity_id))
            if row is None:
                raise NotFound(f"there is nobody {identity_id!r} known by {provider.name!r}")
            end_sessions_by(tx, row.user_id, provider.id)
            self._note(tx, who, "identity.delete", provider, user=row.user_id, subject=row.subject)
            tx.delete(row)

        await self._plane.write(work)
        self._plane.forget(SESSION)

    async def list(self, who: Principal) -> list[ProviderView]:
        """Return the providers, by name."""
        require(who, Action.USER_MANAGE)
        wanted = (
            select(ProviderRow).where(ProviderRow.organisation_id == who.organisation_id).order_by(ProviderRow.name)
        )
        return await self._plane.read(lambda tx: [self._view(tx, row) for row in tx.scalars(wanted)])

    def _view(self, tx: Session, row: ProviderRow) -> ProviderView:
        return view_of(row, count_people(tx, row), self._reception.base_url)

    def _note(self, tx: Session, who: Principal, action: str, row: ProviderRow, **detail: Any) -> None:
        deed = Deed(
            organisation_id=row.organisation_id, who=who.name, action=action, target=row.id,
            detail={"name": row.name} | detail,
        )  # fmt: skip
        record(tx, deed, self._clock())


def _told(document: ProviderDocument) -> dict[str, Any]:
    """Return what an auditor wants to know of a provider."""
    fields = ("issuer", "enabled", "create_users", "link_users", "trust_email", "passwords")
    return {name: getattr(document, name) for name in fields}
