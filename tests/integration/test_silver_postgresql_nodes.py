"""Several nodes on one database: what they do at the same time comes out as if they had done it one after the other."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
import pytest

from appliance.components.feed import FeedPlace
from appliance.components.silver import Aggregation, DeadLetterQuery, Measure, Progress, RecordQuery, Table
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import FieldType
from appliance.domain.partition import Partition, base_of
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.errors import Conflict, FatalError, TransientError
from appliance.storage.silver_postgres import progress, recount
from appliance.storage.silver_postgres.connections import Check, Connection, Connections, unseen
from appliance.storage.silver_postgres.store import PostgresSilver
from tests.silver_batches import FILTERED, KEYED, PLAIN, amendment, batch, dead, number, row, rows_in, table

SCHEMA = "dash_org_nodes"
COUNTED = msgspec.structs.replace(
    PLAIN, rollups=(Rollup(name="per_hour", bucket="1h", measures=[RollupMeasure("sum", "n")]),)
)


@pytest.fixture
def nodes(database_url: str) -> Iterator[list[PostgresSilver]]:
    """Three nodes, each with connections of its own."""
    every = [Connections(database_url, size=3) for _ in range(3)]
    yield [PostgresSilver(connections, SCHEMA) for connections in every]
    for connections in every:
        connections.close()


def together(*works: Callable[[], object]) -> None:
    """Run them in threads of their own; raise what any of them raised."""
    failures: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for failure in failures:
        raise failure


def test_a_schema_is_begun_by_several_at_once(database_url: str) -> None:
    connections = Connections(database_url, size=8)
    together(*[lambda: PostgresSilver(connections, SCHEMA)] * 8)
    store = PostgresSilver(connections, SCHEMA)
    assert store.commit(batch(PLAIN, 1, [row(n=1)])) == Progress(1, Outcome(1))
    connections.close()


def test_a_schema_of_a_newer_version_is_refused(database_url: str, nodes: list[PostgresSilver]) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"UPDATE {SCHEMA}._format SET format = 2")
    connections = Connections(database_url, size=1)
    with pytest.raises(FatalError, match="has format 2, expected at most 1") as caught:
        PostgresSilver(connections, SCHEMA)
    assert caught.value.hint == "run the version of Dash that wrote it, or a newer one"
    connections.close()


def test_what_one_node_did_the_next_statement_of_another_knows(nodes: list[PostgresSilver]) -> None:
    one, other, _ = nodes
    one.commit(batch(PLAIN, 1, [row(device="old", n=1)]))
    assert rows_in(other, PLAIN, "device") == [("old",)]
    shadow = one.generations.begin(PLAIN)
    one.commit(batch(shadow, 1, [row(device="new", n=1)]))
    former = one.generations.swap(PLAIN.pipeline_id, number(shadow))
    assert rows_in(other, PLAIN, "device") == [("new",)]
    assert other.commit(batch(PLAIN, 2, [row(device="newer", n=2)])).seq == 2
    one.generations.discard(PLAIN.pipeline_id, former)
    wider = table(device=FieldType.STRING, n=FieldType.FLOAT)
    one.prepare(wider)
    other.commit(batch(wider, 3, [row(device="widest", n=0.5)]))
    assert rows_in(one, wider, "device", "n") == [("new", 1.0), ("newer", 2.0), ("widest", 0.5)]
    with pytest.raises(Conflict, match="holds float and cannot become integer"):
        other.commit(batch(PLAIN, 4, [row(n=4)]))


def test_two_that_store_the_same_batch_store_it_once(nodes: list[PostgresSilver]) -> None:
    nodes[0].prepare(PLAIN)
    refused: list[Conflict] = []

    def store(silver: PostgresSilver) -> None:
        try:
            silver.commit(batch(PLAIN, 1, [row(n=n) for n in range(2_000)]))
        except Conflict as error:
            refused.append(error)

    together(*(lambda silver=silver: store(silver) for silver in nodes))
    assert len(refused) == 2
    assert nodes[0].recount(PLAIN) == nodes[0].progress(PLAIN.pipeline_id).outcome == Outcome(2_000)


def test_two_that_store_one_key_leave_one_row(nodes: list[PostgresSilver]) -> None:
    nodes[0].prepare(KEYED)

    def work(silver: PostgresSilver, part: int) -> None:
        for first in range(1, 41, 2):
            seq = base_of(Partition(part)) + first
            silver.commit(batch(KEYED, seq, [row(_key="a", n=part), row(_key=f"{part}", n=part)]))

    together(lambda: work(nodes[0], 1), lambda: work(nodes[1], 2))
    assert len(rows_in(nodes[2], KEYED, "n")) == 3  # a, 1 and 2
    sums = [outcome_of(nodes[2], KEYED, part) for part in (1, 2)]
    assert sums[0] + sums[1] == Outcome(stored=3, duplicate=77)


@pytest.mark.parametrize("of", [PLAIN, COUNTED], ids=["plain", "counted"])
def test_partitions_are_written_beside_each_other_while_generations_are_swapped(
    nodes: list[PostgresSilver], of: Table
) -> None:
    nodes[0].prepare(of)
    shadow = nodes[2].generations.begin(of)
    numbers = [1, number(shadow)]
    reached: dict[tuple[int, int], int] = {}

    def store(silver: PostgresSilver, part: int) -> None:
        for _ in range(25):
            for generation in numbers:  # what is live changes all the while; either takes its own next batch
                own = msgspec.structs.replace(of, generation=generation)
                seq = reached.get((part, generation), base_of(Partition(part)))
                silver.commit(batch(own, seq + 1, [row(device="d", n=1)] * 20))
                reached[part, generation] = seq + 20

    def swap() -> None:
        for turn in range(30):
            nodes[2].generations.swap(of.pipeline_id, numbers[turn % 2])

    together(lambda: store(nodes[0], 0), lambda: store(nodes[1], 1), swap)
    for generation in numbers:
        own = msgspec.structs.replace(of, generation=generation)
        counted = nodes[0].aggregate(own, Aggregation(measures=(Measure("sum", "n", "s"),)))
        assert counted.column("s").to_pylist() == [1_000]
        assert [outcome_of(nodes[1], own, part) for part in (0, 1)] == [Outcome(500), Outcome(500)]


def test_control_an_outcome_that_rows_do_not_bear_out_is_noticed(
    database_url: str, nodes: list[PostgresSilver]
) -> None:
    nodes[0].commit(batch(PLAIN, base_of(Partition(1)) + 1, [row(n=1), row(n=2)]))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"DELETE FROM {SCHEMA}.rows_pl_test WHERE n = 2")
    with pytest.raises(AssertionError):
        outcome_of(nodes[1], PLAIN, 1)


def outcome_of(silver: PostgresSilver, of: Table, part: int) -> Outcome:
    """Return what the progress of a partition says, after counting again."""
    generation = of.generation or 1

    def work(cursor: Any) -> tuple[Progress | None, Outcome]:
        found = progress.read(cursor, of.pipeline_id, generation, Partition(part))
        return found, recount.recount(cursor, of.pipeline_id, generation, Partition(part))

    found, counted = silver._database.read("counting", 60.0, work)
    assert found is not None
    assert found.outcome == counted
    return counted


# --- connections


def test_a_pool_that_is_used_up_says_so_in_time(database_url: str) -> None:
    connections = Connections(database_url, size=1, wait_secs=0.2)
    store = PostgresSilver(connections, SCHEMA)
    with connections.begun("holding it", "BEGIN"), pytest.raises(TransientError, match="all 1 connections are in use"):
        store.progress(PLAIN.pipeline_id)
    assert store.progress(PLAIN.pipeline_id) == Progress()
    connections.close()


def test_a_server_that_is_not_there_is_named_without_the_password(tmp_path: Any) -> None:
    connections = Connections(f"postgresql://me:s3cret@/db?host={tmp_path}", size=2, wait_secs=0.3)
    with pytest.raises(TransientError, match="the database cannot be reached") as caught:
        PostgresSilver(connections, SCHEMA)
    assert "s3cret" not in str(caught.value)
    connections.close()


def test_a_read_that_takes_too_long_is_ended(nodes: list[PostgresSilver]) -> None:
    nodes[0].commit(batch(PLAIN, 1, [row(device=str(n), n=n) for n in range(20_000)]))
    slow = Aggregation(measures=(Measure("distinct", "n", "d"), Measure("p50", "n", "p")), group_by=("device",))
    with pytest.raises(TransientError, match=r"took longer than 0\.001 s\. Narrow the time range"):
        nodes[0].aggregate(PLAIN, slow, timeout_secs=0.001)
    assert nodes[0].records(PLAIN, RecordQuery(limit=1)).num_rows == 1


class Forgetful(Connections):
    """Connections of which the answer to the next COMMIT is lost, whether or not it was done."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.lost: str | None = None

    @contextmanager
    def begun(self, doing: str, begin: str, check: Check = unseen) -> Iterator[Connection]:
        with super().begun(doing, begin, check) as connection:
            yield connection if self.lost is None else self._losing(connection)

    def _losing(self, connection: Connection) -> Any:
        instead, self.lost = self.lost, None

        class Losing:
            closed = broken = False

            def __getattr__(self, name: str) -> Any:
                return getattr(connection, name)

            def execute(self, statement: str) -> Any:
                connection.execute(instead if statement == "COMMIT" else statement)
                if statement == "COMMIT":
                    raise psycopg.OperationalError("server closed the connection unexpectedly")

        return Losing()


