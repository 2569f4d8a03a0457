"""Whatever is committed, replaced and removed in whatever order: rollups answer what the rows answer."""

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.components.silver import Aggregation, Condition, Measure, Table
from appliance.domain.mapping import FieldType
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.errors import Conflict
from appliance.storage.silver_duckdb.store import DuckDbSilver
from tests.silver_batches import START, Event, amendment, batch, table

COLUMNS = {
    "device": FieldType.STRING, "line": FieldType.INTEGER, "temp": FieldType.FLOAT, "n": FieldType.INTEGER,
    "price": FieldType.DECIMAL, "on": FieldType.BOOLEAN,
}  # fmt: skip
MEASURES = [
    RollupMeasure("count"), RollupMeasure("avg", "temp"), RollupMeasure("min", "temp"), RollupMeasure("max", "temp"),
    RollupMeasure("last", "temp"), RollupMeasure("sum", "n"), RollupMeasure("count", "n"), RollupMeasure("last", "on"),
    RollupMeasure("max", "on"), RollupMeasure("sum", "price"), RollupMeasure("avg", "price"),
]  # fmt: skip
EVERY_ROLLUP = (
    Rollup(name="per_minute", bucket="1m", group_by=["device", "line"], measures=MEASURES),
    Rollup(name="per_hour", bucket="1h", group_by=["device"], measures=MEASURES[:8]),
    Rollup(name="per_day", bucket="1d", measures=MEASURES),
    Rollup(name="per_8m", bucket="8m", group_by=["line"], measures=[RollupMeasure("sum", "n")]),
)

SECONDS = st.one_of(st.integers(-200, 200), st.sampled_from([-86_400, -3_600, 0, 59, 60, 3_600, 86_400]))
ROW = st.fixed_dictionaries(
    {
        "_key": st.one_of(st.none(), st.sampled_from("abcdef")),
        "_time": st.builds(lambda s, us: START + timedelta(seconds=s, microseconds=us), SECONDS, st.integers(0, 2)),
        "device": st.one_of(st.none(), st.sampled_from(["a1", "b2"])),
        "line": st.one_of(st.none(), st.integers(1, 2)),
        "temp": st.one_of(st.none(), st.floats(-1e6, 1e6)),
        "n": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        "price": st.one_of(st.none(), st.decimals(-(10**28), 10**28, places=9), st.just(Decimal("0.1"))),
        "on": st.one_of(st.none(), st.booleans()),
    }
)
EVENT = st.builds(Event, rows=st.lists(ROW, max_size=3))
COMMIT = st.tuples(st.just("commit"), st.lists(EVENT, min_size=1, max_size=6))
ERASE = st.tuples(st.just("erase"), st.integers(1, 20))
AMEND = st.tuples(st.just("amend"), st.integers(1, 20), EVENT)
STEPS = st.lists(st.one_of(COMMIT, COMMIT, ERASE, AMEND), min_size=1, max_size=8)

MEASURED = [
    Measure("count", None, "rows"), Measure("avg", "temp", "avg"), Measure("sum", "temp", "sum_temp"),
    Measure("min", "temp", "min"), Measure("max", "temp", "max"), Measure("last", "temp", "last"),
    Measure("sum", "n", "sum_n"), Measure("count", "n", "count_n"), Measure("last", "on", "last_on"),
    Measure("max", "on", "max_on"), Measure("sum", "price", "sum_price"), Measure("avg", "price", "avg_price"),
]  # fmt: skip
MOMENTS = st.one_of(st.none(), st.builds(lambda s: START + timedelta(seconds=s), st.integers(-90_000, 90_000)))
QUERIES = st.builds(
    Aggregation,
    measures=st.lists(st.sampled_from(MEASURED), min_size=1, max_size=4, unique=True).map(tuple),
    group_by=st.lists(st.sampled_from(["device", "line"]), unique=True).map(tuple),
    bucket_us=st.sampled_from([None, 60_000_000, 120_000_000, 3_600_000_000, 86_400_000_000]),
    start=MOMENTS,
    end=MOMENTS,
    where=st.sampled_from([(), (Condition("device", "=", "a1"),), (Condition("line", "is_null"),)]),
)


@dataclass
class Life:
    """One table and what happens to it."""

    store: DuckDbSilver
    table: Table
    seqs: int = 0
    sources: set[bytes] = field(default_factory=set)

    def commit(self, events: list[Event]) -> None:
        self.store.commit(batch(self.table, self.seqs + 1, events))
        self.seqs += len(events)

    def erase(self, seq: int) -> None:
        self.store.upkeep.erase(self.table, [seq])

    def amend(self, seq: int, event: Event) -> None:
        with suppress(Conflict):  # not refined yet, or with neither row nor letter: refused, and nothing is changed
            self.store.letters.amend(amendment(self.table, {seq: event}))

    def check(self, query: Aggregation) -> None:
        """Hold what the rollups answer against what the rows answer."""
        by_gold = self.store.aggregate(self.table, query)
        by_rows = self.store.aggregate(replace(self.table, rollups=()), query)
        self.sources.add(by_gold.schema.metadata[b"source"])
        assert by_rows.schema.metadata[b"source"] == b"silver"
        assert by_gold.schema == by_rows.schema
        keys = [name for name in by_rows.column_names if name in ("_time", *query.group_by)]
        assert_same(by_gold.to_pylist(), by_rows.to_pylist(), keys)


