"""Deliveries that came to several nodes: the events of one of them are rows, whoever commits first and whenever."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count

import msgspec
import psycopg
import pytest

from appliance.components.deliveries import Settled
from appliance.components.silver import Batch, DeadLetterQuery, Progress
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.partition import Partition, base_of
from appliance.errors import TransientError
from appliance.storage.silver_postgres import claims
from appliance.storage.silver_postgres.binary import BinaryArray, BinaryArrayDumper
from appliance.storage.silver_postgres.connections import Connections, Cursor
from appliance.storage.silver_postgres.store import PostgresSilver
from tests.postgres import PostgresServer
from tests.silver_batches import FILTERED, KEYED, PLAIN, START, batch, dead, delivered, number, row, rows_in

HOUR = timedelta(hours=1)
A, B = 0, base_of(Partition(1))
_numbers = count(1)

Pair = tuple[PostgresSilver, PostgresSilver]


class Clock:
    now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> Iterator[tuple[Connections, str]]:
    url = postgres.new_database()
    connections = Connections(url, size=6)
    yield connections, url
    connections.close()


@pytest.fixture(autouse=True, params=[1, 500], ids=["at once", "one by one"])
def _ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Claim few deliveries as many are claimed, too."""
    monkeypatch.setattr(claims, "_MANY", request.param)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def schema() -> str:
    return f"dash_org_{next(_numbers)}"


@pytest.fixture
def pair(database: tuple[Connections, str], schema: str, clock: Clock) -> Pair:
    """The stores of two nodes, of partition 0 and of partition 1."""
    one, two = (PostgresSilver(database[0], schema, partition=Partition(of), clock=clock) for of in (0, 1))
    return one, two


def ledger(store: PostgresSilver) -> Outcome:
    """Return what became of the events of the store's own partition, as it is told and as it is counted again."""
    told = store.progress(PLAIN.pipeline_id).outcome
    assert store.recount(PLAIN) == told
    return told


def rows(store: PostgresSilver) -> list[tuple[int, int]]:
    return sorted(rows_in(store, PLAIN, "_seq", "n"))


def test_what_another_node_has_stored_becomes_duplicate(pair: Pair) -> None:
    one, two = pair
    one.commit(delivered(batch(PLAIN, 1, [row(n=1), row(n=2)]), ("x", 2)))
    done = two.commit(
        delivered(
            batch(PLAIN, B + 1, [row(n=7), row(n=1), row(n=2), row(n=8)]), (None, 1), ("x", 2), ("y", 1)
        )
    )  # fmt: skip
    assert done == Progress(B + 4, Outcome(stored=2, duplicate=2))
    assert rows(two) == [(1, 1), (2, 2), (B + 1, 7), (B + 4, 8)]
    assert (ledger(one), ledger(two)) == (Outcome(stored=2), Outcome(stored=2, duplicate=2))
    assert two.deliveries.repeated(PLAIN.pipeline_id, B + 1, B + 9) == [(B + 2, B + 3)]
    assert two.deliveries.repeated(PLAIN.pipeline_id, B + 3, B + 9) == [(B + 3, B + 3)]
    assert one.deliveries.repeated(PLAIN.pipeline_id, 1, 9) == []


def test_control_without_claims_it_is_stored_twice(pair: Pair) -> None:
    one, two = pair
    one.commit(batch(PLAIN, 1, [row(n=1)]))
    two.commit(batch(PLAIN, B + 1, [row(n=1)]))
    assert rows(two) == [(1, 1), (B + 1, 1)]


def test_whatever_the_mapping_made_of_it_counts_as_duplicate(pair: Pair) -> None:
    one, two = pair
    events = [row(n=1), FILTERED, dead()]
    one.commit(delivered(batch(PLAIN, 1, events), ("x", 3)))
    two.commit(delivered(batch(PLAIN, B + 1, [*events, dead()]), ("x", 3), ("y", 1)))
    assert ledger(one) == Outcome(stored=1, filtered=1, dead=1)
    assert two.progress(PLAIN.pipeline_id).outcome == Outcome(duplicate=3, dead=1)
    assert two.dead_letters(PLAIN.pipeline_id, DeadLetterQuery())["seq"].to_pylist() == [B + 4, 3]


