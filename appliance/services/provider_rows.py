"""Providers and identities as they lie in the control plane: found, joined, ended."""

import unicodedata
from typing import Any

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session

from appliance.domain.access import Principal, Role
from appliance.domain.ids import IdentityId, UserId
from appliance.domain.sign_in import Account, Known, Person, same_address
from appliance.errors import Conflict, NotFound
from appliance.services.passwords import NONE
from appliance.services.provider_documents import IdentityView
from appliance.services.sessions import email_key
from appliance.storage.control.provider_tables import IdentityRow, ProviderRow
from appliance.storage.control.tables import SessionRow, UserRow


def own(tx: Session, who: Principal, provider_id: str) -> ProviderRow:
    """Return a provider of the organisation of ``who``. Raises NotFound."""
    row = tx.get(ProviderRow, provider_id)
    if row is None or row.organisation_id != who.organisation_id:
        raise NotFound(f"there is no provider {provider_id!r}")
    return row


def check_name(tx: Session, name: str, besides: str | None) -> None:
    """Return if no provider but ``besides`` has that name, of whatever organisation: one page offers them all, and by
    the same name people would be led to somebody else's. Raises Conflict."""
    names = tx.execute(select(ProviderRow.id, ProviderRow.name))
    if any(one != besides and _read_as(known) == _read_as(name) for one, known in names):
        raise Conflict(f"there is a provider called {name!r} already: choose another name, the sign-in page shows it")


def _read_as(name: str) -> str:
    """Return what people take ``name`` for: whatever width, case and spaces it is written in."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def identities_of(row: ProviderRow) -> Select[IdentityRow]:
    """Return the question for everybody whom the provider's issuer is known to have proved."""
    issuer = row.document["issuer"]
    return select(IdentityRow).where(
        IdentityRow.organisation_id == row.organisation_id, IdentityRow.issuer == issuer
    )  # fmt: skip


def count_people(tx: Session, row: ProviderRow) -> int:
    return tx.scalar(select(func.count()).select_from(identities_of(row).subquery())) or 0


def identity_view(row: IdentityRow, email: str) -> IdentityView:
    return IdentityView(
        id=IdentityId(row.id), user_id=UserId(row.user_id), user=email, subject=row.subject, email=row.email,
        created_at=row.created_at, used_at=row.used_at,
    )  # fmt: skip


def end_sessions_by(tx: Session, user_id: str, provider_id: str) -> None:
    """End the sessions that a user began by a provider, now."""
    tx.execute(delete(SessionRow).where(SessionRow.user_id == user_id, SessionRow.provider_id == provider_id))


def identity(tx: Session, row: ProviderRow, subject: str) -> IdentityRow | None:
    """Return who came as this subject before."""
    return tx.scalar(identities_of(row).where(IdentityRow.subject == subject))


def known(tx: Session, row: ProviderRow, person: Person) -> Known:
    """Return what is known of a person whom the provider proved. Users of other organisations are not looked at but
    for whether the address is taken."""
    linked = identity(tx, row, person.subject)
    user = tx.get_one(UserRow, linked.user_id) if linked is not None else None
    named, here = None, False
    if person.email is not None:
        named = tx.scalar(select(UserRow).where(UserRow.email_key == email_key(person.email)))
        here = named is not None and named.organisation_id == row.organisation_id
        here = here and named is not None and same_address(named.email, person.email)
    return Known(
        linked=_account(user), namesake=_account(named) if here else None, elsewhere=named is not None and not here
    )  # fmt: skip


def _account(row: UserRow | None) -> Account | None:
    return None if row is None else Account(row.id, row.disabled_at is not None)


def barred(tx: Session, user: UserRow) -> str | None:
    """Return the name of the provider by which ``user`` has to come instead of by password; None: there is none.

    An administrator is let in while no other one could come in by password: a provider that fails, or was set up
    wrongly, locks nobody out for good.
    """
    name = _instead(tx, user)
    if name is None or user.role != Role.ADMIN.value:
        return name
    others = select(UserRow).where(
        UserRow.organisation_id == user.organisation_id, UserRow.role == Role.ADMIN.value, UserRow.id != user.id,
        UserRow.disabled_at.is_(None), UserRow.password_hash != NONE,
    )  # fmt: skip
    return name if any(_instead(tx, other) is None for other in tx.scalars(others)) else None


def _instead(tx: Session, user: UserRow) -> str | None:
    issuers = set(tx.scalars(select(IdentityRow.issuer).where(IdentityRow.user_id == user.id)))
    if not issuers:
        return None
    providers = select(ProviderRow).where(ProviderRow.organisation_id == user.organisation_id)
    found: list[dict[str, Any]] = [row.document for row in tx.scalars(providers)]
    return next(
        (one["name"] for one in found if one["enabled"] and not one["passwords"] and one["issuer"] in issuers), None
    )
