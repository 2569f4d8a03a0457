"""Silver on PostgreSQL beside COPY of the same rows, from a file, and beside other ways to send them.

A server of its own with the settings of the distribution (``fsync`` on), in the temporary folder. What is compared
takes turns in shuffled order. ``python -m benchmarks.postgresql`` prints the figures alone.
"""

import random
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import psycopg
import pyarrow as pa
import pyarrow.csv

from appliance.components.arrow import DEAD_SCHEMA
from appliance.components.silver import Batch, Column, Order, RecordQuery, Table
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import FieldType
from appliance.storage.silver_postgres import binary
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.store import PostgresSilver
from benchmarks.report import Figure, median, p95, spread
from tests.postgres import PostgresServer, postgres_server

SIZES, ROUNDS = (10_000, 50_000), 15
START_US = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) * 1_000_000
TABLE = Table(
    PipelineId("pl_bench"),
    (
        Column("device", FieldType.STRING), Column("site", FieldType.STRING), Column("temp_c", FieldType.FLOAT),
        Column("humidity", FieldType.FLOAT), Column("counter", FieldType.INTEGER), Column("ok", FieldType.BOOLEAN),
        Column("measured_at", FieldType.TIMESTAMP), Column("note", FieldType.STRING),
        Column("level", FieldType.INTEGER),
    ),
)  # fmt: skip
KEYED = msgspec.structs.replace(TABLE, pipeline_id=PipelineId("pl_keyed"), keyed=True)
_PLAIN = """
CREATE TABLE {} (
    _time timestamptz NOT NULL, _seq bigint NOT NULL, _item integer NOT NULL, _extra json, device text, site text,
    temp_c float8, humidity float8, counter bigint, ok boolean, measured_at timestamptz, note text, level bigint
)
"""
_TYPES = (
    "timestamptz", "int8", "int4", "json", "text", "text", "float8", "float8", "int8", "bool", "timestamptz", "text",
    "int8",
)  # fmt: skip


def figures() -> Iterator[Figure]:
    with postgres_server({"fsync": "on"}) as server, TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        connections = Connections(server.url(), size=4)
        silver = PostgresSilver(connections, "dash_org_bench")
        for size in SIZES:
            yield from _storing(server, silver, Path(folder), size)
        yield from _keys(silver)
        yield from _single(silver)
        yield from _reading(silver)
        connections.close()


def _storing(server: PostgresServer, silver: PostgresSilver, folder: Path, size: int) -> Iterator[Figure]:
    rows = _batch(TABLE, 1, size).rows
    with psycopg.connect(server.url(), autocommit=True) as connection:
        for name in ("yardstick", "by_row", "by_text", "by_column"):
            connection.execute(f"DROP TABLE IF EXISTS {name}")
            connection.execute(_PLAIN.format(name))
        file = _file(connection, folder, rows)
        first = silver.progress(TABLE.pipeline_id).seq + 1
        batches = iter([_batch(TABLE, first + size * place, size) for place in range(ROUNDS)])
        ways: dict[str, Callable[[], Any]] = {
            "COPY by the server from a file": partial(connection.execute, f"COPY yardstick FROM '{file}'"),
            r"\copy by psql from a file": partial(_psql, server.url(), file),
            "commit: rows, progress and ledger": lambda: silver.commit(next(batches)),
            "binary COPY, column by column": partial(_by_column, connection, rows),
            "binary COPY, row by row (psycopg)": partial(_by_row, connection, rows),
            "COPY of CSV (pyarrow)": partial(_by_text, connection, rows),
        }
        took = _in_turns(ways)
    yardstick = took["COPY by the server from a file"]
    for name, secs in took.items():
        rates, ratio = [size / one for one in secs], median(yardstick) / median(secs)
        target = 0.7 if name.startswith("commit") else None
        yield Figure(f"postgresql: {size:,} rows, {name}", median(rates), "rows/s", remark=spread(rates))
        yield Figure("  as a ratio to the server's own COPY", ratio, "×", target)