def test_the_claims_of_one_pipeline_are_not_those_of_another(pair: Pair) -> None:
    one, two = pair
    one.commit(delivered(batch(PLAIN, 1, [row(n=1)]), ("x", 1)))
    other = msgspec.structs.replace(PLAIN, pipeline_id="pl_other")
    assert two.commit(delivered(batch(other, B + 1, [row(n=1)]), ("x", 1))).outcome == Outcome(stored=1)


def test_a_delivery_in_several_batches_has_one_claim(pair: Pair) -> None:
    one, two = pair
    for store, base, outcome in ((one, A, Outcome(stored=3)), (two, B, Outcome(duplicate=3))):
        whole = delivered(batch(PLAIN, base + 1, [row(n=n) for n in (1, 2, 3)]), ("x", 3))
        for first, last in ((1, 2), (3, 3)):
            part = batch(PLAIN, base + first, [row(n=n) for n in range(first, last + 1)])
            assert whole.claims is not None
            claim = whole.claims.to_pylist()[0] | {"first_seq": base + first, "last_seq": base + last}
            store.commit(msgspec.structs.replace(part, claims=whole.claims.from_pylist([claim], whole.claims.schema)))
        assert ledger(store) == outcome
    assert two.deliveries.repeated(PLAIN.pipeline_id, B, B + 9) == [(B + 1, B + 3)]


def test_one_node_that_took_it_twice_stores_it_once(pair: Pair) -> None:
    """It remembers the newest 100,000 by itself; here is what it has forgotten, within a batch and beyond."""
    one, _ = pair
    one.commit(delivered(batch(PLAIN, 1, [row(n=1), row(n=1)]), ("x", 1), ("x", 1)))
    one.commit(delivered(batch(PLAIN, 3, [row(n=1)]), ("x", 1)))
    assert rows(one) == [(1, 1)]
    assert ledger(one) == Outcome(stored=1, duplicate=2)


def test_an_id_that_comes_again_after_a_day_is_another_delivery(pair: Pair) -> None:
    one, two = pair
    one.commit(delivered(batch(PLAIN, 1, [row(n=1)]), ("x", 1)))
    two.commit(delivered(batch(PLAIN, B + 1, [row(n=2)]), ("x", 1), at=START + 24 * HOUR + HOUR))
    one.commit(delivered(batch(PLAIN, 2, [row(n=2)]), ("x", 1), at=START + 26 * HOUR))
    assert rows(one) == [(1, 1), (B + 1, 2)]
    assert (ledger(one), ledger(two)) == (Outcome(stored=1, duplicate=1), Outcome(stored=1))


def test_rows_with_keys_too(pair: Pair) -> None:
    one, two = pair
    one.commit(delivered(batch(KEYED, 1, [row(_key="k", n=1)]), ("x", 1)))
    one.commit(delivered(batch(KEYED, 2, [row(_key="k", n=2)]), ("y", 1)))
    done = two.commit(delivered(batch(KEYED, B + 1, [row(_key="k", n=1)]), ("x", 1)))
    assert done.outcome == Outcome(duplicate=1)
    assert rows_in(two, KEYED, "n") == [(2,)]  # without claims the repetition would have put back the older value


class Crash(Exception):
    pass


@contextmanager
def held(database: tuple[Connections, str], schema: str, store: PostgresSilver, which: Batch) -> Iterator[None]:
    """Have the claims of ``which`` taken by a transaction that is under way until the end, and then rolled back."""
    store.prepare(which.table)
    with psycopg.connect(database[1]) as connection, connection.cursor() as cursor:
        cursor.adapters.register_dumper(BinaryArray, BinaryArrayDumper)
        cursor.execute(f"SET search_path TO {schema}")
        claims.take(cursor, which)
        yield
        connection.rollback()


def test_who_comes_second_waits_and_has_it_if_the_first_one_fails(
    database: tuple[Connections, str], schema: str, pair: Pair
) -> None:
    one, two = pair
    done: list[Progress] = []
    second = delivered(batch(PLAIN, B + 1, [row(n=1)]), ("x", 1))
    waiting = threading.Thread(target=lambda: done.append(two.commit(second)))
    with held(database, schema, one, delivered(batch(PLAIN, 1, [row(n=1)]), ("x", 1))):
        waiting.start()
        _until_somebody_waits(database[1])
        assert done == []
    waiting.join(timeout=20)
    assert done == [Progress(B + 1, Outcome(stored=1))]
    assert one.commit(delivered(batch(PLAIN, 1, [row(n=1)]), ("x", 1))).outcome == Outcome(duplicate=1)
    assert rows(one) == [(B + 1, 1)]


