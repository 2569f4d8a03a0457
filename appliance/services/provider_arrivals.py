"""Somebody whom a provider proved becomes somebody here: known again, linked or made, with the role of today."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from appliance.domain.access import Role
from appliance.domain.ids import new_id
from appliance.domain.sign_in import Decision, Person, ProviderDocument, Refused, Why, decide
from appliance.errors import Conflict, Unlicensed
from appliance.services.allowance import Allowance
from appliance.services.passwords import NONE
from appliance.services.provider_rows import identity, known
from appliance.services.users import check_not_last_admin, email_problems, user_row
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.provider_tables import IdentityRow, ProviderRow
from appliance.storage.control.tables import UserRow
from license.entitlements import Thing


class Arrival:
    """One person, in the transaction that saves what becomes of them."""

    def __init__(self, tx: Session, row: ProviderRow, person: Person, now: datetime) -> None:
        self._tx, self._row, self._person, self._now = tx, row, person, now

    def settle(self, document: ProviderDocument, allowance: Allowance) -> UserRow:
        """Return the user that the person is, with everything about it saved.

        Raises:
            Refused: they do not come in.
        """
        found = decide(document, self._person, known(self._tx, self._row, self._person))
        if found.user_id is None:
            user = self._made(found, allowance)
        else:
            user = self._tx.get_one(UserRow, found.user_id)
            if found.role is not None and found.role.value != user.role:
                self._change(user, found.role)
        self._remember(user)
        return user

    def _made(self, found: Decision, allowance: Allowance) -> UserRow:
        email = self._person.email or ""
        if problems := email_problems(email, "/email"):
            raise Refused(Why.EMAIL, f"the provider told what is no address: {problems[0].message}")
        try:
            allowance.check(self._tx, Thing.USERS)
        except Unlicensed as error:
            raise Refused(Why.FULL, str(error)) from error
        user = user_row(self._row.organisation_id, email, NONE, found.role or Role.VIEWER, self._now)
        self._tx.add(user)
        self._tx.flush()
        self._note("user.create", user, email=user.email, role=user.role)
        return user

    def _change(self, user: UserRow, role: Role) -> None:
        """Give the role that the groups have today; the last administrator stays one, whatever they say."""
        before = user.role
        try:
            if role is not Role.ADMIN:
                check_not_last_admin(self._tx, user)
        except Conflict as error:
            self._note("user.role", user, email=user.email, role=before, kept=str(error))
            return
        user.role = role.value
        self._note("user.role", user, email=user.email, role=user.role, before=before)

    def _remember(self, user: UserRow) -> None:
        found = identity(self._tx, self._row, self._person.subject)
        if found is not None:
            found.email, found.used_at = self._person.email, self._now
            return
        self._tx.add(
            IdentityRow(
                id=new_id("idn"),
                organisation_id=self._row.organisation_id,
                issuer=self._row.document["issuer"],
                subject=self._person.subject,
                user_id=user.id,
                email=self._person.email,
                created_at=self._now,
                used_at=self._now,
            )
        )
        self._note("identity.create", user, subject=self._person.subject, email=self._person.email)

    def _note(self, action: str, user: UserRow, **detail: Any) -> None:
        deed = Deed(
            organisation_id=self._row.organisation_id, who=user.email, action=action, target=user.id,
            detail={"provider": self._row.name} | detail,
        )  # fmt: skip
        record(self._tx, deed, self._now)
