"""Whatever is committed, replaced, amended and erased: a store in PostgreSQL tells what one in a DuckDB file tells."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.components.letters import LetterFilter
from appliance.components.silver import (
    Aggregation,
    Condition,
    DeadLetterQuery,
    Measure,
    Order,
    RecordQuery,
    SilverStore,
    Table,
)
from appliance.domain.rollup import Rollup
from appliance.errors import Conflict
from appliance.storage.silver_duckdb.store import DuckDbSilver
from appliance.storage.silver_postgres.connections import Connections
from tests.both_databases import ENGLISH
from tests.postgres import PostgresServer
from tests.property.test_gold_histories import COLUMNS, EVERY_ROLLUP, QUERIES, STEPS, assert_same
from tests.silver_batches import Event, amendment, batch, table
from tests.timescale import Converting, needs_timescale

_schemas = count(1)
PAGES = (  # of rows: as the aggregation asks, and so that rollups may tell where they are
    RecordQuery(order=Order.ASC),
    RecordQuery(where=(Condition("device", "=", "a1"), Condition("temp", ">", 0.0)), limit=3),
    RecordQuery(where=(Condition("device", "=", "b2"), Condition("line", "in", [1, 2])), order=Order.ASC, limit=2),
    RecordQuery(where=(Condition("temp", "<=", 0.0), Condition("price", "not_null")), limit=2),
)


@pytest.fixture(scope="module", params=["postgres", pytest.param("columnstore", marks=needs_timescale)])
def connections(request: pytest.FixtureRequest) -> Iterator[Connections]:
    if request.param == "columnstore":
        yield request.getfixturevalue("timescale_connections")
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    shared = Connections(postgres.new_database(ENGLISH), size=3)
    yield shared
    shared.close()


class Both:
    """Two stores to which the same happens."""

    def __init__(self, stores: tuple[SilverStore, SilverStore], of: Table) -> None:
        self.stores, self.table, self.seqs = stores, of, 0

    def commit(self, events: list[Event]) -> None:
        one, other = (store.commit(batch(self.table, self.seqs + 1, events)) for store in self.stores)
        assert one == other
        self.seqs += len(events)

    def erase(self, seq: int) -> None:
        one, other = (store.upkeep.erase(self.table, [seq]) for store in self.stores)
        assert one == other

    def amend(self, seq: int, event: Event) -> None:
        refused = []
        for store in self.stores:
            with suppress(Conflict):
                store.letters.amend(amendment(self.table, {seq: event}))
                refused.append(store)
        assert len(refused) in (0, 2)

    def rollups(self, rollups: tuple[Rollup, ...]) -> None:
        self.table = replace(self.table, rollups=rollups)
        for store in self.stores:
            store.prepare(self.table)

    def check(self, query: Aggregation) -> None:
        """Compare every answer; of measures with and without rollups."""
        keys = [*(["_time"] if query.bucket_us else []), *query.group_by]
        by_rows = self._both(lambda store: store.aggregate(replace(self.table, rollups=()), query))
        by_gold = self._both(lambda store: store.aggregate(self.table, query))
        assert by_gold[0].schema.metadata == by_gold[1].schema.metadata
        for found in (by_rows[1], *by_gold):
            assert_same(found.to_pylist(), by_rows[0].to_pylist(), keys)
        for page in PAGES:
            where = page.where or query.where
            self._pages(replace(page, start=query.start, end=query.end, where=where))
        one, other = self._both(lambda store: store.dead_letters(self.table.pipeline_id, DeadLetterQuery()))
        assert one == other
        recounted = [store.recount(self.table) for store in self.stores]
        groups = [store.letters.groups(self.table.pipeline_id, LetterFilter()) for store in self.stores]
        spans = [store.generations.spans(self.table.pipeline_id) for store in self.stores]
        assert [one == other for one, other in (recounted, groups, spans)] == [True] * 3

    def _pages(self, query: RecordQuery) -> None:
        """Compare the first page, and the one after it."""
        for _ in range(2):
            one, other = self._both(lambda store: store.records(self.table, query))  # noqa: B023 - called at once
            assert one.to_pylist() == other.to_pylist()
            if not one.num_rows:
                return
            last = one.slice(one.num_rows - 1).to_pylist()[0]
            query = replace(query, after=(last["_time"], last["_seq"], last["_item"]))

    def _both(self, ask: Any) -> tuple[pa.Table, pa.Table]:
        one, other = map(ask, self.stores)
        assert one.schema == other.schema
        return one, other


@contextmanager
def both(connections: Connections, *, keyed: bool) -> Iterator[Both]:
    with tempfile.TemporaryDirectory() as folder:
        stores = (
            DuckDbSilver(Path(folder) / "org_1.duckdb"),
            Converting(connections, f"dash_agree_{next(_schemas)}"),
        )
        yield Both(stores, table(keyed=keyed, **COLUMNS))
        for store in stores:
            store.close()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, keyed=st.booleans(), queries=st.lists(QUERIES, min_size=2, max_size=4), data=st.data())
def test_both_stores_tell_the_same(
    connections: Connections, steps: list[Any], keyed: bool, queries: list[Aggregation], data: st.DataObject
) -> None:
    declared = data.draw(st.lists(st.sampled_from(EVERY_ROLLUP), min_size=1, unique_by=lambda one: one.name))
    late = data.draw(st.booleans())  # declared when there are rows already
    with both(connections, keyed=keyed) as stores:
        stores.rollups(() if late else tuple(declared))
        for name, *arguments in steps:
            getattr(stores, name)(*arguments)
        stores.rollups(tuple(declared))
        for query in queries:
            stores.check(query)


def test_the_comparison_would_notice_a_row_that_one_store_has_lost(connections: Connections) -> None:
    whole = Aggregation(measures=(Measure("count", None, "rows"),))
    with both(connections, keyed=False) as stores:
        stores.commit([Event(({"temp": 1.0},)) for _ in range(3)])
        stores.check(whole)
        schema = f"dash_agree_{next(_schemas) - 1}"
        with connections.begun("losing a row", "BEGIN") as connection:
            connection.execute(f'DELETE FROM "{schema}"."rows_{stores.table.pipeline_id}" WHERE _seq = 2')
            connection.commit()
        with pytest.raises(AssertionError):
            stores.check(whole)
