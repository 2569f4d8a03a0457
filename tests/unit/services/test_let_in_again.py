"""A way back in, when the password of the last administrator is lost."""

from datetime import UTC, datetime

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from appliance.domain.access import Role
from appliance.errors import Invalid, NotFound, Unauthenticated
from appliance.services.passwords import Passwords
from appliance.services.recovery import Recovery
from appliance.services.sessions import Sessions
from appliance.services.users import user_row
from appliance.storage.control.audit import last
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import OrganisationRow, UserRow

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
LOST, NEW = "nobody remembers this", "this one is remembered"
CHEAP = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
async def sessions(plane: ControlPlane) -> Sessions:
    """Ada, a viewer whom somebody shut out, and Grace, who administers."""
    hashed = await CHEAP.hash(LOST)
    plane.write_now(lambda tx: tx.add(OrganisationRow(id="org_1", name="Example", created_at=NOW)))
    ada = user_row("org_1", "Ada@example.org", hashed, Role.VIEWER, NOW)
    ada.disabled_at = NOW
    plane.write_now(lambda tx: tx.add(ada))
    plane.write_now(lambda tx: tx.add(user_row("org_1", "grace@example.org", hashed, Role.ADMIN, NOW)))
    return Sessions(plane, CHEAP)


async def test_somebody_is_let_in_again_as_an_administrator(plane: ControlPlane, sessions: Sessions) -> None:
    assert await Recovery(plane, CHEAP).run("ada@EXAMPLE.org", NEW) == "Ada@example.org"
    assert (await sessions.sign_in("ada@example.org", NEW, None)).principal.role is Role.ADMIN
    with pytest.raises(Unauthenticated):
        await sessions.sign_in("ada@example.org", LOST, None)


async def test_it_ends_their_sessions_and_stands_in_the_audit_trail(plane: ControlPlane, sessions: Sessions) -> None:
    cookie = (await sessions.sign_in("grace@example.org", LOST, None)).cookie
    await Recovery(plane, CHEAP).run("grace@example.org", NEW)
    assert await Sessions(plane, CHEAP).resolve(cookie) is None
    deed = await plane.read(last)
    assert deed is not None
    assert (deed.who, deed.action, deed.detail["was"]) == ("recover", "user.recover", "admin")


async def test_an_unknown_address_is_told_who_there_is(plane: ControlPlane, sessions: Sessions) -> None:
    with pytest.raises(NotFound, match=r"nobody has the address 'eve@example\.org': administrators are grace@"):
        await Recovery(plane, CHEAP).run("eve@example.org", NEW)


async def test_a_password_that_will_not_do_changes_nothing(plane: ControlPlane, sessions: Sessions) -> None:
    with pytest.raises(Invalid):
        await Recovery(plane, CHEAP).run("grace@example.org", "short")
    hashes = await plane.read(lambda tx: tx.scalars(select(UserRow.password_hash)).all())
    assert len(set(hashes)) == 1
