"""TimescaleDB: rows in chunks and in columns beside native partitions in the same database.

Needs ``DASH_TEST_TIMESCALE_DSN``, a superuser's, of a server that has the extension; without it there are no figures.
"""

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Final

import duckdb
import pyarrow as pa
from msgspec.structs import replace

from appliance.components.arrow import DEAD_SCHEMA
from appliance.components.silver import Aggregation, Batch, Column, Condition, Measure, RecordQuery, Table
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import FieldType
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.store import PostgresSilver
from appliance.storage.silver_postgres.timescale_wanted import Wanted
from benchmarks.report import Figure, median, spread
from tests.timescale import LONG_AFTER, VARIABLE, timescale_database

ROWS, DEVICES, A_COMMIT, ROUNDS = 1_000_000, 100, 10_000, 5
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
STEP: Final = timedelta(days=3) // ROWS
DAY: Final = START + timedelta(days=1)
TABLE: Final = Table(
    PipelineId("pl_1"),
    (
        *(Column(name, FieldType.STRING) for name in ("device", "site", "status")),
        *(Column(name, FieldType.FLOAT) for name in ("temp_c", "humidity", "power")),
        *(Column(name, FieldType.INTEGER) for name in ("counter", "battery")),
        Column("door", FieldType.BOOLEAN),
    ),
)
# Sensors that tell tenths of a degree and whole per cents, and a load that is on or off: what changes, changes slowly.
_SENSORS: Final = """
SELECT make_timestamptz($start + n * $step) AS _time, n + 1 AS _seq, 0::INTEGER AS _item, NULL::VARCHAR AS _extra,
    'sensor-' || n % $devices AS device, 'plant ' || n % $devices % 7 AS site,
    if(hash(n) % 50 = 0, 'warn', 'ok') AS status,
    round(20 + n % $devices / 10 + 5 * sin(n / 3e5 + n % $devices) + hash(n + 1) % 3 / 30, 1) AS temp_c,
    round(50 + 9 * cos(n / 2e5 + n % $devices), 0) AS humidity,
    if(n // 40000 % 3 = 0, 1200, 40)::DOUBLE + hash(n + 2) % 5 AS power,
    n // $devices AS counter, 100 - n * 30 // $rows AS battery, hash(n + 3) % 100 = 0 AS door
FROM range($first, $first + $size) AS t(n)
"""
# Nothing but noise: three floats with two and three decimals, as independent of each other as of the time.
_NOISE: Final = """
SELECT * REPLACE (round(60 + 8 * (hash(_seq) % 10000 / 2500 - 2), 3) AS temp_c,
    round(20 + hash(_seq + 1) % 6000 / 100, 2) AS humidity, round(1013 + hash(_seq + 2) % 2000 / 100, 2) AS power,
    (hash(_seq + 3) % 100)::BIGINT AS battery)
FROM ({sensors})
"""


def figures(rows: int = ROWS) -> Iterator[Figure]:
    """Measure one after the other; the contestants take turns."""
    if not os.environ.get(VARIABLE):
        return
    with timescale_database() as url:
        connections = Connections(url, size=4)
        try:
            chunks = PostgresSilver(connections, "dash_chunks")
            native = PostgresSilver(connections, "dash_native", timescale=Wanted(use=False))
            yield from _commits(native, chunks, rows)
            yield from _columns(native, chunks, rows)
            yield from _questions(native, chunks)
            yield from _sizes(native, chunks, rows)
        finally:
            connections.close()


def _commits(native: PostgresSilver, chunks: PostgresSilver, rows: int) -> Iterator[Figure]:
    each = rows // A_COMMIT // ROUNDS
    ratios, rates = [], []
    for turn in range(ROUNDS):
        batches = list(_batches(TABLE, _SENSORS, rows, range(turn * each, (turn + 1) * each)))
        took = {}
        for store in (native, chunks) if turn % 2 else (chunks, native):
            took[store] = _seconds(partial(_store_all, store, batches))
        ratios.append(took[native] / took[chunks])
        rates.append(each * A_COMMIT / took[chunks])
    yield Figure("timescale: commits of 10,000 rows, chunks / native", median(ratios), "×", 0.8, remark=spread(ratios))
    yield Figure("  rows into chunks", median(rates), "rows/s", remark=spread(rates))


