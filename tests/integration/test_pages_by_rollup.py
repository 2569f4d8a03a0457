"""A page of rows in PostgreSQL is read where a rollup tells that rows may be."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from msgspec.structs import replace

from appliance.components.silver import Condition, Order, RecordQuery
from appliance.domain.mapping import FieldType
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.store import PostgresSilver
from appliance.storage.sql.gold import golds_of
from appliance.storage.sql.postgresql import quoted
from tests.silver_batches import START, batch, row, table

MEASURES = [RollupMeasure("max", "temp")]
TABLE = replace(
    table(device=FieldType.STRING, temp=FieldType.FLOAT),
    rollups=(Rollup(name="per_minute", bucket="1m", group_by=["device"], measures=MEASURES),),
)
SHEET = quoted(golds_of(TABLE, 1)[0].main.name)
HOT = (Condition("device", "=", "a"), Condition("temp", ">", 90.0))
EVENTS, EVERY = 2_000, timedelta(seconds=20)  # of devices a and b in turn, for eleven hours


@pytest.fixture
def connections(database_url: str) -> Iterator[Connections]:
    shared = Connections(database_url, size=2)
    yield shared
    shared.close()


@pytest.fixture
def silver(connections: Connections) -> PostgresSilver:
    """Device a is hot for a minute of each hour, twice more in between, and b always."""
    hot = {place for hour in range(0, EVENTS, 180) for place in (hour, hour + 2)} | {400, 402}
    events = [
        row(_time=START + n * EVERY, device="ab"[n % 2], temp=99.0 if n % 2 or n in hot else 20.0)
        for n in range(EVENTS)
    ]
    store = PostgresSilver(connections, "dash_org_pages")
    store.commit(batch(TABLE, 1, events))
    return store


def places(silver: PostgresSilver, **query: object) -> list[int]:
    """Return which of the events are answered."""
    found = silver.records(TABLE, RecordQuery(where=HOT, **query))  # type: ignore[arg-type]
    return [seq - 1 for seq in found.column("_seq").to_pylist()]


def test_rows_far_apart_are_found_in_order_page_by_page(silver: PostgresSilver) -> None:
    every = [0, 2, 180, 182, 360, 362, 400, 402, 540, 542, 720, 722, 900, 902]
    every += [1080, 1082, 1260, 1262, 1440, 1442, 1620, 1622, 1800, 1802, 1980, 1982]
    assert places(silver, order=Order.ASC) == every
    assert places(silver) == every[::-1]
    assert places(silver, limit=5) == [1982, 1980, 1802, 1800, 1622]
    after = (START + 1622 * EVERY, 1623, 0)
    assert places(silver, limit=3, after=after) == [1620, 1442, 1440]
    start, end = START + 182 * EVERY, START + 402 * EVERY  # in the middle of buckets
    assert places(silver, start=start, end=end, order=Order.ASC) == [182, 360, 362, 400]
    assert places(silver, start=end, end=start) == []


def test_what_no_bucket_may_have_is_not_looked_for(silver: PostgresSilver, connections: Connections) -> None:
    """The control: were rows read that the rollup does not tell of, they would be answered."""
    with connections.begun("hiding", "BEGIN; SET LOCAL search_path TO dash_org_pages") as connection:
        connection.execute(f"DELETE FROM {SHEET} WHERE _time < '2026-01-01 10:00Z'")
        connection.commit()
    assert places(silver) == [1982, 1980, 1802, 1800]


def test_without_the_rollup_rows_are_looked_for_everywhere(silver: PostgresSilver, connections: Connections) -> None:
    with connections.begun("dropping", "BEGIN; SET LOCAL search_path TO dash_org_pages") as connection:
        connection.execute(f"DROP TABLE {SHEET}")
        connection.commit()
    assert places(silver, limit=5) == [1982, 1980, 1802, 1800, 1622]


def test_buckets_that_come_in_several_helpings_are_all_read(
    silver: PostgresSilver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.storage.silver_postgres.page._FEWEST", 1)
    monkeypatch.setattr("appliance.storage.silver_postgres.page._SEVERAL", 2)
    monkeypatch.setattr("appliance.storage.silver_postgres.page._MOST", 3)
    assert places(silver, limit=7) == [1982, 1980, 1802, 1800, 1622, 1620, 1442]
    assert places(silver, limit=7, order=Order.ASC) == [0, 2, 180, 182, 360, 362, 400]