@pytest.mark.parametrize(("done", "seq"), [("COMMIT", 2), ("ROLLBACK", 1)])
def test_a_commit_whose_answer_is_lost_is_looked_for(database_url: str, done: str, seq: int) -> None:
    connections = Forgetful(database_url, size=2)
    store = PostgresSilver(connections, SCHEMA)
    store.commit(batch(PLAIN, 1, [row(n=1)]))
    connections.lost = done
    if done == "COMMIT":
        assert store.commit(batch(PLAIN, 2, [row(n=2)])) == Progress(2, Outcome(2))
    else:
        with pytest.raises(TransientError, match="went away"):
            store.commit(batch(PLAIN, 2, [row(n=2)]))
    assert store.progress(PLAIN.pipeline_id).seq == seq
    assert len(rows_in(store, PLAIN, "n")) == seq
    connections.close()


def test_each_store_speaks_of_its_own_partition_and_shows_all(silver_connections: Connections) -> None:
    here, there = (PostgresSilver(silver_connections, SCHEMA, partition=Partition(part)) for part in (0, 1))
    base, nothing = base_of(Partition(1)), PipelineId("pl_nothing")
    here.prepare(PLAIN)
    assert [store.progress(PLAIN.pipeline_id) for store in (here, there)] == [Progress(0), Progress(base)]
    assert [store.generations.all(PLAIN.pipeline_id)[0].progress.seq for store in (here, there)] == [0, base]
    here.commit(batch(PLAIN, 1, [row(n=1), row(n=2)]))
    there.commit(batch(PLAIN, base + 1, [row(n=3), FILTERED]))
    first, second = Progress(2, Outcome(stored=2)), Progress(base + 2, Outcome(stored=1, filtered=1))
    for store in (here, there):
        assert store.partitions([PLAIN.pipeline_id, nothing]) == {PLAIN.pipeline_id: {0: first, 1: second}, nothing: {}}
        assert [(one.first_seq, one.last_seq) for one in store.generations.spans(PLAIN.pipeline_id)] == [
            (1, 2), (base + 1, base + 2),
        ]  # fmt: skip
    assert [store.progress(PLAIN.pipeline_id) for store in (here, there)] == [first, second]
    assert there.counts([PLAIN.pipeline_id, nothing]) == {PLAIN.pipeline_id: second, nothing: Progress(base)}
    assert [store.recount(PLAIN) for store in (here, there)] == [first.outcome, second.outcome]


