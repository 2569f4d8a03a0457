"""Turns at polling in a real database: somebody takes over in the middle of a commit, tables come and go."""

import threading
from collections.abc import Iterator

import psycopg
import pytest

from appliance.components.polls import UNCLAIMED, Claim, Polled, Standing
from appliance.domain.partition import Partition
from appliance.errors import Conflict, TransientError
from appliance.storage.silver_postgres.store import PostgresSilver
from tests.contract.test_poll_book import LEASE, ONE, PIPE, TWO, InDatabase, taken
from tests.running import until
from tests.silver_batches import PLAIN

LINE = "UPDATE dash_org_polls._polls SET checkpoint = 'moved'"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


@pytest.fixture
def scene(database_url: str) -> Iterator[InDatabase]:
    opened = InDatabase(database_url)
    yield opened
    opened.close()


def test_who_takes_over_waits_for_the_commit_under_way_and_has_to_look_again(
    scene: InDatabase, database_url: str
) -> None:
    taken(scene, 1)
    book, before = scene.book(2), scene.book(2).standing(PIPE)
    refused: list[Conflict] = []

    def claim() -> None:
        with pytest.raises(Conflict) as caught:
            book.claim(PIPE, before, Claim(LEASE, None))
        refused.append(caught.value)

    with psycopg.connect(database_url) as commit, psycopg.connect(database_url, autocommit=True) as observer:
        commit.execute(LINE)  # as the last statement of a commit does
        thread = threading.Thread(target=claim)
        thread.start()
        until(lambda: observer.execute(WAITING).fetchall() == [(1,)])
        commit.commit()
        thread.join()
    assert len(refused) == 1
    assert book.standing(PIPE) == Standing(1, 1, "moved", TWO)


def test_a_commit_waits_for_who_takes_over_and_is_undone(scene: InDatabase, database_url: str) -> None:
    taken(scene, 1)
    undone: list[Conflict] = []

    def store() -> None:
        with pytest.raises(Conflict, match="turn 1 has ended") as caught:
            scene.store(1, Polled(1, ONE + 1, "{}"))
        undone.append(caught.value)

    with psycopg.connect(database_url) as claim, psycopg.connect(database_url, autocommit=True) as observer:
        claim.execute("UPDATE dash_org_polls._polls SET partition = 2, tenure = tenure + 1")
        thread = threading.Thread(target=store)
        thread.start()
        until(lambda: observer.execute(WAITING).fetchall() == [(1,)])
        claim.commit()
        thread.join()
    assert len(undone) == 1
    assert scene.refined(1) == ONE
    assert scene.book(1).standing(PIPE).accepted == ONE  # nor does the event count


def test_a_lease_does_not_change_hands_while_somebody_claims(scene: InDatabase, database_url: str) -> None:
    book, before = scene.book(1), scene.book(1).standing(PIPE)
    lost: list[TransientError] = []

    def claim() -> None:
        with pytest.raises(TransientError, match="held no more") as caught:
            book.claim(PIPE, before, Claim(LEASE, None))
        lost.append(caught.value)

    with psycopg.connect(database_url) as other, psycopg.connect(database_url, autocommit=True) as observer:
        other.execute("UPDATE dash.lease SET epoch = epoch + 1")
        thread = threading.Thread(target=claim)
        thread.start()
        until(lambda: observer.execute(WAITING).fetchall() == [(1,)])
        other.commit()
        thread.join()
    assert len(lost) == 1
    assert book.standing(PIPE).holder is None


def test_a_deleted_pipeline_leaves_no_line_behind(scene: InDatabase) -> None:
    taken(scene, 1, "{}")
    scene.store(1, Polled(1, ONE + 1, "{}"))
    scene.stores[2].drop(PIPE)
    with pytest.raises(TransientError, match="it has no table here, or was deleted"):
        scene.book(1).standing(PIPE)
    scene.stores[1].prepare(PLAIN)
    assert scene.book(1).standing(PIPE) == Standing(None, UNCLAIMED, None, ONE)


def test_a_schema_of_before_is_given_the_tables(scene: InDatabase, database_url: str) -> None:
    scene.store(1, None)
    with psycopg.connect(database_url) as database:
        database.execute("DROP TABLE dash_org_polls._polls, dash_org_polls._polled")
    again = PostgresSilver(scene.connections, "dash_org_polls", partition=Partition(1))
    assert again.polls.standing(PIPE) == Standing(None, UNCLAIMED, None, ONE + 1)  # what was refined counts
