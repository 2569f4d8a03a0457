"""Organisations made, renamed and deleted, by administrators of the one that operates the appliance."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import structlog
from sqlalchemy.orm import Session

from appliance.domain.access import Action, Principal, Role, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import OrganisationId, new_id
from appliance.errors import ConfigError, Conflict, DashError, Invalid, Problem
from appliance.services.allowance import Allowance
from appliance.services.organisation_views import NewOrganisation, OrganisationView
from appliance.services.organisations import view
from appliance.services.passwords import Passwords, password_problems
from appliance.services.ports import Engine
from appliance.services.sessions import SESSION
from appliance.services.tokens import TOKEN
from appliance.services.users import check_address, email_problems, user_row
from appliance.storage.control import organisations as store
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import OrganisationRow
from license.entitlements import Thing

OPERATOR: Final = "the operator of the appliance"  # in the trail of the others: they know no people but their own

log = structlog.get_logger("organisations")


class Rows(NamedTuple):
    """Who opens the store of an organisation's rows, and who removes it (blocking)."""

    engine: Engine
    forget: Callable[[OrganisationId], None]


class OrganisationChanges:
    def __init__(
        self, plane: ControlPlane, rows: Rows, allowance: Allowance, passwords: Passwords, clock: Clock = utc_now
    ) -> None:  # fmt: skip
        self._plane, self._rows, self._allowance = plane, rows, allowance
        self._passwords, self._clock = passwords, clock

    async def create(self, who: Principal, new: NewOrganisation) -> OrganisationView:
        """Make an organisation and its first administrator.

        It is there also where its rows have no place yet: ``trouble`` then says what a DBA has to do.

        Raises:
            Conflict: the name or the address is taken.
            Invalid: with every problem.
            Unlicensed: there are as many organisations, or people, as the licence allows.
        """
        require(who, Action.ORGANISATION_MANAGE)
        problems = [*_name_problems(new.name), *email_problems(new.admin_email, "/admin_email")]
        if problems := [*problems, *password_problems(new.admin_password, "/admin_password")]:
            raise Invalid(problems)
        hashed = await self._passwords.hash(new.admin_password)
        made = await self._plane.write(lambda tx: self._insert(tx, who, new, hashed))
        self._plane.forget("organisations")
        trouble = await self._prepared(made.id)
        return OrganisationView(
            id=made.id, name=made.name, operates=False, created_at=made.created_at, trouble=trouble
        )  # fmt: skip

    async def rename(self, who: Principal, organisation_id: OrganisationId, name: str) -> OrganisationView:
        """Call it otherwise. Raises NotFound, Conflict (the name is taken), Invalid."""
        require(who, Action.ORGANISATION_MANAGE)
        if problems := _name_problems(name):
            raise Invalid(problems)

        def work(tx: Session) -> OrganisationView:
            row = store.find(tx, organisation_id)
            store.check_name(tx, name.strip(), row.id)
            before, row.name = row.name, name.strip()
            if before != row.name:
                self._note(tx, who, row, "organisation.rename", {"before": before, "name": row.name})
            return view(row)

        renamed = await self._plane.write(work)
        self._plane.forget("organisation", organisation_id)
        return renamed

    async def delete(self, who: Principal, organisation_id: OrganisationId, name: str) -> None:
        """Remove an organisation that has no pipelines: people, tokens, dashboards and the place of its rows.

        ``name``: its name, as a confirmation. Nobody acts for it from the first step on; where a later one is
        interrupted, it is listed without people, and is deleted by asking again. Its audit trail stays.

        Raises:
            NotFound: there is none.
            Conflict: it operates the appliance, has pipelines, or work of it is under way.
            Invalid: ``name`` is not its name.
        """
        require(who, Action.ORGANISATION_MANAGE)

        def shut(tx: Session) -> None:
            store.shut(tx, _removable(tx, organisation_id, name).id)

        def remove(tx: Session) -> None:
            row = _removable(tx, organisation_id, name)
            self._note(tx, who, row, "organisation.delete", {"name": row.name})
            store.remove(tx, row.id)

        await self._plane.write(shut)
        for known in (SESSION, TOKEN):
            self._plane.forget(known)
        await self._rows.engine.workers.run("upkeep", self._rows.forget, organisation_id)
        await self._plane.write(remove)
        self._plane.forget("organisations")

    def _insert(self, tx: Session, who: Principal, new: NewOrganisation, hashed: str) -> OrganisationView:
        store.check_name(tx, new.name.strip())
        check_address(tx, new.admin_email)
        self._allowance.check(tx, Thing.ORGANISATIONS)
        self._allowance.check(tx, Thing.USERS)
        now = self._clock()
        row = OrganisationRow(id=new_id("org"), name=new.name.strip(), created_at=now, operates=False)
        tx.add(row)
        tx.flush()
        admin = user_row(row.id, new.admin_email, hashed, Role.ADMIN, now)
        tx.add(admin)
        self._note(tx, who, row, "organisation.create", {"name": row.name, "admin": admin.email})
        return view(row)

    async def _prepared(self, organisation_id: OrganisationId) -> str | None:
        """Make the place of its rows; return why there is none."""
        try:
            await self._rows.engine.workers.run("control", self._rows.engine.silver, organisation_id)
        except ConfigError as error:
            told = "; ".join(f"{one.message}: {one.hint}" if one.hint else one.message for one in error.problems)
        except DashError as error:  # it is made when the first pipeline is
            told = str(error)
        else:
            return None
        log.warning("organisation.no_place_for_rows", organisation=organisation_id, told=told)
        return f"it has no place for rows yet, and no pipeline can be made before it has: {told}"

    def _note(self, tx: Session, who: Principal, row: OrganisationRow, action: str, detail: dict[str, Any]) -> None:
        """Write it into the trail of those who operate the appliance, and of the organisation itself."""
        for whose, by in ((who.organisation_id, who.name), (row.id, OPERATOR)):
            if whose == who.organisation_id and by is OPERATOR:
                continue  # its own name was changed: once is enough
            deed = Deed(organisation_id=whose, who=by, action=action, target=row.id, detail=detail)
            record(tx, deed, self._clock())


def _removable(tx: Session, organisation_id: OrganisationId, name: str) -> OrganisationRow:
    row = store.find(tx, organisation_id)
    if row.operates:
        raise Conflict(f"the organisation {row.name!r} operates this appliance: it cannot be deleted")
    if name != row.name:
        raise Invalid(
            [Problem("/name", f"expected the name of the organisation as a confirmation, got {name[:100]!r}")]
        )
    store.check_empty(tx, row)
    return row


def _name_problems(name: str) -> list[Problem]:
    if 1 <= len(name.strip()) <= 100 and name.strip().isprintable():
        return []
    return [Problem("/name", "expected one line of 1 to 100 characters")]
