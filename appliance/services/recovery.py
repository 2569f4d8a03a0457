"""A way back in for whoever holds the machine, when nobody can sign in any more: a new password, said by command."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.access import Role
from appliance.domain.clock import Clock, utc_now
from appliance.errors import Invalid, NotFound
from appliance.services.passwords import Passwords, password_problems
from appliance.services.sessions import email_key, end_sessions
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import UserRow

BY: Final = "recover"  # who it was, in the audit trail: somebody who may write the data directory


class Recovery:
    """Asks nobody who they are: whoever can call it owns the data directory of a stopped appliance."""

    def __init__(self, plane: ControlPlane, passwords: Passwords, clock: Clock = utc_now) -> None:
        self._plane, self._passwords, self._clock = plane, passwords, clock

    async def run(self, email: str, password: str) -> str:
        """Let the user ``email`` in again with ``password``, as an administrator, and end the sessions they had.

        Return the address as it is known.

        Raises:
            Invalid: the password will not do.
            NotFound: nobody has that address; names the administrators that there are.
        """
        if problems := password_problems(password, "/password"):
            raise Invalid(problems)
        hashed, now = await self._passwords.hash(password), self._clock()

        def work(tx: Session) -> str:
            row = tx.scalar(select(UserRow).where(UserRow.email_key == email_key(email)))
            if row is None:
                raise NotFound(f"nobody has the address {email!r}: {_administrators(tx)}")
            detail = {"email": row.email, "was": row.role, "was_disabled": row.disabled_at is not None}
            row.password_hash, row.role, row.disabled_at = hashed, Role.ADMIN.value, None
            end_sessions(tx, row.id)
            deed = Deed(
                organisation_id=row.organisation_id, who=BY, action="user.recover", target=row.id, detail=detail
            )
            record(tx, deed, now)
            return row.email

        return await self._plane.write(work)


def _administrators(tx: Session) -> str:
    known = tx.scalars(select(UserRow.email).where(UserRow.role == Role.ADMIN.value).order_by(UserRow.id)).all()
    return f"administrators are {', '.join(known)}" if known else "nobody was set up yet; see 'dash-appliance setup'"