def test_a_reader_gets_every_row_of_every_partition_once(nodes: list[PostgresSilver]) -> None:
    parts = [base_of(Partition(part)) for part in (0, 1, 5)]
    for base in parts:
        nodes[0].commit(batch(PLAIN, base + 1, [row(n=base + 1), row(n=base + 2), row(n=base + 3)]))
    seen, place = read_all(nodes[1], FeedPlace(), 2)
    assert sorted(seen) == [base + event for base in parts for event in (1, 2, 3)]
    assert place == FeedPlace(3, 0, (parts[1] + 3, parts[2] + 3)) == nodes[2].feed.end(PLAIN)
    nodes[0].commit(batch(PLAIN, parts[1] + 4, [row(n=4)]))
    amended = parts[2] + 2
    nodes[0].letters.amend(amendment(PLAIN, {amended: row(n=77)}))
    assert sorted(read_all(nodes[1], place, 10)[0]) == [4, 77]
    assert read_all(nodes[1], FeedPlace(3), 10)[0] == [
        parts[1] + 1,
        parts[1] + 2,
        parts[1] + 3,
        4,
        parts[2] + 1,
        77,
        parts[2] + 3,
    ]  # as it was written before there were partitions


def test_dead_letters_of_several_nodes_are_in_the_order_of_their_receipt(nodes: list[PostgresSilver]) -> None:
    base = base_of(Partition(1))  # seconds of receipt begin anew behind it, as numbers do
    nodes[0].commit(batch(PLAIN, 1, [dead(), dead(), dead()]))
    nodes[1].commit(batch(PLAIN, base + 1, [dead(), dead()]))
    seen: list[int] = []
    before = None
    while page := nodes[2].dead_letters(PLAIN.pipeline_id, DeadLetterQuery(before=before, limit=2)).to_pylist():
        seen += [letter["seq"] for letter in page]
        before = (page[-1]["received_at"], page[-1]["seq"])
    assert seen == [3, base + 2, 2, base + 1, 1]


