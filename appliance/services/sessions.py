"""Signing in and out: passwords and the cookie that stands for them."""

import hashlib
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from appliance.domain.access import Principal, Role
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import OrganisationId, UserId
from appliance.errors import Forbidden, Invalid, TransientError, Unauthenticated
from appliance.services.passwords import NONE, Passwords, password_problems
from appliance.services.sign_in_limit import SignInLimit
from appliance.services.views import SignedIn
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import OrganisationRow, SessionRow, UserRow

COOKIE: Final = "dash_session"
SESSION: Final = "session"  # what questions about one begin with
IDLE: Final = timedelta(hours=12)
AT_MOST: Final = timedelta(days=30)
KNOWN_WITHIN_SECS: Final = 600.0  # before the database was lost: who was here then is still believed
_NOTE_EVERY: Final = timedelta(minutes=5)  # how exactly the last use is remembered; spares a write a request


Judge = Callable[[Principal | None], Principal | None]  # says what holds for somebody at this moment
Barred = Callable[[Session, UserRow], str | None]  # by what somebody has to come instead of by password; None: nothing


def as_is(who: Principal | None) -> Principal | None:
    return who


class Lifetime(msgspec.Struct, frozen=True):
    """A session ends when it was not used for ``idle``, and at the age of ``at_most``."""

    idle: timedelta = IDLE
    at_most: timedelta = AT_MOST


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """Whose word somebody came on: a provider, and the ID token that was its proof, sealed."""

    provider_id: str
    name: str
    id_token: str


def nobody_barred(_: Session, __: UserRow) -> str | None:
    return None


class Sessions:
    """Sessions of people. The cookie is 256 random bits; its SHA-256 is stored, so a stolen database opens no door."""

    def __init__(
        self, plane: ControlPlane, passwords: Passwords, lifetime: Lifetime | None = None, clock: Clock = utc_now
    ) -> None:
        self._plane, self._passwords, self._clock = plane, passwords, clock
        self.lifetime = lifetime or Lifetime()
        self._limit = SignInLimit()
        self.judge: Judge = as_is
        self.barred: Barred = nobody_barred

    async def sign_in(self, email: str, password: str, remote: str | None) -> SignedIn:
        """Check the password and open a session.

        Raises:
            Unauthenticated: address or password is wrong, or the account is disabled; does not say which.
            Forbidden: it is right, and the account is for a provider's word alone.
            RateLimited: too many failures of this account or from this address.
        """
        key = email_key(email)
        self._limit.check(key, remote)
        user = await self._plane.read(lambda tx: tx.scalar(select(UserRow).where(UserRow.email_key == key)))
        stored = user.password_hash if user is not None and user.disabled_at is None else None
        if not await self._passwords.match(stored, password) or user is None:
            self._limit.failed(key, remote)
            raise Unauthenticated("signing in failed: the e-mail address or the password is wrong")
        self._limit.worked(key, remote)
        await self._check_barred(user.id)
        return await self.open(user.id, remote)

    async def _check_barred(self, user_id: str) -> None:
        if (instead := await self._plane.read(lambda tx: self.barred(tx, _present(tx, user_id)))) is not None:
            raise Forbidden(f"this account has no password here any more: sign in with {instead}")

    async def open(self, user_id: str, remote: str | None, came: Came | None = None) -> SignedIn:
        """Open a session for somebody whose identity was proved; ``came``: by a provider.

        Raises:
            Unauthenticated: they were removed or shut out meanwhile.
        """
        cookie, now = secrets.token_urlsafe(32), self._clock()

        def work(tx: Session) -> SignedIn:
            user = _present(tx, user_id)
            expires = now + min(self.lifetime.idle, self.lifetime.at_most)
            tx.add(
                SessionRow(
                    id=_digest(cookie),
                    user_id=user.id,
                    created_at=now,
                    seen_at=now,
                    expires_at=expires,
                    remote=remote,
                    provider_id=came and came.provider_id,
                    id_token=came and came.id_token,
                )
            )
            record(tx, _opened(user, remote, came), now)
            who = principal_of_user(user, operates=tx.get_one(OrganisationRow, user.organisation_id).operates)
            return SignedIn(cookie=cookie, principal=who, expires_at=now + self.lifetime.at_most)

        return await self._plane.write(work)

    async def resolve(self, cookie: str) -> Principal | None:
        """Return who the cookie stands for, and keep the session alive; None: unknown, expired, revoked, disabled.

        While the database does not answer, who was at work when it was lost stays known until the session expires.
        """
        digest, now = _digest(cookie), self._clock()
        found = await self._plane.recall(_asked(cookie), lambda tx: _find(tx, digest, now), KNOWN_WITHIN_SECS)
        if found is None or found[0].expires_at <= now:
            return None
        session, user, operates = found
        if now - session.seen_at >= _NOTE_EVERY:
            with suppress(TransientError):  # the next use tells of itself
                await self._plane.write(lambda tx: _prolong(tx, digest, now, self.lifetime))
        return self.judge(principal_of_user(user, operates=operates))

    async def came(self, cookie: str) -> Came | None:
        """Return on whose word the session was opened; None: by password, or it is unknown."""
        row = await self._plane.read(lambda tx: tx.get(SessionRow, _digest(cookie)))
        if row is None or row.provider_id is None or row.id_token is None:
            return None
        return Came(provider_id=row.provider_id, name="", id_token=row.id_token)

    async def has_password(self, who: Principal) -> bool:
        """Return whether there is a password by which ``who`` can sign in."""
        if who.user_id is None:
            return False

        def look(tx: Session) -> bool:
            user = tx.get_one(UserRow, who.user_id)
            return user.password_hash != NONE and self.barred(tx, user) is None

        return await self._plane.read(look)

    async def sign_out(self, cookie: str) -> None:
        """End the session; unknown: nothing happens."""
        ended = delete(SessionRow).where(SessionRow.id == _digest(cookie))
        await self._plane.write(lambda tx: tx.execute(ended))
        self._plane.forget(*_asked(cookie))

    async def change_password(self, who: Principal, old: str, new: str) -> None:
        """Replace the password and end all sessions of the user.

        Raises:
            Forbidden: a token has no password, nor has who comes by a provider alone.
            Unauthenticated: ``old`` is wrong.
            Invalid: ``new`` will not do.
        """
        if who.user_id is None:
            raise Forbidden("a token has no password to change: sign in as a user")
        if problems := password_problems(new, "/new"):
            raise Invalid(problems)
        user_id, now = who.user_id, self._clock()
        await self._check_barred(user_id)
        stored = await self._plane.read(lambda tx: tx.scalar(select(UserRow.password_hash).filter_by(id=user_id)))
        if stored == NONE:
            raise Forbidden("this account has no password to change: it signs in with a provider")
        self._limit.check(user_id, None)
        if not await self._passwords.match(stored, old):
            self._limit.failed(user_id, None)
            raise Unauthenticated("changing the password failed: the old password is wrong")
        hashed = await self._passwords.hash(new)

        def work(tx: Session) -> None:
            user = tx.get_one(UserRow, user_id)
            user.password_hash = hashed
            end_sessions(tx, user.id)
            deed = Deed(organisation_id=user.organisation_id, who=who.name, action="user.password", target=user.id)
            record(tx, deed, now)

        await self._plane.write(work)
        self._plane.forget(SESSION)


