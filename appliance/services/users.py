"""The people of an organisation."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from appliance.domain.access import Action, Principal, Role, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import UserId, new_id
from appliance.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from appliance.services.acting import check_acts
from appliance.services.allowance import Allowance
from appliance.services.paging import bounded, cursor_of, place_of
from appliance.services.passwords import NONE, Passwords, password_problems
from appliance.services.sessions import SESSION, email_key, end_sessions
from appliance.services.views import NewUser, Page, UserView
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import UserRow
from license.entitlements import Thing

AT_THE_MACHINE: Final = "command line"  # in the audit trail: whoever may read the data directory
_PART: Final = r"[^@\s<>\x00-\x1f\x7f]"
_EMAIL: Final = re.compile(rf"{_PART}{{1,64}}@{_PART}{{1,189}}")  # whether it is one shows only when a message arrives


class Users:
    """Who may sign in, and with which role."""

    def __init__(
        self, plane: ControlPlane, passwords: Passwords, allowance: Allowance, clock: Clock = utc_now
    ) -> None:  # fmt: skip
        self._plane, self._passwords, self._allowance, self._clock = plane, passwords, allowance, clock

    async def create(self, who: Principal, new: NewUser) -> UserView:
        """Add a user.

        Raises:
            Conflict: the address is taken.
            Invalid: the address or the password will not do.
            Unlicensed: there are as many as the licence allows.
        """
        require(who, Action.USER_MANAGE)
        if problems := [*email_problems(new.email, "/email"), *password_problems(new.password, "/password")]:
            raise Invalid(problems)
        hashed, now = await self._passwords.hash(new.password), self._clock()

        def work(tx: Session) -> UserView:
            check_acts(tx, who)
            check_address(tx, new.email)
            self._allowance.check(tx, Thing.USERS)
            row = user_row(who.organisation_id, new.email, hashed, new.role, now)
            tx.add(row)
            record(tx, _deed(who, "user.create", row), now)
            return _view(row)

        return await self._plane.write(work)

    async def set_role(self, who: Principal, user_id: UserId, role: Role) -> UserView:
        """Give the user another role, from the next request on. Raises NotFound, Conflict (the last administrator)."""
        require(who, Action.USER_MANAGE)
        now = self._clock()

        def work(tx: Session) -> UserView:
            row = _own(tx, who, user_id)
            if role is not Role.ADMIN:
                check_not_last_admin(tx, row)
            row.role = role.value
            record(tx, _deed(who, "user.role", row), now)
            return _view(row)

        return await self._changed(work)

    async def enable(self, who: Principal, user_id: UserId) -> UserView:
        """Let somebody who was shut out sign in again. Raises NotFound, Unlicensed."""
        require(who, Action.USER_MANAGE)
        now = self._clock()

        def work(tx: Session) -> UserView:
            row = _own(tx, who, user_id)
            if row.disabled_at is not None:
                self._allowance.check(tx, Thing.USERS)
                row.disabled_at = None
                record(tx, _deed(who, "user.enable", row), now)
            return _view(row)

        return await self._changed(work)

    async def set_password(self, who: Principal, user_id: UserId, password: str) -> UserView:
        """Give somebody else a new password; their sessions end.

        Raises:
            NotFound: there is no such user.
            Forbidden: it is one's own, which is changed by whoever knows the old one.
            Invalid: the password will not do.
        """
        require(who, Action.USER_MANAGE)
        if user_id == who.user_id:
            raise Forbidden("your own password is changed on the page Account, where the present one is asked for")
        if problems := password_problems(password, "/password"):
            raise Invalid(problems)
        hashed, now = await self._passwords.hash(password), self._clock()

        def work(tx: Session) -> UserView:
            row = _own(tx, who, user_id)
            row.password_hash = hashed
            end_sessions(tx, row.id)
            record(tx, _deed(who, "user.reset_password", row), now)
            return _view(row)

        return await self._changed(work)

    async def disable(self, who: Principal, user_id: UserId) -> UserView:
        """Shut the user out at once; their sessions end. Raises NotFound, Conflict (the last administrator)."""
        require(who, Action.USER_MANAGE)
        now = self._clock()

        def work(tx: Session) -> UserView:
            row = _own(tx, who, user_id)
            if row.disabled_at is None:
                check_not_last_admin(tx, row)
                row.disabled_at = now
                end_sessions(tx, row.id)
                record(tx, _deed(who, "user.disable", row), now)
            return _view(row)

        return await self._changed(work)

    async def recover(self, email: str, password: str) -> UserView:
        """Give a new password to whoever signs in with ``email``, of whatever organisation; their sessions end.

        For whoever may read the data directory of a stopped appliance, when nobody is left who could by signing in.

        Raises:
            NotFound: nobody does.
            Conflict: they are shut out.
            Invalid: the password will not do.
        """
        if problems := password_problems(password, "/password"):
            raise Invalid(problems)
        hashed, now = await self._passwords.hash(password), self._clock()

        def work(tx: Session) -> UserView:
            row = tx.scalar(select(UserRow).where(UserRow.email_key == email_key(email)))
            if row is None:
                raise NotFound(f"nobody signs in with {email!r}: administrators are {_administrators(tx)}")
            if row.disabled_at is not None:
                raise Conflict(
                    f"{row.email!r} is shut out: recover an administrator of the organisation, who lets them in"
                )
            row.password_hash = hashed
            end_sessions(tx, row.id)
            detail = {"email": row.email, "role": row.role}
            deed = Deed(
                organisation_id=row.organisation_id, who=AT_THE_MACHINE, action="user.recover", target=row.id,
                detail=detail,
            )  # fmt: skip
            record(tx, deed, now)
            return _view(row)

        return await self._changed(work)

    async def _changed(self, work: Callable[[Session], UserView]) -> UserView:
        """Save what somebody may do from now on, and believe no session that was known before."""
        view = await self._plane.write(work)
        self._plane.forget(SESSION)
        return view

    async def list(self, who: Principal, cursor: str | None = None, limit: int = 50) -> Page[UserView]:
        """Return the users, oldest first."""
        require(who, Action.USER_MANAGE)
        wanted = select(UserRow).where(UserRow.organisation_id == who.organisation_id).order_by(UserRow.id)
        if cursor is not None:
            wanted = wanted.where(UserRow.id > place_of(cursor)[0])
        wanted = wanted.limit(bounded(limit) + 1)
        rows = await self._plane.read(lambda tx: tx.scalars(wanted).all())
        more = cursor_of([rows[limit - 1].id]) if len(rows) > limit else None
        return Page([_view(row) for row in rows[:limit]], more)


def email_problems(email: str, pointer: str) -> list[Problem]:
    """Return why ``email`` cannot be an address; nothing: it can."""
    if _EMAIL.fullmatch(email.strip()):
        return []
    return [Problem(pointer, f"expected an e-mail address such as ada@example.org, got {email[:254]!r}")]


def check_address(tx: Session, email: str) -> None:
    """Return if nobody, of whatever organisation, signs in with ``email``. Raises Conflict: somebody does."""
    if tx.scalar(select(UserRow.id).where(UserRow.email_key == email_key(email))) is not None:
        raise Conflict(f"the address {email!r} belongs to a user already: choose another")


def user_row(organisation_id: str, email: str, hashed: str, role: Role, now: datetime) -> UserRow:
    """Return a new user, not yet saved."""
    return UserRow(
        id=new_id("user"),
        organisation_id=organisation_id,
        email=email.strip(),
        email_key=email_key(email),
        password_hash=hashed,
        role=role.value,
        created_at=now,
    )


def _administrators(tx: Session) -> str:
    """Return who might be meant by whoever forgot the address too."""
    wanted = select(UserRow.email).where(UserRow.role == Role.ADMIN.value, UserRow.disabled_at.is_(None))
    return ", ".join(tx.scalars(wanted.order_by(UserRow.id).limit(20)).all()) or "none"


def _own(tx: Session, who: Principal, user_id: str) -> UserRow:
    row = tx.get(UserRow, user_id)
    if row is None or row.organisation_id != who.organisation_id:
        raise NotFound(f"there is no user {user_id!r}")
    return row


def check_not_last_admin(tx: Session, row: UserRow) -> None:
    """Return if without ``row`` somebody could administer the organisation, and come in by password for it.

    Raises:
        Conflict: nobody could. A provider that fails would lock everybody out.
    """
    others = select(func.count()).where(
        UserRow.organisation_id == row.organisation_id,
        UserRow.role == Role.ADMIN.value,
        UserRow.disabled_at.is_(None),
        UserRow.id != row.id,
    )
    if row.role != Role.ADMIN.value:
        return
    if tx.scalar(others) == 0:
        raise Conflict(f"{row.email!r} is the last administrator: make somebody else one first")
    if row.password_hash != NONE and tx.scalar(others.where(UserRow.password_hash != NONE)) == 0:
        told = "is the last administrator with a password, who gets in when a provider fails"
        raise Conflict(f"{row.email!r} {told}: make somebody else one first")


def _deed(who: Principal, action: str, row: UserRow) -> Deed:
    detail = {"email": row.email, "role": row.role}
    return Deed(organisation_id=who.organisation_id, who=who.name, action=action, target=row.id, detail=detail)


def _view(row: UserRow) -> UserView:
    return UserView(
        id=UserId(row.id),
        email=row.email,
        role=Role(row.role),
        disabled=row.disabled_at is not None,
        created_at=row.created_at,
    )