def assert_same(found: list[dict[str, Any]], expected: list[dict[str, Any]], keys: list[str]) -> None:
    def by_group(rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
        return {tuple(row[key] for key in keys): row for row in rows}

    groups, wanted = by_group(found), by_group(expected)
    assert groups.keys() == wanted.keys()
    for group, row in wanted.items():
        for name, value in row.items():
            if isinstance(value, float):  # sums of ±1e6 and of ±1e28 that cancel out leave their rounding
                slack = 1e-4 if "price" not in name else 1e16
                assert groups[group][name] == pytest.approx(value, rel=1e-9, abs=slack)
            else:
                assert groups[group][name] == value


@contextmanager
def life(*, keyed: bool, rollups: tuple[Rollup, ...]) -> Iterator[Life]:
    of = replace(table(keyed=keyed, **COLUMNS), rollups=rollups)
    with tempfile.TemporaryDirectory() as folder:
        store = DuckDbSilver(Path(folder) / "org_1.duckdb")
        store.prepare(of)
        yield Life(store, of)
        store.close()


@settings(max_examples=30, deadline=None)
@given(steps=STEPS, keyed=st.booleans(), queries=st.lists(QUERIES, min_size=3, max_size=6), data=st.data())
def test_rollups_answer_as_the_rows_do(
    steps: list[tuple[Any, ...]], keyed: bool, queries: list[Aggregation], data: st.DataObject
) -> None:
    declared = data.draw(st.lists(st.sampled_from(EVERY_ROLLUP), min_size=1, unique_by=lambda one: one.name))
    late = data.draw(st.booleans())  # declared when there are rows already
    with life(keyed=keyed, rollups=() if late else tuple(declared)) as one:
        for place, step in enumerate(steps):
            if place == len(steps) // 2:
                one.table = replace(one.table, rollups=tuple(declared))
                one.store.prepare(one.table)
            getattr(one, step[0])(*step[1:])
        for query in queries:
            one.check(query)


TRIM = st.tuples(st.just("trim"), st.builds(lambda s: START + timedelta(seconds=s), SECONDS), st.integers(1, 20))


@settings(max_examples=20, deadline=None)
@given(steps=st.lists(st.one_of(COMMIT, TRIM), min_size=2, max_size=8), query=QUERIES, data=st.data())
def test_what_retention_removes_stays_counted(steps: list[tuple[Any, ...]], query: Aggregation, data: Any) -> None:
    declared = tuple(data.draw(st.lists(st.sampled_from(EVERY_ROLLUP), min_size=1, unique_by=lambda one: one.name)))
    whole = replace(query, start=None, end=None)
    with life(keyed=False, rollups=declared) as one, life(keyed=False, rollups=()) as untrimmed:
        for step in steps:
            if step[0] == "commit":
                one.commit(step[1])
                untrimmed.commit(step[1])
            else:
                one.store.upkeep.trim(one.table, step[1], up_to=step[2])
        answer = one.store.aggregate(one.table, whole)
        if answer.schema.metadata[b"source"] != b"silver":
            expected = untrimmed.store.aggregate(untrimmed.table, whole)
            keys = [name for name in expected.column_names if name in ("_time", *whole.group_by)]
            assert_same(answer.to_pylist(), expected.to_pylist(), keys)


VALUES = st.one_of(
    st.floats(-1e9, 1e9), st.floats(-1e-6, 1e-6), st.sampled_from([0.0, -0.0, 5e-324, 1.7e308, -1.7e308])
)


@settings(max_examples=30, deadline=None)
@given(parts=st.lists(st.lists(VALUES, min_size=1, max_size=20), min_size=1, max_size=4))
def test_percentiles_are_within_one_per_cent(parts: list[list[float]]) -> None:
    measures = [RollupMeasure("percentiles", "temp")]
    with life(keyed=False, rollups=(Rollup(name="per_hour", bucket="1h", measures=measures),)) as one:
        for values in parts:
            one.commit([Event(({"_time": START, "temp": value},)) for value in values])
        asked = tuple(Measure(op, "temp", op) for op in ("p50", "p95", "p99"))
        answer = one.store.aggregate(one.table, Aggregation(measures=asked, approximate=True))
        assert answer.schema.metadata[b"source"] == b"gold:per_hour"
        ordered = sorted(value for values in parts for value in values)
        for op, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            place = share * (len(ordered) - 1)
            lower, upper = ordered[math.floor(place)], ordered[math.ceil(place)]
            expected = lower * (1 - place % 1) + upper * (place % 1)
            # both neighbours are told to within 1 %, what is next to zero as 1e-300
            allowed = 0.0101 * max(abs(lower), abs(upper)) + 1.01e-300
            assert answer.column(op)[0].as_py() == pytest.approx(expected, rel=0, abs=allowed)


def test_the_property_test_would_notice_a_bucket_that_was_not_counted_again() -> None:
    """A control: with rows removed behind the rollups' back the comparison must fail."""
    events = [Event(({"_time": datetime.fromisoformat("2026-01-01T00:00:30Z"), "temp": 1.0},)) for _ in range(3)]
    with life(keyed=False, rollups=EVERY_ROLLUP) as one:
        one.commit(events)
        whole = Aggregation(measures=(Measure("count", None, "rows"),))
        one.check(whole)
        rows = f'"rows_{one.table.pipeline_id}"'
        one.store._writer.run("removing rows", lambda cursor: cursor.execute(f"DELETE FROM {rows} WHERE _seq = 2"))
        with pytest.raises(AssertionError):
            one.check(whole)
        assert one.sources == {b"gold:per_day"}
