"""Gold: a minute chart of 30 days through a rollup beside the same question to the rows, and what rollups cost commits.

``python -m benchmarks.gold ROWS`` asks of so many rows instead of 100 M.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
from msgspec.structs import replace

from appliance.components.arrow import DEAD_SCHEMA
from appliance.components.silver import Aggregation, Batch, Column, Condition, Measure, Table
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import FieldType
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.storage.silver_duckdb.store import DuckDbSilver
from benchmarks.report import Figure, median, spread

ROWS, DEVICES, DAYS, ROUNDS = 100_000_000, 20, 30, 5
REPLAYED = 100_000  # rows of one commit of a replay
END = datetime(2026, 1, 31, tzinfo=UTC)
START = END - timedelta(days=DAYS)
MINUTE_US = 60_000_000
MEASURES = [RollupMeasure("avg", "temp_c"), RollupMeasure("max", "temp_c"), RollupMeasure("last", "temp_c")]
ROLLUPS = (
    Rollup(name="per_minute", bucket="1m", group_by=["device"], measures=MEASURES),
    Rollup(name="per_hour", bucket="1h", group_by=["device"], measures=MEASURES),
    Rollup(name="spread", bucket="1h", measures=[RollupMeasure("percentiles", "temp_c")]),
)
TABLE = Table(
    PipelineId("pl_bench"),
    (Column("device", FieldType.STRING), Column("temp_c", FieldType.FLOAT), Column("counter", FieldType.INTEGER)),
)
_FILL = """
INSERT INTO "rows_pl_bench" BY NAME
SELECT make_timestamptz($start + n * $step) AS _time, n AS _seq, 0 AS _item, 'device-' || n % $devices AS device,
    20 + 5 * sin(n / 1e6) + (hash(n) % 1000)::DOUBLE / 1000 AS temp_c, n AS counter FROM range($first, $past) AS t(n)
"""


def figures(rows: int = ROWS) -> Iterator[Figure]:
    with TemporaryDirectory() as folder:
        yield from _charts(Path(folder), rows)
    with TemporaryDirectory() as folder:
        yield from _commits(Path(folder))
    with TemporaryDirectory() as folder:
        yield from _replay(Path(folder), 1_000_000)


def _charts(folder: Path, rows: int) -> Iterator[Figure]:
    path, counted = folder / "org_bench.duckdb", replace(TABLE, rollups=ROLLUPS[:2])
    with _store(path) as silver:
        silver.prepare(TABLE)
    _fill(path, rows)
    with _store(path) as silver:
        took = _seconds(partial(silver.prepare, counted))
        yield Figure(f"gold: two rollups counted from {rows:,} rows", took, "s")
        average = Aggregation(
            measures=(Measure("avg", "temp_c", "t"),), bucket_us=MINUTE_US, start=START, end=END, limit=50_000
        )
        of_one = replace(average, where=(Condition("device", "=", "device-7"),))
        by_hour = replace(average, bucket_us=60 * MINUTE_US)
        slid = replace(of_one, start=START + timedelta(seconds=17), end=END - timedelta(seconds=11))
        questions = {"minute chart, one device of 20": of_one, "edges counted from rows": slid}
        questions |= {"minute chart, all devices": average, "hour chart, all devices": by_hour}
        for name, query in questions.items():
            yield from _beside(silver, counted, name, query)


def _beside(silver: DuckDbSilver, counted: Table, name: str, query: Aggregation) -> Iterator[Figure]:
    took: dict[str, list[float]] = {"gold": [], "silver": []}
    asked: dict[str, Table] = {"gold": counted, "silver": TABLE}
    for _ in range(ROUNDS):
        for source in random.sample(list(asked), len(asked)):
            took[source].append(_seconds(partial(silver.aggregate, asked[source], query, timeout_secs=600)))
    ratio = [rows / gold for rows, gold in zip(took["silver"], took["gold"], strict=True)]
    millis = [1_000 * one for one in took["gold"]]
    yield Figure(f"gold: 30 days, {name}", median(millis), "ms", 100, at_least=False, remark=spread(millis))
    yield Figure("  rows asked the same, as a ratio", median(ratio), "×", 1, remark=spread(ratio))


def _commits(folder: Path) -> Iterator[Figure]:
    """One pipeline with as many rollups as said, side by side in one file, commits in turns."""
    tables = {
        count: replace(TABLE, pipeline_id=PipelineId(f"pl_{count}"), rollups=ROLLUPS[:count]) for count in (0, 1, 3)
    }
    seqs = dict.fromkeys(tables, 0)
    with _store(folder / "org_bench.duckdb") as silver:
        for table in tables.values():
            silver.prepare(table)
        for size in (1, 1_000, 10_000):
            took: dict[int, list[float]] = {count: [] for count in tables}
            for _ in range(20):
                for count in random.sample(list(tables), len(tables)):
                    batch = _batch(tables[count], seqs[count] + 1, size)
                    took[count].append(1_000 * _seconds(partial(silver.commit, batch)))
                    seqs[count] += size
            for count, millis in took.items():
                ratio = median(millis) / median(took[0])
                name = f"gold: commit of {size:,} rows, {count} rollups"
                yield Figure(name, median(millis), "ms", remark=f"{ratio:.2f} × without; {spread(millis)}")


def _replay(folder: Path, rows: int) -> Iterator[Figure]:
    """A generation's rollups kept by its commits, or counted once at the end."""
    with _store(folder / "org_bench.duckdb") as silver:
        took = []
        for count in (0, len(ROLLUPS)):
            own = replace(TABLE, pipeline_id=PipelineId(f"pl_{count}"), rollups=ROLLUPS[:count])
            silver.prepare(own)
            batches = [_batch(own, first + 1, REPLAYED) for first in range(0, rows, REPLAYED)]
            took.append(_seconds(partial(_store_all, silver, batches)))
        yield Figure(f"gold: {rows:,} rows, {REPLAYED:,} a commit, with three rollups", took[1] - took[0], "s more")
        plain = replace(TABLE, pipeline_id=PipelineId("pl_0"), rollups=ROLLUPS)
        yield Figure("  the same three counted once at the end", _seconds(partial(silver.prepare, plain)), "s")