def _columns(native: PostgresSilver, chunks: PostgresSilver, rows: int) -> Iterator[Figure]:
    took = _seconds(partial(chunks.upkeep.arrange, TABLE, LONG_AFTER))
    yield Figure("timescale: a million rows into columns", took * 1e6 / rows, "s")
    yield _share("timescale: columns / native, sensors that change slowly", native, chunks, TABLE, 15)


def _questions(native: PostgresSilver, chunks: PostgresSilver) -> Iterator[Figure]:
    average = Aggregation(measures=(Measure("avg", "temp_c", "t"),), bucket_us=60_000_000)
    one = replace(average, where=(Condition("device", "=", "sensor-7"),), start=DAY, end=DAY + timedelta(days=1))
    every = replace(average, group_by=("device",), bucket_us=3_600_000_000)
    asked: dict[str, Callable[[PostgresSilver], object]] = {
        "one device, a day by minute": lambda store: store.aggregate(TABLE, one),
        "every device by hour, all of it": lambda store: store.aggregate(TABLE, every),
        "the last 100 rows": lambda store: store.records(TABLE, RecordQuery()),
    }
    for name, ask in asked.items():
        times: dict[PostgresSilver, list[float]] = {native: [], chunks: []}
        for turn in range(ROUNDS):
            for store in (native, chunks) if turn % 2 else (chunks, native):
                times[store].append(1000 * _seconds(partial(ask, store)))
        remark = f"from native partitions {median(times[native]):,.4g} ms"
        yield Figure(f"timescale: {name}, from rows in columns", median(times[chunks]), "ms", remark=remark)


def _sizes(native: PostgresSilver, chunks: PostgresSilver, rows: int) -> Iterator[Figure]:
    noise = replace(TABLE, pipeline_id=PipelineId("pl_noise"))
    for store in (native, chunks):
        for batch in _batches(noise, _NOISE.format(sensors=_SENSORS), rows, range(rows // A_COMMIT)):
            store.commit(batch)
    chunks.upkeep.arrange(noise, LONG_AFTER)
    yield _share("timescale: columns / native, numbers that are noise", native, chunks, noise, 25)


def _share(name: str, native: PostgresSilver, chunks: PostgresSilver, table: Table, most: float) -> Figure:
    plain, dense = (store.upkeep.size().pipelines[table.pipeline_id] for store in (native, chunks))
    return Figure(name, 100 * dense / plain, "%", most, at_least=False, remark=f"{dense >> 20} of {plain >> 20} MiB")


def _batches(table: Table, sql: str, rows: int, numbers: range) -> Iterator[Batch]:
    own = {"start": int(START.timestamp() * 1e6), "step": STEP // timedelta(microseconds=1), "devices": DEVICES}
    with duckdb.connect(config={"threads": 1}) as connection:
        for number in numbers:
            values = {**own, "first": number * A_COMMIT, "size": A_COMMIT}
            if "$rows" in sql:
                values["rows"] = rows
            found: pa.Table = connection.sql(sql, params=values).to_arrow_table()
            first = number * A_COMMIT + 1
            outcome = Outcome(A_COMMIT)
            dead = DEAD_SCHEMA.empty_table()
            yield Batch(table, 1, first, first + A_COMMIT - 1, found, dead, outcome, date(2026, 1, 1))


def _store_all(store: PostgresSilver, batches: list[Batch]) -> None:
    for batch in batches:
        store.commit(batch)


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    for figure in figures():
        print(figure, flush=True)
