"""Dashboards on PostgreSQL: questions of the TSBS kinds to 10 million rows, asked by several at once, through Gold.

``python -m benchmarks.postgres_queries ROWS`` asks of so many rows. There are two yardsticks, each taken in the same
round by the same number of threads: transactions that do nothing, over the same connections; and the statements with
values that the store has sent for such questions, sent again by bare psycopg, each in a transaction of its own, to
tuples.

Source: the Time Series Benchmark Suite, https://github.com/timescale/tsbs, use case "devops"; its cpu table with three
of ten measurements.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count
from queue import Queue
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
from msgspec.structs import replace

from appliance.components.arrow import DEAD_SCHEMA, INSTANT
from appliance.components.silver import Aggregation, Batch, Column, Condition, Measure, RecordQuery, Table
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import FieldType
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.store import PostgresSilver
from benchmarks.report import Figure, median, p95, spread
from tests.postgres import postgres_server

ROWS, HOSTS, COMMIT = 10_000_000, 100, 100_000
ASKING, SECONDS, ROUNDS, RECORDED = 4, 3.0, 3, 50
OF_ROWS = "high-cpu-1"  # rows as they are: no rollup has them
BY_TREES = (OF_ROWS, "double-groupby-1")
EVERY = timedelta(seconds=10)  # a reading of each host
START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE_US, HOUR_US = 60_000_000, 3_600_000_000
MEASURES = [RollupMeasure(op, field) for field in ("usage_user", "usage_system") for op in ("avg", "max", "last")]
ROLLUPS = tuple(
    Rollup(name=name, bucket=bucket, group_by=["host"], measures=MEASURES)
    for name, bucket in (("per_minute", "1m"), ("per_hour", "1h"), ("per_day", "1d"))
)
USAGES = ("usage_user", "usage_system", "usage_idle")
TABLE = Table(
    PipelineId("pl_bench"),
    (Column("host", FieldType.STRING), *(Column(one, FieldType.FLOAT) for one in USAGES)),
    rollups=ROLLUPS,
)
SETTINGS = {"fsync": "on", "shared_buffers": "1GB", "work_mem": "32MB", "max_wal_size": "4GB"}
_ROWS = """
SELECT make_timestamptz($start + n // $hosts * $every) AS _time, n + 1 AS _seq, 0::INTEGER AS _item,
    NULL::VARCHAR AS _extra, 'host_' || n % $hosts AS host,
    (hash(n + 2) % 1000)::DOUBLE / 10 AS usage_user, (hash(n) % 1000)::DOUBLE / 10 AS usage_system,
    (hash(n + 1) % 1000)::DOUBLE / 10 AS usage_idle FROM range($first, $past) AS t(n)
"""

_TREES = "SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relkind = 'i' AND starts_with(relname, 'dash_by_')"

Ask = Callable[[PostgresSilver, random.Random], pa.Table]


def figures(rows: int = ROWS) -> Iterator[Figure]:
    with postgres_server(SETTINGS) as server:
        url = server.new_database()
        connections = Connections(url, size=ASKING)
        silver = PostgresSilver(connections, "dash_bench")
        took = _fill(silver, rows)
        yield Figure(
            f"postgres: {rows:,} rows committed with three rollups, {COMMIT:,} a commit", rows / took, "rows/s"
        )
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")  # as autovacuum will have done a minute later
            yield from _before_the_end(silver, rows)
            yield from _arranged(silver, connection, rows)
        yield from _asked(silver, connections, rows, url)
        silver.close()
        connections.close()


def _before_the_end(silver: PostgresSilver, rows: int) -> Iterator[Figure]:
    """Yield how long it takes while the period of the rows lasts: they have no trees yet, and no target."""
    for kind, ask in _kinds(START + rows // HOSTS * EVERY).items():
        if kind in BY_TREES:
            _, millis = _rate(partial(ask, silver), SECONDS)
            name = f"postgres: {kind}, {ASKING} asking at once, while the month lasts, p95"
            yield Figure(name, p95(millis), "ms", remark=f"median {median(millis):.1f}")


def _arranged(silver: PostgresSilver, connection: psycopg.Connection[Any], rows: int) -> Iterator[Figure]:
    """Do a round of upkeep, as there is one every ten minutes: the month of these rows is over."""
    began = time.perf_counter()
    silver.upkeep.arrange(TABLE, datetime.now(UTC))
    yield Figure("postgres: indexing them when their month is over", time.perf_counter() - began, "s")
    found = connection.execute(_TREES).fetchall()
    yield Figure("postgres: what the trees occupy", float(found[0][0]) / rows, "bytes a row")


def _asked(silver: PostgresSilver, connections: Connections, rows: int, url: str) -> Iterator[Figure]:
    end = START + rows // HOSTS * EVERY
    kinds = _kinds(end)
    mixes = {"all kinds that rollups answer": [kind for kind in kinds if kind != OF_ROWS], "all kinds": list(kinds)}
    rates: dict[str, list[float]] = {name: [] for name in (*mixes, *kinds)}
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    bare: dict[str, list[float]] = {kind: [] for kind in kinds}
    for kind, ask in kinds.items():
        assert ask(silver, random.Random(0)).num_rows, f"{kind} answers nothing"
    sent = {kind: _recorded(partial(ask, silver)) for kind, ask in kinds.items()}
    for _ in range(ROUNDS):
        nothing = _rate(partial(_nothing, connections), SECONDS / 2)[0]
        for kind in random.sample(list(kinds), len(kinds)):
            rate, millis = _rate(partial(kinds[kind], silver), SECONDS)
            rates[kind].append(rate / nothing)
            took[kind] += millis
            bare[kind].append(rate / _bare_rate(url, sent[kind]))
        for name, mix in mixes.items():
            rate, _ = _rate(lambda chance, mix=mix: kinds[chance.choice(mix)](silver, chance), 2 * SECONDS)
            rates[name].append(rate)
    for kind, millis in took.items():
        remark = (
            f"median {median(millis):.1f}; {median(rates[kind]):.2f} of the rate of doing nothing,"
            f" {median(bare[kind]):.2f} of that of bare psycopg"
        )
        yield Figure(
            f"postgres: {kind}, {ASKING} asking at once, p95", p95(millis), "ms", 50, at_least=False, remark=remark
        )
    for name in mixes:
        yield Figure(f"postgres: {name} in turn", median(rates[name]), "queries/s", 200, remark=spread(rates[name]))


def _kinds(end: datetime) -> dict[str, Ask]:
    """Return the kinds of questions, each of another host and another stretch of time whenever it is asked."""

    def aggregated(query: Aggregation) -> Ask:
        return lambda silver, chance: silver.aggregate(TABLE, _of_some(query, chance, end))

    def high(silver: PostgresSilver, chance: random.Random) -> pa.Table:
        start = _moment(chance, end, 12)
        where = (Condition("usage_user", ">", 90.0), Condition("host", "=", f"host_{chance.randrange(HOSTS)}"))
        page = RecordQuery(start=start, end=start + timedelta(hours=12), where=where, limit=100)
        return silver.records(TABLE, page)

    host = (Condition("host", "=", ""),)
    greatest = (Measure("max", "usage_user", "max"),)
    return {
        "lastpoint": aggregated(Aggregation(measures=(Measure("last", "usage_user", "last"),), group_by=("host",))),
        "single-groupby-1-1-1": aggregated(Aggregation(measures=greatest, bucket_us=MINUTE_US, where=host, limit=1)),
        "single-groupby-1-1-12": aggregated(Aggregation(measures=greatest, bucket_us=MINUTE_US, where=host, limit=12)),
        "double-groupby-1": aggregated(
            Aggregation(
                measures=(Measure("avg", "usage_user", "avg"),), group_by=("host",), bucket_us=HOUR_US, limit=12
            )
        ),
        OF_ROWS: high,
    }


def _of_some(query: Aggregation, chance: random.Random, end: datetime) -> Aggregation:
    """Return the question for a host and so many hours as its limit says; one without a bucket is of all time."""
    if query.bucket_us is None:
        return query
    start = _moment(chance, end, query.limit)
    where = tuple(replace(one, value=f"host_{chance.randrange(HOSTS)}") for one in query.where)
    return replace(query, start=start, end=start + timedelta(hours=query.limit), where=where, limit=10_000)


def _moment(chance: random.Random, end: datetime, hours: int) -> datetime:
    room = end - START - timedelta(hours=hours)
    return START + timedelta(seconds=chance.randrange(max(1, int(room.total_seconds()))))


def _nothing(connections: Connections, _: random.Random) -> None:
    with connections.begun("doing nothing", "BEGIN READ ONLY") as connection:
        connection.execute("COMMIT")


def _recorded(ask: Callable[[random.Random], object]) -> list[list[tuple[str, Any]]]:
    """Return the statements with values that are sent for each of some questions."""
    sent: list[list[tuple[str, Any]]] = []
    execute = psycopg.Cursor.execute

    def recording(self: Any, query: Any, params: Any = None, **options: Any) -> Any:
        if params is not None:
            sent[-1].append((query, params))
        return execute(self, query, params, **options)

    psycopg.Cursor.execute = recording  # type: ignore[method-assign]
    try:
        for seed in range(RECORDED):
            sent.append([])
            ask(random.Random(seed))
    finally:
        psycopg.Cursor.execute = execute  # type: ignore[method-assign]
    return sent


def _bare_rate(url: str, sent: list[list[tuple[str, Any]]]) -> float:
    """Return how many questions a second are answered by their statements alone, in sessions with the same settings."""
    options = "-c search_path=dash_bench -c timezone=UTC -c jit=off -c max_parallel_workers_per_gather=0"
    connections: Queue[psycopg.Connection[Any]] = Queue()
    for _ in range(ASKING):
        connections.put(psycopg.connect(url, autocommit=True, prepare_threshold=None, options=options))

    def ask(chance: random.Random) -> None:
        connection = connections.get()
        for query, params in chance.choice(sent):
            connection.cursor(binary=True).execute(query, params).fetchall()
        connections.put(connection)

    rate, _ = _rate(ask, SECONDS)
    while not connections.empty():
        connections.get().close()
    return rate


def _rate(ask: Callable[[random.Random], object], seconds: float) -> tuple[float, list[float]]:
    """Return how many are answered a second, asked by several at once, and how many milliseconds each took."""
    seeds = count(1)
    until = time.perf_counter() + seconds

    def asking(_: int) -> list[float]:
        chance, millis = random.Random(next(seeds)), []
        while (begun := time.perf_counter()) < until:
            ask(chance)
            millis.append(1_000 * (time.perf_counter() - begun))
        return millis

    with ThreadPoolExecutor(ASKING) as pool:
        millis = [one for of in pool.map(asking, range(ASKING)) for one in of]
    return len(millis) / seconds, millis


def _fill(silver: PostgresSilver, rows: int) -> float:
    """Commit the rows as refining does; return the seconds that the commits took."""
    silver.prepare(TABLE)
    took = 0.0
    with duckdb.connect(":memory:", config={"threads": 1}) as engine:
        engine.execute("SET TimeZone = 'UTC'")
        for first in range(0, rows, COMMIT):
            batch = _batch(engine, first, min(rows, first + COMMIT))
            begun = time.perf_counter()
            silver.commit(batch)
            took += time.perf_counter() - begun
    return took


def _batch(engine: duckdb.DuckDBPyConnection, first: int, past: int) -> Batch:
    values = {"start": int(START.timestamp()) * 1_000_000, "hosts": HOSTS, "every": EVERY // timedelta(microseconds=1)}
    rows = engine.sql(_ROWS, params={**values, "first": first, "past": past}).to_arrow_table()
    rows = rows.set_column(0, "_time", rows["_time"].cast(INSTANT))
    day = date(2026, 1, 1)
    return Batch(TABLE, 1, first + 1, past, rows, DEAD_SCHEMA.empty_table(), Outcome(past - first), day)


if __name__ == "__main__":
    for figure in figures(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS):
        print(figure, flush=True)
