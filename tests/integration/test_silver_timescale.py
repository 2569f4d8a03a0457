"""Rows on TimescaleDB: what is made a hypertable, what goes into the columnstore, and who sees what meanwhile."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace
from psycopg.conninfo import make_conninfo

from appliance.components.silver import Aggregation, Measure, RecordQuery, Table
from appliance.domain.mapping import FieldType
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.store import PostgresSilver
from appliance.storage.silver_postgres.timescale_wanted import Wanted
from appliance.storage.silver_postgres.timescale_widths import MOST
from tests.running import until
from tests.silver_batches import KEYED, PLAIN, START, Event, batch, number, row, rows_in
from tests.silver_batches import table as table_of
from tests.timescale import LONG_AFTER, extend, needs_own_timescale, needs_timescale, own_timescale, timescale_store

pytestmark = needs_timescale

DAY = timedelta(days=1)
ROWS = Aggregation(measures=(Measure("count", None, "rows"),))
_numbers = count(1)


@pytest.fixture
def sql(timescale_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(timescale_url, autocommit=True) as connection:
        yield connection


class Stores:
    """Stores in one schema of a database."""

    def __init__(self, connections: Connections, name: str) -> None:
        self.connections, self.name = connections, name
        self._opened: list[PostgresSilver] = []

    def open(self, **wanted: Any) -> PostgresSilver:
        self._opened.append(PostgresSilver(self.connections, self.name, timescale=Wanted(**wanted)))
        return self._opened[-1]

    def close(self) -> None:
        for store in self._opened:
            store.close()


@pytest.fixture
def stores(timescale_url: str) -> Iterator[Stores]:
    connections = Connections(timescale_url, size=4)
    made = Stores(connections, f"dash_timescale_{next(_numbers)}")
    yield made
    made.close()
    connections.close()


def days(count: int, *, each: int = 24, first: int = 0) -> list[Event]:
    """Events of ``count`` days, ``each`` a day."""
    step = DAY / each
    return [row(_time=START + (first * each + n) * step, device=f"d{n % 3}", n=n) for n in range(count * each)]


def hypertables(sql: psycopg.Connection[Any], stores: Stores) -> dict[str, int]:
    """Return the hypertables of the schema and how many chunks each has."""
    asked = "SELECT hypertable_name, num_chunks FROM timescaledb_information.hypertables WHERE hypertable_schema = %s"
    return dict(sql.execute(asked, (stores.name,)).fetchall())


def counted(store: PostgresSilver, of: Table = PLAIN) -> int:
    rows: int = store.aggregate(of, ROWS).to_pylist()[0]["rows"]
    return rows


def test_new_rows_are_cut_into_chunks_and_those_with_keys_are_not(stores: Stores, sql: psycopg.Connection[Any]) -> None:
    store = stores.open()
    store.commit(batch(PLAIN, 1, days(3)))
    store.commit(batch(KEYED, 1, [row(_key="a", n=1)]))
    assert hypertables(sql, stores) == {"rows_pl_test": 3}
    chunking = store.upkeep.size().chunking
    assert chunking is not None
    assert (chunking.version, chunking.edition, chunking.in_use) == ("2.28.3", "community", True)
    assert [(one.chunks, one.width_secs) for one in chunking.pipelines.values()] == [(3, 86_400)]


def test_what_is_there_moves_with_the_next_generation(stores: Stores, sql: psycopg.Connection[Any]) -> None:
    native = stores.open(use=False)
    native.commit(batch(PLAIN, 1, days(2)))
    store = stores.open()
    store.commit(batch(PLAIN, 49, days(1, first=2)))
    assert hypertables(sql, stores) == {}
    shadow = store.generations.begin(PLAIN, 49)  # what is before is carried over
    store.commit(batch(shadow, 49, days(1, first=2)))
    store.generations.swap(PLAIN.pipeline_id, number(shadow))
    assert hypertables(sql, stores) == {f"rows_pl_test#{number(shadow)}": 3}
    assert counted(store) == 72
    back = stores.open(use=False)  # and the other way
    shadow = back.generations.begin(PLAIN, 49)
    back.generations.swap(PLAIN.pipeline_id, number(shadow))
    assert counted(back) == 48


def test_old_chunks_go_into_columns_and_tell_the_same(stores: Stores) -> None:
    store = stores.open(compress_after=7 * DAY)
    store.commit(batch(PLAIN, 1, days(10, each=2_000)))
    before = store.generations.checksum(PLAIN)
    # a chunk ends at midnight, seven days before: chunks 0 to 2 end on the 2nd, 3rd and 4th
    assert store.upkeep.arrange(PLAIN, START + 10 * DAY) == 3
    assert store.upkeep.arrange(PLAIN, START + 10 * DAY) == 0
    assert store.generations.checksum(PLAIN) == before
    chunking = store.upkeep.size().chunking
    assert chunking is not None
    (one,) = chunking.pipelines.values()
    assert (one.chunks, one.columnar) == (10, 3)
    assert 0 < one.columnar_bytes < 0.3 * one.as_rows_bytes
    assert store.upkeep.size().pipelines[PLAIN.pipeline_id] >= one.bytes


def test_rows_are_put_together_by_what_tells_devices_apart(stores: Stores, sql: psycopg.Connection[Any]) -> None:
    asked = "SELECT orderby FROM timescaledb_information.hypertable_columnstore_settings WHERE hypertable::text LIKE %s"
    store = stores.open()
    wide = table_of("pl_wide", **{"na me": FieldType.STRING, "n": FieldType.INTEGER})
    store.commit(batch(wide, 1, [row(**{"na me": f"d{n % 3}"}, n=n) for n in range(1_000)]))
    assert store.upkeep.arrange(wide, LONG_AFTER) == 1
    assert sql.execute(asked, (f"%{stores.name}%pl_wide%",)).fetchall() == [('"na me",_time,_seq',)]
    grouped = replace(
        table_of("pl_grouped", device=FieldType.STRING, n=FieldType.INTEGER),
        rollups=(Rollup(name="by_n", bucket="1h", group_by=["n"], measures=[]),),
    )
    store.commit(batch(grouped, 1, [row(device=f"d{n % 3}", n=n % 2) for n in range(1_000)]))
    assert store.upkeep.arrange(grouped, LONG_AFTER) == 1
    assert sql.execute(asked, (f"%{stores.name}%pl_grouped%",)).fetchall() == [("n,_time,_seq",)]


def test_times_far_apart_do_not_make_thousands_of_chunks(stores: Stores, sql: psycopg.Connection[Any]) -> None:
    store = stores.open()
    far = [row(_time=datetime(1900 + n // 12, n % 12 + 1, 1, tzinfo=UTC), n=n) for n in range(2_400)]
    store.commit(batch(PLAIN, 1, [*days(3), *far]))
    at_once = hypertables(sql, stores)["rows_pl_test"]
    assert 0 < at_once <= 3 * 32
    assert counted(store) == 2_472
    store.commit(batch(PLAIN, 2_473, days(1, first=700)))
    assert sql.execute(
        "SELECT time_interval FROM timescaledb_information.dimensions WHERE hypertable_schema = %s", (stores.name,)
    ).fetchall() == [(DAY,)]


def test_nodes_that_replay_history_at_once_do_not_get_into_each_others_way(stores: Stores) -> None:
    every = [stores.open() for _ in range(4)]
    every[0].prepare(PLAIN)
    far = [row(_time=datetime(1900 + n // 12, n % 12 + 1, 1, tzinfo=UTC), n=n) for n in range(600)]
    with ThreadPoolExecutor(4) as threads:
        of = [threads.submit(store.commit, batch(PLAIN, (n << 44) + 1, far)) for n, store in enumerate(every)]
        assert [one.result().outcome.stored for one in of] == [600] * 4
    assert counted(every[0]) == 2_400


@pytest.mark.slow
def test_a_clock_gone_mad_fills_gaps_once_the_budget_is_used_up(stores: Stores, sql: psycopg.Connection[Any]) -> None:
    store = stores.open()
    for n in range(MOST + 60):
        store.commit(batch(PLAIN, n + 1, [row(_time=START + 2 * (n * 7919 % 3_000) * DAY, n=n)]))
    assert hypertables(sql, stores)["rows_pl_test"] <= MOST + 60
    assert counted(store) == MOST + 60
    widest = sql.execute(
        "SELECT max(range_end - range_start) > interval '1 day' FROM timescaledb_information.chunks"
        " WHERE hypertable_schema = %s",
        (stores.name,),
    )
    assert widest.fetchall() == [(True,)]


def test_retention_drops_chunks_and_counts_what_is_gone(stores: Stores, sql: psycopg.Connection[Any]) -> None:
    store = stores.open()
    store.commit(batch(PLAIN, 1, days(4)))  # 24 a day
    store.upkeep.arrange(PLAIN, LONG_AFTER)
    assert store.upkeep.trim(PLAIN, START + 2 * DAY + DAY / 2) == 60
    assert hypertables(sql, stores) == {"rows_pl_test": 2}
    assert [span.gone for span in store.generations.spans(PLAIN.pipeline_id)] == [60]
    assert counted(store) == 36
    assert store.recount(PLAIN) == store.progress(PLAIN.pipeline_id).outcome


def test_retention_leaves_a_chunk_with_an_event_that_somebody_needs(
    stores: Stores, sql: psycopg.Connection[Any]
) -> None:
    store = stores.open()
    store.commit(batch(PLAIN, 1, days(3)))
    store.commit(batch(PLAIN, 73, [row(_time=START + DAY / 4, n=99)]))  # late, of the first day
    assert store.upkeep.trim(PLAIN, START + 2 * DAY, up_to=72) == 48
    assert hypertables(sql, stores) == {"rows_pl_test": 2}  # the first, for one row, and the third
    assert sorted(n for (n,) in rows_in(store, PLAIN, "n"))[-1] == 99


def test_events_scattered_over_columns_are_erased(stores: Stores) -> None:
    store = stores.open()
    store.commit(batch(PLAIN, 1, days(5, each=3_000)))
    store.upkeep.arrange(PLAIN, LONG_AFTER)
    gone = [1, 2_999, 7_500, 7_501, 15_000]
    store.upkeep.erase(PLAIN, gone)
    assert counted(store) == 15_000 - 5
    assert store.recount(PLAIN) == store.progress(PLAIN.pipeline_id).outcome
    assert store.upkeep.arrange(PLAIN, LONG_AFTER) == 3  # of five chunks, those that were taken apart
    assert counted(store) == 15_000 - 5


def test_keys_that_come_later_take_rows_out_of_the_columns(stores: Stores) -> None:
    store, keyed = stores.open(), replace(PLAIN, keyed=True)
    store.commit(batch(PLAIN, 1, days(2)))
    store.upkeep.arrange(PLAIN, LONG_AFTER)
    store.commit(batch(keyed, 49, [row(_key="a", n=1), row(_key="a", n=2)]))
    store.commit(batch(keyed, 51, [row(_key="a", n=3)]))
    assert counted(store) == 49
    assert store.upkeep.arrange(keyed, LONG_AFTER) == 0


def test_a_chunk_waits_until_everybody_sees_its_rows(stores: Stores, timescale_url: str) -> None:
    store = stores.open()
    store.commit(batch(PLAIN, 1, days(1)))
    with psycopg.connect(timescale_url) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        reader.execute("SELECT 1 FROM pg_class LIMIT 1")  # the snapshot is taken, the rows are not looked at yet
        store.commit(batch(PLAIN, 25, days(1)))
        assert store.upkeep.arrange(PLAIN, LONG_AFTER) == 0  # else the reader would see 48
        assert reader.execute(f'SELECT count(*) FROM "{stores.name}"."rows_pl_test"').fetchall() == [(24,)]
    assert store.upkeep.arrange(PLAIN, LONG_AFTER) == 1
    assert counted(store) == 48


def test_who_reads_on_a_snapshot_misses_nothing_of_a_chunk_converted_again(stores: Stores, timescale_url: str) -> None:
    store = stores.open()
    store.commit(batch(PLAIN, 1, days(1)))
    store.upkeep.arrange(PLAIN, LONG_AFTER)
    store.commit(batch(PLAIN, 25, days(1)))
    with psycopg.connect(timescale_url) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        reader.execute("SELECT 1 FROM pg_class LIMIT 1")
        until(lambda: store.upkeep.arrange(PLAIN, LONG_AFTER) == 1)  # not while the server sums up or cleans that chunk
        assert reader.execute(f'SELECT count(*) FROM "{stores.name}"."rows_pl_test"').fetchall() == [(48,)]


def test_the_same_without_our_setting_misses_rows(
    stores: Stores, timescale_url: str, sql: psycopg.Connection[Any]
) -> None:
    """The control: if TimescaleDB does it right one day, this fails, and the setting can go."""
    store = stores.open()
    store.commit(batch(PLAIN, 1, days(1)))
    store.upkeep.arrange(PLAIN, LONG_AFTER)
    store.commit(batch(PLAIN, 25, days(1)))
    with psycopg.connect(timescale_url) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        reader.execute("SELECT 1 FROM pg_class LIMIT 1")
        ((chunk,),) = sql.execute(f"""SELECT show_chunks('"{stores.name}"."rows_pl_test"')::text""").fetchall()
        sql.execute("CALL convert_to_columnstore(%s::regclass)", (chunk,))
        assert reader.execute(f'SELECT count(*) FROM "{stores.name}"."rows_pl_test"').fetchall() == [(24,)]


@needs_own_timescale
def test_the_apache_edition_keeps_rows_and_says_so() -> None:
    with own_timescale(**{"timescaledb.license": "apache"}) as server:
        extend(server.url())
        with timescale_store(server.url()) as store:
            store.commit(batch(PLAIN, 1, days(3)))
            assert store.upkeep.arrange(PLAIN, LONG_AFTER) == 0
            assert store.upkeep.trim(PLAIN, START + DAY) == 24
            assert store.upkeep.erase(PLAIN, [30]).outcome.filtered == 1
            chunking = store.upkeep.size().chunking
    assert chunking is not None
    assert (chunking.edition, chunking.columnstore) == ("apache", False)
    assert chunking.notes == (
        "The server runs the Apache-licensed edition: hypertables, but no columnstore, so rows stay rows.",
    )
    assert [one.chunks for one in chunking.pipelines.values()] == [2]


def test_policies_that_somebody_else_made_are_told(stores: Stores, sql: psycopg.Connection[Any]) -> None:
    store = stores.open()
    store.commit(batch(PLAIN, 1, days(1)))
    sql.execute("SELECT add_retention_policy(%s::regclass, interval '30 days')", (f'"{stores.name}"."rows_pl_test"',))
    chunking = store.upkeep.size().chunking
    assert chunking is not None
    assert chunking.policies == ("policy_retention of rows_pl_test, every 1 day",)


def test_another_width_counts_for_chunks_to_come(stores: Stores) -> None:
    store = stores.open()
    store.commit(batch(PLAIN, 1, days(2)))
    wider = stores.open(interval=7 * DAY, compress_after=None)
    assert wider.upkeep.arrange(PLAIN, LONG_AFTER) == 0
    wider.commit(batch(PLAIN, 49, days(7, first=20)))
    chunking = wider.upkeep.size().chunking
    assert chunking is not None
    (one,) = chunking.pipelines.values()
    assert (one.width_secs, one.columnar) == (604_800, 0)
    assert one.chunks <= 2 + 2  # seven days touch two weeks at most
    assert (chunking.columnstore, chunking.compress_after_secs) == (False, None)


def test_compacting_and_dropping_reach_the_chunks(stores: Stores, sql: psycopg.Connection[Any]) -> None:
    store = stores.open()
    store.commit(batch(PLAIN, 1, days(2, each=3_000)))
    store.upkeep.erase(PLAIN, list(range(1, 5_001)))
    store.upkeep.compact()
    assert rows_in(store, PLAIN, "n", start=START)[0] == (5_000,)
    store.drop(PLAIN.pipeline_id)
    assert hypertables(sql, stores) == {}
    assert store.records(PLAIN, RecordQuery()).num_rows == 0


def test_views_for_others_are_kept_and_outlive_a_replay(stores: Stores, sql: psycopg.Connection[Any]) -> None:
    rollup = Rollup(
        name="per_day",
        bucket="1d",
        group_by=["device"],
        measures=[RollupMeasure("avg", "n"), RollupMeasure("last", "n"), RollupMeasure("percentiles", "n")],
    )
    counted_too, store = replace(PLAIN, rollups=(rollup,)), stores.open(views=True, compress_after=None)
    shown = f'SELECT sum(rows), max(last_n) FROM "{stores.name}"."pl_test.per_day"'
    store.prepare(counted_too)
    store.commit(batch(counted_too, 1, days(3)))
    now = START + 3 * DAY
    store.upkeep.arrange(counted_too, now)
    assert sql.execute(shown).fetchall() == [(72, 71)]
    store.commit(batch(counted_too, 73, days(1, first=5)))  # above what is counted: read from the rows
    assert sql.execute(shown).fetchall() == [(96, 71)]
    store.commit(batch(counted_too, 97, days(1)))  # late: not there before the next round
    assert sql.execute(shown).fetchall() == [(96, 71)]
    store.upkeep.arrange(counted_too, now)
    assert sql.execute(shown).fetchall() == [(120, 71)]
    shadow = store.generations.begin(counted_too, 121)
    store.generations.swap(PLAIN.pipeline_id, number(shadow))
    store.upkeep.arrange(counted_too, now)
    assert sql.execute(shown).fetchall() == [(120, 71)]
    store.generations.discard(PLAIN.pipeline_id, 1)
    chunking = store.upkeep.size().chunking
    assert chunking is not None
    assert chunking.views == ("pl_test.per_day",)
    stores.open().upkeep.arrange(counted_too, now)  # which does not want them
    assert sql.execute("SELECT count(*) FROM pg_views WHERE schemaname = %s", (stores.name,)).fetchall() == [(0,)]
    store.drop(PLAIN.pipeline_id)


def test_pipelines_with_views_can_be_dropped(stores: Stores, sql: psycopg.Connection[Any]) -> None:
    rollup = Rollup(name="a" * 40, bucket="1h", measures=[RollupMeasure("max", "n")])
    named = replace(table_of("pl_01hzzzzzzzzzzzzzzzzzzzzzzz", n=FieldType.INTEGER), rollups=(rollup,))
    store = stores.open(views=True)
    store.commit(batch(named, 1, days(1)))
    store.upkeep.arrange(named, START + DAY)
    chunking = store.upkeep.size().chunking
    assert chunking is not None
    assert [len(view) for view in chunking.views] == [63]
    store.drop(named.pipeline_id)
    assert hypertables(sql, stores) == {}


def test_a_role_that_may_do_nothing_else_is_enough(
    stores: Stores, timescale_url: str, sql: psycopg.Connection[Any]
) -> None:
    role = f"{stores.name}_role"
    sql.execute(f"CREATE ROLE {role} LOGIN")
    sql.execute(f"CREATE SCHEMA {stores.name} AUTHORIZATION {role}")
    connections = Connections(make_conninfo(timescale_url, user=role), size=2)
    try:
        store = PostgresSilver(connections, stores.name, timescale=Wanted(views=True))
        rollup = Rollup(name="per_day", bucket="1d", measures=[RollupMeasure("max", "n")])
        of = replace(PLAIN, rollups=(rollup,))
        store.commit(batch(of, 1, days(3)))
        assert store.upkeep.arrange(of, LONG_AFTER) == 3
        store.upkeep.erase(of, [30])
        assert store.upkeep.trim(of, START + DAY) == 24
        assert store.upkeep.size().chunking is not None
        assert len(store.upkeep.chunks(of).chunks) == 2  # of three, retention dropped one
        store.upkeep.compact()
        store.drop(of.pipeline_id)
    finally:
        connections.close()
        sql.execute(f"DROP OWNED BY {role} CASCADE")
        sql.execute(f"DROP ROLE {role}")
