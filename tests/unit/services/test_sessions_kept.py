"""How long a session lives."""

from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from appliance.domain.access import Role
from appliance.services.housekeeping import forget_expired
from appliance.services.passwords import Passwords
from appliance.services.sessions import Sessions
from appliance.services.users import user_row
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import OrganisationRow, SessionRow


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sessions(plane: ControlPlane, clock: Clock) -> Sessions:
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    hashed = await passwords.hash("correct horse battery")
    plane.write_now(lambda tx: tx.add(OrganisationRow(id="org_1", name="Example", created_at=clock.now)))
    plane.write_now(lambda tx: tx.add(user_row("org_1", "ada@example.org", hashed, Role.ADMIN, clock.now)))
    return Sessions(plane, passwords, clock=clock)


async def cookie_of(sessions: Sessions) -> str:
    return (await sessions.sign_in("ada@example.org", "correct horse battery", None)).cookie


async def test_a_session_ends_when_it_is_not_used(sessions: Sessions, clock: Clock) -> None:
    cookie = await cookie_of(sessions)
    clock.forward(hours=11)
    assert await sessions.resolve(cookie) is not None
    clock.forward(hours=11)
    assert await sessions.resolve(cookie) is not None  # it slides
    clock.forward(hours=12)
    assert await sessions.resolve(cookie) is None


async def test_a_session_ends_after_thirty_days_of_use(sessions: Sessions, clock: Clock) -> None:
    cookie = await cookie_of(sessions)
    for _ in range(71):  # every ten hours, 710 h in all
        clock.forward(hours=10)
        assert await sessions.resolve(cookie) is not None
    clock.forward(hours=10)  # 720 h are 30 days
    assert await sessions.resolve(cookie) is None


async def test_housekeeping_forgets_ended_sessions(sessions: Sessions, clock: Clock, plane: ControlPlane) -> None:
    await cookie_of(sessions)
    clock.forward(hours=6)
    await cookie_of(sessions)
    clock.forward(hours=6)
    plane.write_now(lambda tx: forget_expired(tx, clock))
    assert len(plane.read_now(lambda tx: tx.scalars(select(SessionRow)).all())) == 1


async def test_the_cookie_is_stored_nowhere(sessions: Sessions, plane: ControlPlane) -> None:
    cookie = await cookie_of(sessions)
    (row,) = plane.read_now(lambda tx: tx.scalars(select(SessionRow)).all())
    assert cookie not in (row.id, row.user_id)
    assert len(row.id) == 64  # SHA-256 in hex
