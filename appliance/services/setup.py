"""The first run: the organisation, its administrator and, if wanted, the sample workspace."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.access import Role
from appliance.domain.clock import utc_now
from appliance.domain.ids import new_id
from appliance.errors import Conflict, Invalid, Problem
from appliance.services.passwords import Passwords, password_problems
from appliance.services.sample import Sample
from appliance.services.sessions import Sessions
from appliance.services.tokens import Tokens
from appliance.services.users import email_problems, user_row
from appliance.services.views import SetupAnswer, SetupRequest
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import OrganisationRow


class Setup:
    """May run once in the life of an installation, by whoever comes first."""

    def __init__(
        self, plane: ControlPlane, passwords: Passwords, sessions: Sessions, tokens: Tokens, sample: Sample
    ) -> None:
        self._plane, self._passwords = plane, passwords
        self._sessions, self._tokens, self._sample = sessions, tokens, sample
        self._done = False

    async def needed(self) -> bool:
        """Return whether nobody has set this appliance up yet."""
        if not self._done:
            self._done = await self._plane.read(_is_set_up)
        return not self._done

    async def run(self, request: SetupRequest) -> SetupAnswer:
        """Create organisation and administrator, and sign the latter in.

        Raises:
            Conflict: it was set up before.
            Invalid: address, password or name will not do.
        """
        if not await self.needed():
            raise _again()
        if problems := _problems(request):
            raise Invalid(problems)
        hashed, now = await self._passwords.hash(request.admin_password), utc_now()
        user_id = await self._plane.write(lambda tx: _create(tx, request, hashed, now))
        self._done = True
        signed_in = await self._sessions.open(user_id, None)
        who = signed_in.principal
        if request.sample:
            await self._sample.create(who)
        token = (await self._tokens.create(who, "setup", Role.ADMIN)).token if request.token else None
        return SetupAnswer(principal=who, session_cookie=signed_in.cookie, token=token)


def _is_set_up(tx: Session) -> bool:
    return tx.scalar(select(OrganisationRow.id).limit(1)) is not None


def _again() -> Conflict:
    return Conflict("this appliance has been set up before: sign in, or ask an administrator for an account")


def _problems(request: SetupRequest) -> list[Problem]:
    problems = [
        *email_problems(request.admin_email, "/admin_email"),
        *password_problems(request.admin_password, "/admin_password"),
    ]
    if not request.organisation.strip():
        problems.append(Problem("/organisation", "expected a name"))
    return problems


def _create(tx: Session, request: SetupRequest, hashed: str, now: datetime) -> str:
    if _is_set_up(tx):
        raise _again()
    organisation = OrganisationRow(id=new_id("org"), name=request.organisation.strip(), created_at=now, operates=True)
    tx.add(organisation)
    tx.flush()
    admin = user_row(organisation.id, request.admin_email, hashed, Role.ADMIN, now)
    tx.add(admin)
    deed = Deed(organisation_id=organisation.id, who=admin.email, action="setup.run", target=organisation.id)
    record(tx, deed, now)
    return admin.id
