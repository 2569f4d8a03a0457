"""What a PollBook promises, asked of the one in PostgreSQL and of the one in memory that the protocol is checked with.

Two nodes, of partitions 1 and 2, share one pipeline; what they store goes the way that batches go.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import msgspec
import psycopg
import pytest

from appliance.components.nodes import Lease
from appliance.components.polls import ENDED, UNCLAIMED, Claim, PollBook, Polled, Standing
from appliance.domain.partition import Partition, base_of
from appliance.errors import Conflict, TransientError
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.store import PostgresSilver
from tests.fakes.polls import MemoryPolls
from tests.silver_batches import PLAIN, batch, row

PIPE = PLAIN.pipeline_id
ONE, TWO = base_of(Partition(1)), base_of(Partition(2))
LEASE = Lease("poll:pl_1", 7)


class Scene(Protocol):
    """Two nodes. ``store``: commit one event, which becomes the newest of its partition. ``let_go``: of the lease."""

    def book(self, partition: int) -> PollBook: ...

    def store(self, partition: int, polled: Polled | None) -> None: ...

    def refined(self, partition: int) -> int: ...

    def let_go(self) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self._held, self._seqs = True, {1: ONE, 2: TWO}
        self._polls = MemoryPolls(lambda lease: self._held and lease == LEASE, self._seqs.__getitem__)

    def book(self, partition: int) -> PollBook:
        return self._polls.of(Partition(partition))

    def store(self, partition: int, polled: Polled | None) -> None:
        if polled is not None:
            self._polls.advance(partition, polled)
        self._seqs[partition] += 1

    def refined(self, partition: int) -> int:
        return self._seqs[partition]

    def let_go(self) -> None:
        self._held = False


class InDatabase:
    def __init__(self, url: str) -> None:
        self._url, self.connections = url, Connections(url, size=4)
        with psycopg.connect(url) as connection:
            connection.execute("CREATE SCHEMA dash")
            connection.execute("CREATE TABLE dash.lease (name text, epoch integer, until timestamptz)")
            self._lease(connection, "INSERT INTO dash.lease VALUES (%s, %s, now() + interval '9 s')")
        self.stores = {
            number: PostgresSilver(self.connections, "dash_org_polls", partition=Partition(number))
            for number in (1, 2)
        }  # fmt: skip
        self.stores[1].prepare(PLAIN)

    def _lease(self, connection: Any, statement: str) -> None:
        connection.execute(statement, (LEASE.name, LEASE.epoch))

    def book(self, partition: int) -> PollBook:
        return self.stores[partition].polls

    def store(self, partition: int, polled: Polled | None) -> None:
        seq = self.refined(partition) + 1
        self.stores[partition].commit(msgspec.structs.replace(batch(PLAIN, seq, [row(n=seq)]), polled=polled))

    def refined(self, partition: int) -> int:
        return self.stores[partition].progress(PIPE).seq

    def let_go(self) -> None:
        with psycopg.connect(self._url) as connection:
            self._lease(connection, "UPDATE dash.lease SET until = now() WHERE name = %s AND epoch = %s")

    def close(self) -> None:
        self.connections.close()


@pytest.fixture(params=["memory", "postgres"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    if request.param == "memory":
        yield InMemory()
        return
    opened = InDatabase(request.getfixturevalue("database_url"))
    yield opened
    opened.close()


def taken(scene: Scene, partition: int, checkpoint: str | None = None) -> Standing:
    book = scene.book(partition)
    return book.claim(PIPE, book.standing(PIPE), Claim(LEASE, checkpoint))


def refused(work: Callable[[], object]) -> None:
    with pytest.raises(Conflict):
        work()


def test_who_comes_first_begins_where_its_own_log_stands(scene: Scene) -> None:
    assert scene.book(1).standing(PIPE) == Standing(None, UNCLAIMED, None, ONE)
    assert taken(scene, 1, '{"page":3}') == Standing(1, 1, '{"page":3}', ONE)
    assert scene.book(2).standing(PIPE) == Standing(1, 1, '{"page":3}', TWO)


def test_a_commit_moves_the_checkpoint_and_what_counts(scene: Scene) -> None:
    taken(scene, 1)
    scene.store(1, Polled(1, ONE + 5, '{"page":1}'))
    assert scene.book(1).standing(PIPE) == Standing(1, 1, '{"page":1}', ONE + 5)
    scene.store(1, Polled(1, ONE + 6, None))
    assert scene.book(2).standing(PIPE) == Standing(1, 1, '{"page":1}', TWO)


def test_the_next_goes_on_from_there_and_the_former_stores_nothing_more(scene: Scene) -> None:
    taken(scene, 1)
    scene.store(1, Polled(1, ONE + 3, '{"page":1}'))
    assert taken(scene, 2, '{"page":99}') == Standing(2, 2, '{"page":1}', TWO)
    refused(lambda: scene.store(1, Polled(1, ONE + 4, '{"page":2}')))
    refused(lambda: scene.store(1, Polled(ENDED, ONE + 4, None)))
    assert scene.refined(1) == ONE + 1  # the rows went with it
    assert scene.book(1).standing(PIPE) == Standing(2, 2, '{"page":1}', ONE + 3)
    scene.store(1, None)  # of the page that was stored in part
    assert scene.refined(1) == ONE + 2


def test_a_tenure_is_not_the_one_before_though_the_node_is_the_same(scene: Scene) -> None:
    taken(scene, 1)
    taken(scene, 2)
    scene.book(1).accept(PIPE, ONE + 9)
    assert taken(scene, 1) == Standing(1, 3, None, ONE + 9)
    refused(lambda: scene.store(1, Polled(1, ONE + 20, '{"page":1}')))
    scene.store(1, Polled(3, ONE + 10, '{"page":1}'))


def test_what_moved_meanwhile_is_not_taken_over(scene: Scene) -> None:
    taken(scene, 1)
    book, before = scene.book(2), scene.book(2).standing(PIPE)
    scene.store(1, Polled(1, ONE + 1, '{"page":1}'))
    refused(lambda: book.claim(PIPE, before, Claim(LEASE, None)))
    before = book.standing(PIPE)
    scene.store(2, None)
    refused(lambda: book.claim(PIPE, msgspec.structs.replace(before, accepted=TWO + 5), Claim(LEASE, None)))
    assert scene.book(1).standing(PIPE).holder == 1


def test_nobody_takes_over_without_the_lease(scene: Scene) -> None:
    book, before = scene.book(1), scene.book(1).standing(PIPE)
    for wrong in (Lease(LEASE.name, 6), Lease("poll:pl_2", 7)):
        with pytest.raises(TransientError, match="held no more"):
            book.claim(PIPE, before, Claim(wrong, None))
    scene.let_go()
    with pytest.raises(TransientError, match="held no more"):
        book.claim(PIPE, before, Claim(LEASE, None))
    assert book.standing(PIPE) == before


def test_what_is_refined_counts_and_before_anybody_begins_everything_does(scene: Scene) -> None:
    scene.store(2, Polled(UNCLAIMED, TWO + 1, '{"page":1}'))
    scene.store(2, None)
    assert scene.book(2).standing(PIPE) == Standing(None, UNCLAIMED, None, TWO + 2)
    taken(scene, 1)
    refused(lambda: scene.store(2, Polled(UNCLAIMED, TWO + 3, None)))


def test_a_checkpoint_moves_without_events_in_its_tenure_only(scene: Scene) -> None:
    taken(scene, 1)
    scene.book(1).note(PIPE, 1, '{"page":2}')
    assert scene.book(2).standing(PIPE).checkpoint == '{"page":2}'
    refused(lambda: scene.book(2).note(PIPE, 1, "{}"))
    taken(scene, 2)
    refused(lambda: scene.book(1).note(PIPE, 1, "{}"))
    assert scene.book(1).standing(PIPE).checkpoint == '{"page":2}'