def _store_all(silver: DuckDbSilver, batches: list[Batch]) -> None:
    for batch in batches:
        silver.commit(batch)


def _batch(table: Table, first_seq: int, size: int) -> Batch:
    seqs = pa.array(range(first_seq, first_seq + size), pa.int64())
    start = int(START.timestamp() * 1_000_000)
    columns = {
        "_time": pa.array(
            [start + 25_920 * seq for seq in range(first_seq, first_seq + size)], pa.timestamp("us", "UTC")
        ),
        "_seq": seqs,
        "_item": pa.repeat(pa.scalar(0, pa.int32()), size),
        "_extra": pa.nulls(size, pa.string()),
        "device": pa.array([f"device-{seq % DEVICES}" for seq in range(first_seq, first_seq + size)]),
        "temp_c": pa.array([20 + seq % 997 / 100 for seq in range(first_seq, first_seq + size)]),
        "counter": seqs,
    }
    last = first_seq + size - 1
    return Batch(
        table, 1, first_seq, last, pa.table(columns), DEAD_SCHEMA.empty_table(), Outcome(size), date(2026, 1, 1)
    )


def _fill(path: Path, rows: int) -> None:
    """Write the rows past the store, which takes events only in batches."""
    step = DAYS * 86_400_000_000 // rows
    with duckdb.connect(str(path), config={"memory_limit": "512MiB", "threads": 2}) as connection:
        for first in range(0, rows, 5_000_000):
            values = {"start": int(START.timestamp() * 1_000_000), "step": step, "devices": DEVICES}
            connection.execute(_FILL, {**values, "first": first, "past": min(rows, first + 5_000_000)})


@contextmanager
def _store(path: Path) -> Iterator[DuckDbSilver]:
    silver = DuckDbSilver(path)
    try:
        yield silver
    finally:
        silver.close()


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    for figure in figures(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS):
        print(figure, flush=True)
