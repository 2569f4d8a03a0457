"""Remembered answers: kept a day, sealed, and free again after a crash."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from appliance.domain.access import Principal, Role
from appliance.domain.ids import OrganisationId, TokenId
from appliance.errors import Conflict
from appliance.services.answers import Answer, Answers
from appliance.services.housekeeping import forget_expired
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import IdempotencyRow
from appliance.storage.control.vault import Vault

WHO = Principal(organisation_id=OrganisationId("org_1"), role=Role.ADMIN, name="t", token_id=TokenId("tok_1"))
ANSWER = Answer(201, [("content-type", "application/json")], b'{"token": "dash_secret"}')


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def answers(plane: ControlPlane, clock: Clock) -> Answers:
    return Answers(plane, Vault(Fernet.generate_key()), clock)


async def test_an_answer_comes_back_for_a_day(answers: Answers, clock: Clock, plane: ControlPlane) -> None:
    assert await answers.begin(WHO, "k", b"request") is None
    await answers.keep(WHO, "k", ANSWER)
    assert await answers.begin(WHO, "k", b"request") == ANSWER
    (stored,) = plane.read_now(lambda tx: tx.scalars(select(IdempotencyRow.answer)).all())
    assert stored is not None
    assert "dash_secret" not in stored
    clock.now += timedelta(hours=24)
    assert await answers.begin(WHO, "k", b"another request") is None


async def test_while_the_first_runs_the_second_waits(answers: Answers, clock: Clock) -> None:
    await answers.begin(WHO, "k", b"request")
    with pytest.raises(Conflict, match="is under way"):
        await answers.begin(WHO, "k", b"request")
    clock.now += timedelta(minutes=5)  # nobody is working on it any more
    assert await answers.begin(WHO, "k", b"request") is None


async def test_housekeeping_forgets_what_is_old(answers: Answers, clock: Clock, plane: ControlPlane) -> None:
    await answers.begin(WHO, "k", b"request")
    await answers.keep(WHO, "k", ANSWER)
    clock.now += timedelta(hours=25)
    plane.write_now(lambda tx: forget_expired(tx, clock))
    assert plane.read_now(lambda tx: tx.scalars(select(IdempotencyRow.key)).all()) == []
