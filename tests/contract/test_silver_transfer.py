"""Pipelines moved between row stores: everything that can be asked is answered as before, and refining goes on."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from appliance.components.feed import FeedPlace
from appliance.components.letters import LetterFilter
from appliance.components.silver import Aggregation, Measure, Table
from appliance.components.transfer import Share, Transferable
from appliance.domain.mapping import FieldType
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.moving.contents import Contents
from tests.contract.silver_stores import STORES
from tests.silver_batches import (
    EVERY_TYPE,
    FILTERED,
    PLAIN,
    START,
    Event,
    amendment,
    batch,
    dead,
    row,
    rows_in,
    table,
)

PAIRS = [("duckdb", "duckdb"), ("duckdb", "postgres"), ("postgres", "duckdb")]
Pair = tuple[Transferable, Transferable]


@pytest.fixture(params=PAIRS, ids=lambda pair: "-".join(pair))
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    """A store to move from, and an empty one."""
    stores: list[Any] = []
    for place, kind in enumerate(request.param):
        (tmp_path / str(place)).mkdir()
        stores.append(STORES[kind](tmp_path / str(place), request.getfixturevalue)())
    yield stores[0], stores[1]
    for store in stores:
        store.close()


def moved(pair: Pair, of: Table) -> None:
    """Move a pipeline, and compare what both read."""
    source, target = (store.transfer for store in pair)
    (stock,) = [one for one in source.stocks() if one.pipeline_id == of.pipeline_id]
    read = Contents()
    target.begin(of, stock)
    for share in Share:
        for part in source.read(of, stock, share):
            part = target.storable(part)
            read.add(share, part)
            target.write(of, stock, share, part)
    target.finish(of, stock)
    arrived = Contents()
    (there,) = target.stocks()
    for share in Share:
        for part in target.read(of, there, share):
            arrived.add(share, part)
    assert list(read.differences(arrived)) == []
    assert (there.progress, there.generation, there.first_seq) == (stock.progress, stock.generation, stock.first_seq)
    assert (there.columns, there.created_at, there.counts) == (stock.columns, stock.created_at, stock.counts)
    assert pair[1].recount(of) == pair[0].recount(of) == stock.progress.outcome
    assert pair[1].generations.spans(of.pipeline_id) == pair[0].generations.spans(of.pipeline_id)


def test_every_type_arrives(pair: Pair) -> None:
    values: dict[str, Any] = {
        "string": "naïve \t\n'\"", "integer": -(2**63), "float": 0.1, "decimal": "12345.678900001", "boolean": False,
        "timestamp": datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), "json": '{"a":  [1, null]}',
    }  # fmt: skip
    values["decimal"] = Decimal(values["decimal"])
    odd = {"float": float("inf"), "_extra": '{"x":1}', "_time": datetime(2401, 2, 3, tzinfo=UTC)}
    pair[0].commit(batch(EVERY_TYPE, 1, [row(**values), row(), row(**odd), dead()]))
    moved(pair, EVERY_TYPE)
    fields = ["_time", "_seq", "_extra", *values]
    assert rows_in(pair[1], EVERY_TYPE, *fields) == rows_in(pair[0], EVERY_TYPE, *fields)
    assert rows_in(pair[1], EVERY_TYPE, "decimal", "json")[0] == (Decimal("12345.678900001"), '{"a":  [1, null]}')


def test_the_ledger_the_letters_and_what_retention_removed(pair: Pair) -> None:
    source, target = pair
    source.commit(batch(PLAIN, 1, [row(n=1), row(n=2), dead(), FILTERED], day=date(2026, 1, 1)))
    source.commit(batch(PLAIN, 5, [row(n=5), Event(({"n": 6}, {"n": 7})), dead("missing")], version=2))
    assert source.upkeep.trim(PLAIN, START + timedelta(seconds=2)) == 1
    moved(pair, PLAIN)
    spans = target.generations.spans(PLAIN.pipeline_id)
    assert [(one.first_seq, one.last_seq, one.stored, one.gone) for one in spans] == [(1, 4, 2, 1), (5, 7, 2, 0)]
    assert rows_in(target, PLAIN, "_seq", "n") == [(2, 2), (5, 5), (6, 6), (6, 7)]
    assert target.letters.seqs(PLAIN.pipeline_id, LetterFilter(), 0, 10) == [3, 7]
    assert target.letters.count([PLAIN.pipeline_id]) == source.letters.count([PLAIN.pipeline_id])
    assert target.commit(batch(PLAIN, 8, [row(n=8)], version=2)).seq == 8
    assert target.recount(PLAIN) == target.progress(PLAIN.pipeline_id).outcome


def test_readers_go_on_where_they_were(pair: Pair) -> None:
    source, target = pair
    source.commit(batch(PLAIN, 1, [row(n=1), dead(), dead(), row(n=4)]))
    _, before = source.feed.read(PLAIN, FeedPlace(), 100)
    source.letters.amend(amendment(PLAIN, {2: row(n=2)}))
    unread, place = source.feed.read(PLAIN, before, 100)
    source.letters.amend(amendment(PLAIN, {3: row(n=3)}))
    moved(pair, PLAIN)
    assert [one["n"] for one in unread.to_pylist()] == [2]
    found, after = target.feed.read(PLAIN, place, 100)
    assert [one["n"] for one in found.to_pylist()] == [3]
    assert after == source.feed.end(PLAIN) == target.feed.end(PLAIN)
    target.letters.amend(amendment(PLAIN, {3: row(n=33)}, version=3))  # a later one comes after those that were moved
    assert [one["n"] for one in target.feed.read(PLAIN, after, 100)[0].to_pylist()] == [33]


def test_keys_go_on_replacing(pair: Pair) -> None:
    keyed = table("pl_keyed", keyed=True, n=FieldType.INTEGER)
    pair[0].commit(batch(keyed, 1, [row(_key="a", n=1), row(_key="b", n=2), row(n=3)]))
    pair[0].commit(batch(keyed, 4, [row(_key="a", n=4)]))
    moved(pair, keyed)
    pair[1].commit(batch(keyed, 5, [row(_key="b", n=5)]))
    assert rows_in(pair[1], keyed, "n") == [(3,), (4,), (5,)]
    assert pair[1].recount(keyed) == pair[1].progress(keyed.pipeline_id).outcome


def test_widened_columns_keep_what_they_held(pair: Pair) -> None:
    narrow, wide = table(n=FieldType.INTEGER, gone=FieldType.BOOLEAN), table(n=FieldType.FLOAT)
    widest = table(n=FieldType.STRING)
    pair[0].commit(batch(narrow, 1, [row(n=9007199254740993, gone=True)]))
    pair[0].commit(batch(wide, 2, [row(n=1.5)]))
    moved(pair, wide)
    for store in pair:
        store.commit(batch(widest, 3, [row(n="x")]))
    assert rows_in(pair[1], widest, "n") == [("9007199254740993",), ("1.5",), ("x",)] == rows_in(pair[0], widest, "n")
    assert rows_in(pair[1], narrow_only(), "gone") == [(True,), (None,), (None,)]


def narrow_only() -> Table:
    return table(gone=FieldType.BOOLEAN)


def test_a_generation_keeps_its_number_and_none_comes_again(pair: Pair) -> None:
    source, target = pair
    source.commit(batch(PLAIN, 1, [row(n=1), row(n=2)]))
    shadow = source.generations.begin(PLAIN, 2)
    source.commit(batch(shadow, 2, [row(n=22)]))
    source.generations.swap(PLAIN.pipeline_id, shadow.generation or 0)
    moved(pair, PLAIN)
    (only,) = target.generations.all(PLAIN.pipeline_id)
    assert (only.number, only.live, only.first_seq) == (shadow.generation, True, 2)
    assert rows_in(target, PLAIN, "n") == [(1,), (22,)]
    assert (target.generations.begin(PLAIN).generation or 0) > (shadow.generation or 0)


COUNTED = Table(
    PLAIN.pipeline_id,
    PLAIN.columns,
    rollups=(
        Rollup(
            name="by_minute",
            bucket="1m",
            group_by=["device"],
            measures=[RollupMeasure(op=op, field="n") for op in ("sum", "min", "max", "last", "count", "percentiles")],
        ),
        Rollup(name="by_hour", bucket="1h", measures=[RollupMeasure(op=op, field="n") for op in ("sum", "last")]),
    ),
)


def test_rollups_keep_what_they_counted_of_rows_that_are_gone(pair: Pair) -> None:
    source = pair[0]
    events = [row(device="ab"[n % 2], n=n, _time=START + timedelta(minutes=n)) for n in range(90)]
    early = [row(device="a", n=-5, _time=datetime(1969, 6, 1, 12, tzinfo=UTC))]
    source.commit(batch(COUNTED, 1, [*early, *events]))
    source.upkeep.trim(COUNTED, START + timedelta(minutes=61))
    moved(pair, COUNTED)
    ops = [Measure(op, "n", op) for op in ("sum", "min", "max", "last", "p95")]
    for bucket, measures in (
        (60_000_000, ops),
        (3_600_000_000, [Measure("sum", "n", "sum"), Measure("last", "n", "l")]),
    ):
        asked = Aggregation(
            measures=tuple(measures), bucket_us=bucket, approximate=True, group_by=("device",) if bucket < 10**9 else ()
        )
        one, other = (store.aggregate(COUNTED, asked) for store in pair)
        assert (other.schema.metadata or {})[b"source"].startswith(b"gold:")
        assert other.to_pylist() == one.to_pylist()
    assert sum(one["sum"] for one in other.to_pylist()) == 89 * 90 // 2 - 5


def test_what_is_there_already_is_replaced(pair: Pair) -> None:
    pair[0].commit(batch(PLAIN, 1, [row(n=1)]))
    pair[1].commit(batch(table(n=FieldType.STRING, other=FieldType.FLOAT), 1, [row(n="x"), row(n="y"), dead()]))
    shadow = pair[1].generations.begin(table(n=FieldType.STRING))
    assert shadow.generation is not None
    moved(pair, PLAIN)
    assert rows_in(pair[1], PLAIN, "n") == [(1,)]
    assert pair[1].letters.seqs(PLAIN.pipeline_id, LetterFilter(), 0, 10) == []


def test_text_with_a_zero_byte_is_told_apart_only_where_it_can_be(pair: Pair, request: pytest.FixtureRequest) -> None:
    pair[0].commit(batch(PLAIN, 1, [row(device="a\0b", n=1)]))
    moved(pair, PLAIN)
    postgres = "postgres" in request.node.name
    assert rows_in(pair[1], PLAIN, "device") == [("a\N{REPLACEMENT CHARACTER}b" if postgres else "a\0b",)]


def meddled(change: Callable[[Transferable], Any], pair: Pair) -> list[str]:
    """Return how the stores differ after ``change`` at the target."""
    pair[0].commit(batch(PLAIN, 1, [row(device="a", n=1), dead()]))
    moved(pair, PLAIN)
    change(pair[1])
    found = []
    for store in pair:
        (stock,) = store.transfer.stocks()
        found.append(Contents())
        for share in Share:
            for part in store.transfer.read(PLAIN, stock, share):
                found[-1].add(share, part)
    return list(found[0].differences(found[1]))


@pytest.mark.parametrize("pair", [("duckdb", "postgres")], indirect=True)
def test_differences_are_named(pair: Pair) -> None:
    told = meddled(lambda store: store.letters.amend(amendment(PLAIN, {1: row(device="b", n=1)})), pair)
    assert "rows of 2026-01-01: device differs" in told
    assert any(one.startswith("handed on: 0 at the source, 1 at the target") for one in told)