def test_no_partition_waits_for_a_busy_one(nodes: list[PostgresSilver]) -> None:
    base = base_of(Partition(1))
    nodes[0].commit(batch(PLAIN, 1, [row(n=n) for n in range(1000)]))
    nodes[0].commit(batch(PLAIN, base + 1, [row(n=-1)]))
    rows, place = nodes[0].feed.read(PLAIN, FeedPlace(), 10)
    assert (rows.num_rows, place) == (6, FeedPlace(5, 0, (base + 1,)))


def read_all(store: PostgresSilver, place: FeedPlace, limit: int) -> tuple[list[int], FeedPlace]:
    """Read until nothing moves; return ``n`` of the rows, and the place."""
    seen: list[int] = []
    while True:
        rows, after = store.feed.read(PLAIN, place, limit)
        seen += rows.column("n").to_pylist()
        if after == place:
            return seen, place
        place = after


def test_rows_of_all_nodes_are_trimmed_by_any_or_those_of_one(silver_connections: Connections) -> None:
    here, there = (PostgresSilver(silver_connections, "dash_org_trimmed", partition=Partition(part)) for part in (0, 1))
    base = base_of(Partition(1))
    here.commit(batch(COUNTED, 1, [row(n=1), row(n=2), dead()]))
    there.commit(batch(COUNTED, base + 1, [row(n=3), row(n=4), dead()]))
    later = datetime(2030, 1, 1, tzinfo=UTC)
    assert there.upkeep.trim(COUNTED, later, up_to=base + 1) == 1
    assert sorted(rows_in(here, COUNTED, "n")) == [(1,), (2,), (4,)]
    assert there.upkeep.trim(COUNTED, later, up_to=2) == 2
    assert rows_in(here, COUNTED, "n") == [(4,)]
    assert [(one.stored, one.gone) for one in here.generations.spans(COUNTED.pipeline_id)] == [(2, 2), (2, 1)]
    assert here.upkeep.trim(COUNTED, later) == 1
    assert [(one.stored, one.gone) for one in here.generations.spans(COUNTED.pipeline_id)] == [(2, 2), (2, 2)]
    assert [store.recount(COUNTED) for store in (here, there)] == [Outcome(stored=2, dead=1)] * 2


def test_events_of_several_partitions_are_amended_and_erased_each_in_its_own(nodes: list[PostgresSilver]) -> None:
    base = base_of(Partition(1))
    nodes[0].commit(batch(PLAIN, 1, [row(n=1), dead()]))
    nodes[0].commit(batch(PLAIN, base + 1, [row(n=3), dead()]))
    nodes[0].letters.amend(amendment(PLAIN, {2: row(n=2), base + 2: FILTERED}))
    assert ledger_of(nodes[1]) == {0: Outcome(stored=2), 1: Outcome(stored=1, filtered=1)}
    assert nodes[2].upkeep.erase(PLAIN, [1, base + 1]).outcome == Outcome(stored=1, filtered=1)
    assert ledger_of(nodes[1]) == {0: Outcome(stored=1, filtered=1), 1: Outcome(filtered=2)}


def ledger_of(store: PostgresSilver) -> dict[int, Outcome]:
    return {of: one.outcome for of, one in store.partitions([PLAIN.pipeline_id])[PLAIN.pipeline_id].items()}