def _until_somebody_waits(url: str) -> None:
    asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%_claims%'"
    with psycopg.connect(url, autocommit=True) as looking:
        while not looking.execute(asked).fetchall()[0][0]:
            pass


def test_a_node_that_sits_on_a_claim_delays_and_stops_nobody_for_good(
    database: tuple[Connections, str], schema: str, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.storage.silver_postgres.database._LOCK_SECS", 0.2)
    one, two = pair
    second = delivered(batch(PLAIN, B + 1, [row(n=1)]), ("x", 1))
    first = delivered(batch(PLAIN, 1, [row(n=1)]), ("x", 1))
    refused = pytest.raises(TransientError, match="others hold what it needs")
    with held(database, schema, one, first), refused:
        two.commit(second)
    assert two.commit(second).outcome == Outcome(stored=1)


def test_a_commit_that_failed_has_claimed_nothing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = pair
    one.prepare(PLAIN)

    def crash(cursor: Cursor, *_: object) -> Progress:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr("appliance.storage.silver_postgres.store.commit", crash)
        with pytest.raises(Crash):
            one.commit(delivered(batch(PLAIN, 1, [row(n=1)]), ("x", 1)))
    assert two.commit(delivered(batch(PLAIN, B + 1, [row(n=1)]), ("x", 1))).outcome == Outcome(stored=1)
    assert one.commit(delivered(batch(PLAIN, 1, [row(n=1)]), ("x", 1))).outcome == Outcome(duplicate=1)


def test_two_that_claim_the_same_in_opposite_order_do_not_hold_each_other_up(pair: Pair) -> None:
    names = [(f"id {n}", 1) for n in range(200)]
    events = [row(n=n) for n in range(200)]
    for turn in range(5):
        here = delivered(batch(PLAIN, A + 200 * turn + 1, events), *[(f"{turn} {name}", 1) for name, _ in names])
        there = delivered(batch(PLAIN, B + 200 * turn + 1, events), *[(f"{turn} {name}", 1) for name, _ in names[::-1]])
        threads = [threading.Thread(target=pair[of].commit, args=(one,)) for of, one in enumerate((here, there))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    both = ledger(pair[0]) + ledger(pair[1])
    assert both == Outcome(stored=1000, duplicate=1000)


def test_what_is_refined_again_is_what_it_was_also_when_no_claim_is_remembered(pair: Pair, clock: Clock) -> None:
    one, two = pair
    live = [
        (one, delivered(batch(PLAIN, 1, [row(n=1), row(n=2)]), ("x", 1), ("y", 1))),
        (two, delivered(batch(PLAIN, B + 1, [row(n=2), row(n=3)]), ("y", 1), ("z", 1))),
    ]
    for store, what in live:
        store.commit(what)
    before = one.generations.checksum(PLAIN)
    for turn in range(2):
        shadow = one.generations.begin(PLAIN)
        for store, what in reversed(live):  # the one whose delivery came second is first now
            again = msgspec.structs.replace(what, table=shadow)
            assert store.commit(again).outcome == store.progress(PLAIN.pipeline_id).outcome
        assert one.generations.checksum(shadow) == before
        one.generations.swap(PLAIN.pipeline_id, number(shadow))
        if turn == 0:
            clock.now = START + 40 * HOUR
            for store, base in ((one, A), (two, B)):
                settle(store, PLAIN.pipeline_id, Settled(clock.now, base + 1, (0, 1)))
            assert _claims(one) == 0


def settle(store: PostgresSilver, pipeline_id: PipelineId, settled: Settled) -> int:
    store.deliveries.settle(pipeline_id, settled)
    return store.deliveries.forget()


def _claims(store: PostgresSilver) -> int:
    (counted,) = store._database.run(
        "counting", lambda cursor: cursor.execute("SELECT count(*) FROM _claims").fetchall()
    )
    return int(counted[0])


def test_a_shadow_that_is_ahead_decides_for_the_rows_in_use(pair: Pair) -> None:
    one, two = pair
    one.prepare(PLAIN)
    shadow = one.generations.begin(PLAIN)
    one.commit(delivered(batch(shadow, 1, [row(n=1)]), ("x", 1)))
    two.commit(delivered(batch(PLAIN, B + 1, [row(n=1)]), ("x", 1)))
    one.generations.discard(PLAIN.pipeline_id, number(shadow))
    one.commit(delivered(batch(PLAIN, 1, [row(n=1)]), ("x", 1)))
    assert rows(one) == [(1, 1)]


def test_a_claim_is_kept_until_every_node_has_refined_a_day_more(pair: Pair, clock: Clock) -> None:
    one, two = pair
    one.commit(delivered(batch(PLAIN, 1, [row(n=1)]), ("x", 1)))
    pipeline_id = PLAIN.pipeline_id
    clock.now = START + 100 * HOUR
    assert settle(one, pipeline_id, Settled(clock.now, 1, (0, 1))) == 0  # the other has said nothing yet
    assert settle(two, pipeline_id, Settled(START + 23 * HOUR, B + 1, (0, 1))) == 0  # it is behind
    late = delivered(batch(PLAIN, B + 1, [row(n=1)]), ("x", 1), at=START + 23 * HOUR)
    assert two.commit(late).outcome == Outcome(duplicate=1)
    assert settle(two, pipeline_id, Settled(clock.now, B + 1, (0, 1))) == 1


def test_a_node_that_is_away_for_two_weeks_is_not_waited_for(pair: Pair, clock: Clock) -> None:
    one, _ = pair
    one.commit(delivered(batch(PLAIN, 1, [row(n=1)]), ("x", 1)))
    settled = Settled(START + timedelta(days=14), 1, (0, 1))
    clock.now = START + timedelta(days=14)
    assert settle(one, PLAIN.pipeline_id, settled) == 0
    clock.now += HOUR
    assert settle(one, PLAIN.pipeline_id, settled) == 1


def test_what_is_settled_claims_nothing_when_it_is_refined_again(pair: Pair, clock: Clock) -> None:
    one, _ = pair
    what = delivered(batch(PLAIN, 1, [row(n=1)]), ("x", 1))
    one.commit(what)
    clock.now = START + 25 * HOUR
    assert settle(one, PLAIN.pipeline_id, Settled(clock.now, 1, (0,))) == 1
    shadow = one.generations.begin(PLAIN)
    assert one.commit(msgspec.structs.replace(what, table=shadow)).outcome == Outcome(stored=1)
    assert _claims(one) == 0


def test_repetitions_are_remembered_as_long_as_bronze_has_them(pair: Pair) -> None:
    one, two = pair
    one.commit(delivered(batch(PLAIN, 1, [row(n=1), row(n=2)]), ("x", 1), ("y", 1)))
    two.commit(delivered(batch(PLAIN, B + 1, [row(n=1), row(n=2)]), ("x", 1), ("y", 1)))
    settle(two, PLAIN.pipeline_id, Settled(START, B + 2, (0, 1)))
    assert two.deliveries.repeated(PLAIN.pipeline_id, B, B + 9) == [(B + 2, B + 2)]
    two.drop(PLAIN.pipeline_id)
    assert two.deliveries.repeated(PLAIN.pipeline_id, B, B + 9) == []
    assert _claims(two) == 0


def test_what_was_stored_unclaimed_can_be_claimed_later(pair: Pair) -> None:
    one, two = pair
    one.commit(batch(PLAIN, 1, [row(n=1), row(n=2)]))
    past = delivered(batch(PLAIN, 1, [row(n=1), row(n=2)]), ("x", 1), ("y", 1))
    for _ in range(2):
        two.deliveries.claim(PLAIN.pipeline_id, past.claims)
    two.commit(delivered(batch(PLAIN, B + 1, [row(n=2), row(n=3)]), ("y", 1), ("z", 1)))
    two.deliveries.claim(PLAIN.pipeline_id, delivered(batch(PLAIN, 1, [row(n=1)]), ("z", 1)).claims)
    assert rows(one) == [(1, 1), (2, 2), (B + 2, 3)]
    assert one.commit(delivered(batch(PLAIN, 3, [row(n=3)]), ("z", 1))).outcome == Outcome(stored=2, duplicate=1)
