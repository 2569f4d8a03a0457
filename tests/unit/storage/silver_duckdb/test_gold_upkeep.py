"""Partial counts that pile up, and what of the rows is read to count buckets again."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.components.silver import Aggregation, Measure
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.storage.silver_duckdb import gold
from appliance.storage.silver_duckdb.store import DuckDbSilver
from appliance.storage.sql.ranges import ranges_of
from tests.silver_batches import PLAIN, START, batch, row

SPREAD = Rollup(name="spread", bucket="1m", group_by=["device"], measures=[RollupMeasure("percentiles", "n")])
COUNTED = replace(PLAIN, rollups=(SPREAD,))
COUNT = Aggregation(measures=(Measure("count", None, "rows"),))


@pytest.fixture
def silver(tmp_path: Path) -> Any:
    store = DuckDbSilver(tmp_path / "org_1.duckdb")
    yield store
    store.close()


def parts(silver: DuckDbSilver) -> dict[str, int]:
    """Return how many partial counts each sheet has."""

    def work(cursor: Any) -> dict[str, int]:
        names = cursor.execute("SELECT table_name FROM duckdb_tables() WHERE starts_with(table_name, 'gold_')")
        return {name: cursor.execute(f'SELECT count(*) FROM "{name}"').fetchall()[0][0] for (name,) in names.fetchall()}

    return silver._writer.run("counting", work)


def test_partial_counts_are_merged_before_they_are_many(silver: DuckDbSilver) -> None:
    silver.prepare(COUNTED)
    for commit in range(30):
        events = [row(_time=START, device=f"d{n}", n=n % 5) for n in range(200)]
        silver.commit(batch(COUNTED, commit * 200 + 1, events))
    # the 28th commit finds 5,600 in each sheet and leaves 200; two more follow
    assert list(parts(silver).values()) == [600, 600]
    answer = silver.aggregate(COUNTED, COUNT)
    assert (answer.schema.metadata[b"source"], answer.column("rows").to_pylist()) == (b"gold:spread", [6_000])


HOURLY = replace(SPREAD, name="hourly", bucket="1h")
BY_HOUR = Aggregation(measures=COUNT.measures, bucket_us=3_600_000_000)


@pytest.mark.parametrize("rollups", [(SPREAD,), (SPREAD, HOURLY)], ids=["one", "and one that it covers"])
def test_counting_again_from_nothing_gives_the_same(silver: DuckDbSilver, rollups: tuple[Rollup, ...]) -> None:
    counted = replace(PLAIN, rollups=rollups)
    silver.prepare(counted)
    silver.commit(batch(counted, 1, [row(device="a", n=n) for n in range(500)]))
    silver.upkeep.trim(counted, START + timedelta(seconds=90))
    before = silver.aggregate(counted, BY_HOUR).to_pylist()

    def work(cursor: Any) -> None:
        cursor.execute("BEGIN")
        gold.rebuild(cursor, counted, 1)
        cursor.execute("COMMIT")

    silver._writer.run("counting again", work)
    answer = silver.aggregate(counted, BY_HOUR)
    assert answer.schema.metadata[b"source"] == f"gold:{rollups[-1].name}".encode()
    assert answer.to_pylist() == before
    assert sum(answer.column("rows").to_pylist()) == 500


def test_no_rollups_no_tables(silver: DuckDbSilver) -> None:
    silver.prepare(PLAIN)
    silver.commit(batch(PLAIN, 1, [row(device="a", n=1)]))
    assert parts(silver) == {}


def test_ranges_join_what_lies_together() -> None:
    assert ranges_of([4]) == [(4, 4)]
    assert ranges_of([1, 2, 3, 7, 8, 20]) == [(1, 3), (7, 8), (20, 20)]


def test_ranges_are_not_many_and_leave_the_widest_gaps_out() -> None:
    numbers = [n * 10 for n in range(100)] + [100_000, 200_000]
    ranges = ranges_of(numbers)
    assert len(ranges) == 32
    assert ranges[-2:] == [(100_000, 100_000), (200_000, 200_000)]
    assert all(any(first <= number <= last for first, last in ranges) for number in numbers)