def _in_turns(ways: Mapping[str, Callable[[], Any]]) -> dict[str, list[float]]:
    """Return how long each took, in every round."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name in random.sample(list(ways), len(ways)):
            took[name].append(_seconds(ways[name]))
    return took


def _by_column(connection: psycopg.Connection[Any], rows: pa.Table) -> None:
    with connection.cursor() as cursor, cursor.copy("COPY by_column FROM STDIN (FORMAT binary)") as copy:
        copy.write(binary.HEADER)
        for part in binary.rows(rows):
            copy.write(part)
        copy.write(binary.TRAILER)


def _by_row(connection: psycopg.Connection[Any], rows: pa.Table) -> None:
    with connection.cursor() as cursor, cursor.copy("COPY by_row FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(_TYPES)
        for row in zip(*(column.to_pylist() for column in rows.columns), strict=True):
            copy.write_row(row)


def _by_text(connection: psycopg.Connection[Any], rows: pa.Table) -> None:
    with connection.cursor() as cursor, cursor.copy("COPY by_text FROM STDIN (FORMAT csv)") as copy:
        for first in range(0, rows.num_rows, 10_000):
            copy.write(memoryview(_csv(rows.slice(first, 10_000))))


def _csv(rows: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(rows, sink, pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed"))
    return sink.getvalue()


def _file(connection: psycopg.Connection[Any], folder: Path, rows: pa.Table) -> Path:
    """Write the rows as ``COPY … TO`` would, in the default format."""
    _by_column(connection, rows)
    file = folder / f"{rows.num_rows}.txt"
    with file.open("wb") as out, connection.cursor() as cursor, cursor.copy("COPY by_column TO STDOUT") as copy:
        for part in copy:
            out.write(part)
    connection.execute("TRUNCATE by_column")
    return file


def _psql(url: str, file: Path) -> None:
    subprocess.run(["psql", "-q", url, "-c", f"\\copy yardstick from '{file}'"], check=True)


def _keys(silver: PostgresSilver) -> Iterator[Figure]:
    """New keys, and then keys that are there: ten thousand of a hundred thousand at a time."""
    silver.prepare(KEYED)
    size = 10_000
    for name, first in (("new keys", 1), ("keys that are there", 100_001)):
        took = []
        for seq in range(first, first + 100_000, size):
            batch = _batch(KEYED, seq, size)
            took.append(_seconds(partial(silver.commit, batch)))
        rates = [size / one for one in took]
        yield Figure(f"postgresql: {size:,} rows a commit, {name}", median(rates), "rows/s", remark=spread(rates))


def _single(silver: PostgresSilver) -> Iterator[Figure]:
    first = silver.progress(TABLE.pipeline_id).seq + 1
    batches = [_batch(TABLE, seq, 1) for seq in range(first, first + 200)]
    millis = [1_000 * _seconds(partial(silver.commit, batch)) for batch in batches]
    yield Figure("postgresql: commit of 1 row", median(millis), "ms", remark=f"p95 {p95(millis):.3g}")


def _reading(silver: PostgresSilver) -> Iterator[Figure]:
    stored = silver.progress(TABLE.pipeline_id).seq
    for name, query in {
        "newest 100": RecordQuery(limit=100),
        "100 from the middle on": RecordQuery(limit=100, order=Order.ASC, start=_time(stored // 2)),
        "100,000 in one page": RecordQuery(limit=100_000),
    }.items():
        millis = [1_000 * _seconds(partial(silver.records, TABLE, query)) for _ in range(10)]
        yield Figure(f"postgresql: of {stored:,} rows, {name}", median(millis), "ms", remark=spread(millis))


def _time(seq: int) -> datetime:
    return datetime.fromtimestamp((START_US + seq * 10_000) / 1_000_000, UTC)


def _batch(table: Table, first_seq: int, size: int) -> Batch:
    seqs = range(first_seq, first_seq + size)
    columns = {
        "_time": pa.array([START_US + seq * 10_000 for seq in seqs], pa.timestamp("us", "UTC")),
        "_seq": pa.array(seqs, pa.int64()),
        "_item": pa.repeat(pa.scalar(0, pa.int32()), size),
        "_extra": pa.array([None if seq % 4 else '{"fw":"1.2.3"}' for seq in seqs], pa.string()),
        "device": pa.array([f"device-{seq % 500}" for seq in seqs]),
        "site": pa.array([f"site {seq % 20}" for seq in seqs]),
        "temp_c": pa.array([20 + seq % 9_973 / 977 for seq in seqs]),
        "humidity": pa.array([40 + seq % 997 / 97 for seq in seqs]),
        "counter": pa.array([seq * 7 for seq in seqs], pa.int64()),
        "ok": pa.array([seq % 3 == 0 for seq in seqs]),
        "measured_at": pa.array([START_US + seq * 10_000 for seq in seqs], pa.timestamp("us", "UTC")),
        "note": pa.array([None if seq % 2 else f'ran "{seq % 13}", fine' for seq in seqs], pa.string()),
        "level": pa.array([seq % 100 for seq in seqs], pa.int64()),
    }
    rows = pa.table(columns)
    if table.keyed:
        keys = pa.array(
            [(seq % 100_000 * 0x9E3779B97F4A7C15 % 2**64 << 64).to_bytes(16, "big") for seq in seqs], pa.binary(16)
        )
        rows = rows.add_column(3, "_key", keys)
    last = first_seq + size - 1
    return Batch(table, 1, first_seq, last, rows, DEAD_SCHEMA.empty_table(), Outcome(size), date(2026, 11, 1))


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    for figure in figures():
        print(figure, flush=True)
