"""Reads end in time, within their memory, and see nothing but their organisation's rows."""

import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from appliance.components.silver import Aggregation, Measure, RecordQuery
from appliance.domain.mapping import FieldType
from appliance.errors import TransientError
from appliance.storage.silver_duckdb import reads
from appliance.storage.silver_duckdb.store import DuckDbSilver
from tests.silver_batches import batch, row, table

PLAIN = table()
ENDLESS = "SELECT count(*) FROM range(10_000_000_000) a, range(10_000) b WHERE a.range + b.range = -1"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbSilver]:
    opened = DuckDbSilver(tmp_path / "org_1.duckdb", memory_limit=64 << 20)
    opened.commit(batch(PLAIN, 1, [row(device="a", n=n) for n in range(1000)]))
    yield opened
    opened.close()


def test_a_read_that_takes_too_long_is_stopped(store: DuckDbSilver) -> None:
    began = time.monotonic()
    with (
        pytest.raises(TransientError, match=r"Querying pl_x took longer than 0.1 s. Narrow"),
        store._database.reading("querying pl_x", 0.1) as cursor,
    ):
        cursor.execute(ENDLESS)
    assert time.monotonic() - began < 5
    assert store.records(PLAIN, RecordQuery(limit=1)).num_rows == 1


def test_no_deadline_is_left_behind_by_a_read_that_ends(store: DuckDbSilver) -> None:
    before = threading.active_count()
    for _ in range(20):
        store.records(PLAIN, RecordQuery(limit=1), timeout_secs=600)
    end = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < end:
        pass
    assert threading.active_count() == before


def test_closing_stops_who_still_reads(store: DuckDbSilver) -> None:
    told: list[str] = []
    started = threading.Event()

    def read() -> None:
        try:
            with store._database.reading("querying pl_x", 60) as cursor:
                started.set()
                cursor.execute(ENDLESS)
        except TransientError as error:
            told.append(str(error))

    reader = threading.Thread(target=read)
    reader.start()
    started.wait(10)
    store.close()
    reader.join(10)
    assert not reader.is_alive()
    assert "was interrupted: the store closes" in told[0]


def test_too_little_memory_is_told(store: DuckDbSilver) -> None:
    with (
        pytest.raises(TransientError, match="needs more memory than the store may use"),
        store._database.reading("querying pl_x", 60) as cursor,
    ):
        cursor.execute("SELECT list(range) FROM range(100_000_000)")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "COPY (SELECT 1) TO '/tmp/out.csv'",
        "ATTACH '/tmp/other.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 8",
        "SET GLOBAL enable_external_access = true",
        "CREATE SECRET (TYPE s3)",
    ],
)
def test_nothing_outside_the_file_can_be_reached(store: DuckDbSilver, sql: str) -> None:
    with store._database.reading("trying", 60) as cursor, pytest.raises(duckdb.Error):
        cursor.execute(sql)


def test_percentiles_of_very_many_rows_come_from_a_sample(store: DuckDbSilver, monkeypatch: pytest.MonkeyPatch) -> None:
    many = table("pl_many", g=FieldType.STRING, x=FieldType.FLOAT)
    events = [row(g="many", x=float(n)) for n in range(30_000)] + [row(g="few", x=n) for n in (1.0, 2.0, None, 9.0)]
    store.commit(batch(many, 1, events))
    measures = (Measure("count", "x", "c"), Measure("p50", "x", "m"), Measure("p95", "x", "h"))
    asked = Aggregation(measures=measures, group_by=("g",))
    few = {"g": "few", "c": 3, "m": 2.0, "h": pytest.approx(8.3)}  # 2 + 0.9 × (9 - 2)
    assert store.aggregate(many, asked).to_pylist() == [
        {"g": "many", "c": 30_000, "m": pytest.approx(14999.5), "h": pytest.approx(28499.05)},
        few,
    ]
    monkeypatch.setattr(reads, "EXACT_PERCENTILE_ROWS", 20_000)
    monkeypatch.setattr(reads, "SAMPLE_ROWS", 5_000)
    sampled = store.aggregate(many, asked)
    big, small = sampled.to_pylist()
    assert big["m"] == pytest.approx(15_000, abs=1_000)  # five standard deviations of 5,000 out of 30,000
    assert big["h"] == pytest.approx(28_500, abs=450)
    assert big["c"] == 30_000
    assert small == few  # a small group is not starved
    assert store.aggregate(many, asked).equals(sampled)  # looking again does not make the chart tremble


def test_a_sum_too_large_for_its_type_is_told_as_a_float(store: DuckDbSilver) -> None:
    huge = table("pl_huge", x=FieldType.DECIMAL)
    store.commit(batch(huge, 1, [row(x=Decimal("9" * 29))] * 60))
    answer = store.aggregate(huge, Aggregation(measures=(Measure("sum", "x", "s"), Measure("avg", "x", "a"))))
    assert answer.to_pylist() == [{"s": pytest.approx(6e30), "a": pytest.approx(1e29)}]
