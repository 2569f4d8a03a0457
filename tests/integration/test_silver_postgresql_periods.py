"""Rows partitioned by time: made where rows need it, dropped whole by retention, and right wherever a row ended up."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from appliance.components.silver import Aggregation, Measure
from appliance.domain.ledger import Outcome
from appliance.domain.partition import Partition, base_of
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.occupied import measure
from appliance.storage.silver_postgres.store import PostgresSilver
from tests.silver_batches import KEYED, PLAIN, Event, amendment, batch, dead, number, row, rows_in

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SCHEMA = "dash_org_periods"
ID = PLAIN.pipeline_id


class Opened:
    """A store at a moment that can be moved, and a look past it."""

    def __init__(self, url: str) -> None:
        self.now = NOW
        self.connections = Connections(url, size=3)
        self.silver = PostgresSilver(self.connections, SCHEMA, clock=lambda: self.now)
        self.aside = psycopg.connect(url, autocommit=True)

    def rows_by_partition(self, table: str = "rows_pl_test") -> dict[str, int]:
        """Return how many rows each partition has, by what its name ends with."""
        found = self.aside.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r'"
            " AND starts_with(relname, %s) ORDER BY 1",
            (SCHEMA, table),
        ).fetchall()
        count = "SELECT count(*) FROM {}"
        return {
            name.removeprefix(f"{table}."): self.aside.execute(count.format(f'{SCHEMA}."{name}"')).fetchall()[0][0]
            for (name,) in found
        }


@pytest.fixture
def opened(database_url: str) -> Iterator[Opened]:
    one = Opened(database_url)
    yield one
    one.aside.close()
    one.connections.close()


def at(days_ago: float) -> datetime:
    return NOW - timedelta(days=days_ago)


def test_partitions_are_made_for_what_comes_and_for_what_comes_next(opened: Opened) -> None:
    opened.silver.commit(batch(PLAIN, 1, [row(n=1, _time=at(0)), row(n=2, _time=at(25)), row(n=3, _time=at(0))]))
    assert opened.rows_by_partition() == {"20261001": 1, "20261101": 2, "20261201": 0, "rest": 0}
    opened.silver.commit(batch(PLAIN, 4, [row(n=4, _time=at(-30))]))
    assert opened.rows_by_partition() == {"20261001": 1, "20261101": 2, "20261201": 1, "rest": 0}
    assert rows_in(opened.silver, PLAIN, "n") == [(2,), (1,), (3,), (4,)]


def test_times_beyond_reason_make_no_partitions(opened: Opened) -> None:
    odd = [datetime(1900, 1, 1, tzinfo=UTC), datetime(2199, 12, 31, tzinfo=UTC), at(4_000), at(-100)]
    opened.silver.commit(batch(PLAIN, 1, [row(n=n, _time=time) for n, time in enumerate(odd)]))
    assert opened.rows_by_partition() == {"rest": 4}
    assert rows_in(opened.silver, PLAIN, "n") == [(0,), (2,), (3,), (1,)]


def test_retention_drops_what_is_old_as_a_whole_and_removes_the_rest_by_rows(opened: Opened) -> None:
    times = [at(80), at(79), at(50), at(49), at(20), at(0), datetime(1900, 1, 1, tzinfo=UTC)]
    events = [row(n=n, _time=time) for n, time in enumerate(times)]
    two_sided = Event(({"n": 7, "_time": at(79)}, {"n": 8, "_time": at(0)}))
    opened.silver.commit(batch(PLAIN, 1, [*events, two_sided, dead()]))
    assert opened.silver.upkeep.trim(PLAIN, at(50)) == 4  # two of September, one of 1900, half an event
    assert opened.rows_by_partition() == {"20261001": 3, "20261101": 2, "20261201": 0, "rest": 0}
    assert [n for (n,) in rows_in(opened.silver, PLAIN, "n")] == [2, 3, 4, 5, 8]
    assert [span.gone for span in opened.silver.generations.spans(ID)] == [3]
    assert opened.silver.recount(PLAIN) == opened.silver.progress(ID).outcome == Outcome(stored=8, dead=1)


def test_a_partition_with_events_not_read_downstream_stays(opened: Opened) -> None:
    opened.silver.commit(batch(PLAIN, 1, [row(n=1, _time=at(80)), row(n=2, _time=at(80)), row(n=3, _time=at(0))]))
    assert opened.silver.upkeep.trim(PLAIN, at(10), up_to=1) == 1
    assert opened.rows_by_partition()["20260901"] == 1
    assert opened.silver.upkeep.trim(PLAIN, at(10)) == 1
    assert "20260901" not in opened.rows_by_partition()


def test_a_partition_with_rows_of_several_nodes_is_dropped_as_a_whole(opened: Opened) -> None:
    other = PostgresSilver(opened.connections, SCHEMA, clock=lambda: opened.now, partition=Partition(3))
    opened.silver.commit(batch(PLAIN, 1, [row(n=1, _time=at(80)), row(n=2, _time=at(0))]))
    other.commit(batch(PLAIN, base_of(Partition(3)) + 1, [row(n=3, _time=at(80)), row(n=4, _time=at(0))]))
    assert other.upkeep.trim(PLAIN, at(10), up_to=2) == 1  # those of one node alone leave a table that is half empty
    assert opened.rows_by_partition()["20260901"] == 1
    opened.silver.commit(batch(PLAIN, 3, [row(n=5, _time=at(80))]))
    assert other.upkeep.trim(PLAIN, at(10)) == 2
    assert "20260901" not in opened.rows_by_partition()
    assert [span.gone for span in opened.silver.generations.spans(ID)] == [2, 1]


def test_a_partition_that_somebody_reads_stays_without_its_rows(opened: Opened) -> None:
    opened.silver.commit(batch(PLAIN, 1, [row(n=1, _time=at(80)), row(n=2, _time=at(0))]))
    with opened.aside.transaction():
        opened.aside.execute(f"SELECT * FROM {SCHEMA}.rows_pl_test").fetchall()
        assert opened.silver.upkeep.trim(PLAIN, at(10)) == 1
    assert opened.rows_by_partition()["20260901"] == 0
    assert opened.silver.recount(PLAIN) == Outcome(stored=2)


def test_what_is_dropped_while_somebody_measures_has_no_size(opened: Opened) -> None:
    opened.silver.commit(batch(PLAIN, 1, [row(n=1, _time=at(80)), row(n=2, _time=at(0))]))
    with opened.aside.transaction():
        opened.aside.execute(f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL search_path TO {SCHEMA}")
        before = measure(opened.aside.cursor()).file_bytes  # what it sees from now on is as of this moment
        assert opened.silver.upkeep.trim(PLAIN, at(10)) == 1
        assert 0 < measure(opened.aside.cursor()).file_bytes < before


def test_a_row_that_comes_late_is_kept_though_its_partition_is_gone(opened: Opened) -> None:
    opened.silver.commit(batch(PLAIN, 1, [row(n=1, _time=at(80)), row(n=2, _time=at(0))]))
    opened.silver.upkeep.trim(PLAIN, at(40))
    opened.silver.commit(batch(PLAIN, 3, [row(n=3, _time=at(80))]))
    assert rows_in(opened.silver, PLAIN, "n") == [(3,), (2,)]
    assert opened.silver.upkeep.trim(PLAIN, at(40)) == 1
    assert opened.silver.recount(PLAIN) == Outcome(stored=3)


def test_the_shorter_rows_are_kept_the_shorter_periods_become(opened: Opened) -> None:
    opened.silver.commit(batch(PLAIN, 1, [row(n=1, _time=at(0))]))
    opened.silver.upkeep.trim(PLAIN, at(7))
    opened.silver.commit(batch(PLAIN, 2, [row(n=2, _time=at(0))]))  # within a month that is there
    opened.now = datetime(2027, 1, 5, tzinfo=UTC)
    opened.silver.commit(batch(PLAIN, 3, [row(n=3, _time=opened.now)]))
    assert opened.rows_by_partition() == {"20261101": 2, "20261201": 0, "20270105": 1, "20270106": 0, "rest": 0}


def test_rows_among_the_rest_keep_a_partition_of_their_time_from_being_made(opened: Opened) -> None:
    opened.silver.commit(batch(PLAIN, 1, [row(n=1, _time=at(-100))]))
    opened.now = NOW + timedelta(days=100)
    opened.silver.commit(batch(PLAIN, 2, [row(n=2, _time=at(-100)), row(n=3, _time=at(-99))]))
    assert opened.rows_by_partition()["rest"] == 3
    assert rows_in(opened.silver, PLAIN, "n") == [(3,), (1,), (2,)]


def test_a_shadow_has_the_partitions_of_what_it_takes_over(opened: Opened) -> None:
    opened.silver.commit(batch(PLAIN, 1, [row(n=1, _time=at(80)), row(n=2, _time=at(0)), row(n=3, _time=at(0))]))
    shadow = opened.silver.generations.begin(PLAIN, 3)
    found = opened.rows_by_partition(f"rows_pl_test#{number(shadow)}")
    assert found == {"20260901": 1, "20261101": 1, "20261201": 0, "rest": 0}


def test_rows_with_keys_are_not_partitioned_but_may_get_keys_later(opened: Opened) -> None:
    opened.silver.commit(batch(KEYED, 1, [row(_key="a", n=1, _time=at(0))]))
    assert opened.rows_by_partition("rows_pl_keyed") == {"rows_pl_keyed": 1}
    opened.silver.commit(batch(PLAIN, 1, [row(n=1, _time=at(0))]))
    keyed = type(PLAIN)(ID, PLAIN.columns, keyed=True)
    opened.silver.commit(batch(keyed, 2, [row(_key="a", n=2, _time=at(40)), row(_key="a", n=3, _time=at(0))]))
    opened.silver.commit(batch(keyed, 4, [row(_key="a", n=4, _time=at(80))]))
    assert rows_in(opened.silver, keyed, "n") == [(4,), (1,)]
    opened.silver.letters.amend(amendment(keyed, {2: row(_key="b", n=20, _time=at(0))}))
    answer = opened.silver.aggregate(keyed, Aggregation(measures=(Measure("sum", "n", "s"),)))
    assert answer.column("s").to_pylist() == [25]
