"""Views for other tools on TimescaleDB: of buckets that are longer than what there is, or begin before it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from appliance.components.silver import Table
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.storage.silver_postgres.store import PostgresSilver
from tests.silver_batches import PLAIN, START, batch, row
from tests.timescale import needs_timescale, timescale_store

pytestmark = needs_timescale

DAY = timedelta(days=1)


@pytest.fixture
def store(timescale_url: str) -> Iterator[PostgresSilver]:
    with timescale_store(timescale_url, views=True) as made:
        yield made
        made.drop(PLAIN.pipeline_id)


def counting(bucket: str) -> Table:
    return replace(PLAIN, rollups=(Rollup(name="all", bucket=bucket, measures=[RollupMeasure("max", "n")]),))


def told(store: PostgresSilver, timescale_url: str) -> Any:
    name = store._database.schema
    with psycopg.connect(timescale_url) as connection:
        return connection.execute(f'SELECT sum(rows), max(max_n) FROM "{name}"."pl_test.all"').fetchall()


def test_on_the_first_day_a_round_refreshes_nothing_and_the_view_is_right(
    store: PostgresSilver, timescale_url: str
) -> None:
    daily = counting("1d")
    store.prepare(daily)
    store.commit(batch(daily, 1, [row(_time=START, n=n) for n in range(5)]))
    store.upkeep.arrange(daily, START + DAY / 2)
    assert told(store, timescale_url) == [(5, 4)]


def test_a_bucket_that_begins_before_the_first_chunk_is_counted_whole(
    store: PostgresSilver, timescale_url: str
) -> None:
    weekly = counting("7d")  # buckets begin on Mondays, and START is a Thursday
    store.prepare(weekly)
    store.commit(batch(weekly, 1, [row(_time=START + n * DAY, n=n) for n in range(30)]))
    store.upkeep.arrange(weekly, START + 30 * DAY)
    assert told(store, timescale_url) == [(30, 29)]