def _present(tx: Session, user_id: str) -> UserRow:
    user = tx.get(UserRow, user_id)
    if user is None or user.disabled_at is not None:
        raise Unauthenticated("signing in failed: the account was removed or shut out a moment ago")
    return user


def email_key(email: str) -> str:
    """Return what an e-mail address is recognised by."""
    return email.strip().casefold()


def principal_of_user(user: UserRow, *, operates: bool) -> Principal:
    return Principal(
        organisation_id=OrganisationId(user.organisation_id),
        role=Role(user.role),
        name=user.email,
        user_id=UserId(user.id),
        operates=operates,
    )


def end_sessions(tx: Session, user_id: str) -> None:
    """End all sessions of a user, now."""
    tx.execute(delete(SessionRow).where(SessionRow.user_id == user_id))


def _opened(user: UserRow, remote: str | None, came: Came | None) -> Deed:
    return Deed(
        organisation_id=user.organisation_id,
        who=user.email,
        action="session.open",
        target=user.id,
        detail={"remote": remote} | ({"provider": came.name} if came is not None else {}),
    )


def _asked(cookie: str) -> tuple[str, str]:
    return SESSION, _digest(cookie)


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()


def _find(tx: Session, digest: str, now: datetime) -> tuple[SessionRow, UserRow, bool] | None:
    wanted = select(SessionRow, UserRow, OrganisationRow.operates).join(UserRow, UserRow.id == SessionRow.user_id)
    wanted = wanted.join(OrganisationRow, OrganisationRow.id == UserRow.organisation_id)
    valid = wanted.where(SessionRow.id == digest, SessionRow.expires_at > now, UserRow.disabled_at.is_(None))
    found = tx.execute(valid).one_or_none()
    return (found[0], found[1], found[2]) if found is not None else None


def _prolong(tx: Session, digest: str, now: datetime, lifetime: Lifetime) -> None:
    session = tx.get(SessionRow, digest)
    if session is not None:
        session.seen_at = now
        session.expires_at = min(now + lifetime.idle, session.created_at + lifetime.at_most)
