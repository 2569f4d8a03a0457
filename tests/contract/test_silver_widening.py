"""What every row store promises of columns that become wider: rows of before are read as the wider type."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from appliance.components.silver import Aggregation, Condition, Measure, RecordQuery, SilverStore
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import FieldType
from appliance.errors import Conflict
from tests.silver_batches import Event, batch, dead, row, rows_in, table

Open = Callable[[], SilverStore]
INSTANT = datetime(2026, 11, 22, 6, 7, 8, 90_000, tzinfo=UTC)
WIDENED = [
    (FieldType.INTEGER, -7, FieldType.FLOAT, -7.0, 0.5),
    (FieldType.INTEGER, 2**53 + 1, FieldType.DECIMAL, Decimal(2**53 + 1), Decimal("0.000000001")),
    (FieldType.INTEGER, -(2**63), FieldType.STRING, "-9223372036854775808", "x"),
    (FieldType.FLOAT, 2.5, FieldType.STRING, "2.5", "x"),
    (FieldType.DECIMAL, Decimal("-12.340000000"), FieldType.STRING, "-12.34", "x"),
    (FieldType.DECIMAL, Decimal(100), FieldType.STRING, "100", "x"),
    (FieldType.BOOLEAN, True, FieldType.STRING, "true", "x"),
    (FieldType.TIMESTAMP, INSTANT, FieldType.STRING, "2026-11-22T06:07:08.090000Z", "x"),
]


@pytest.mark.parametrize(("narrow", "value", "wide", "read", "later"), WIDENED)
def test_a_column_is_widened_and_rows_of_before_read_so(
    reopen_silver: Open, narrow: FieldType, value: Any, wide: FieldType, read: Any, later: Any
) -> None:
    silver = reopen_silver()
    silver.commit(batch(table(v=narrow), 1, [row(v=value), row()]))
    wider = table(v=wide)
    assert rows_in(silver, wider, "v") == [(read,), (None,)]  # also before it is prepared
    silver.prepare(wider)
    silver.prepare(wider)
    silver.commit(batch(wider, 3, [row(v=later), row(), dead()]))
    for _ in range(2):
        assert rows_in(silver, wider, "v") == [(read,), (None,), (later,), (None,)]
        assert rows_in(silver, wider, "_seq", where=(Condition("v", "=", read),)) == [(1,)]
        assert rows_in(silver, wider, "_seq", where=(Condition("v", "is_null"),)) == [(2,), (4,)]
        silver = reopen_silver()
    assert silver.recount(wider) == silver.progress(wider.pipeline_id).outcome == Outcome(stored=4, dead=1)


def test_a_column_may_be_widened_again(reopen_silver: Open) -> None:
    silver = reopen_silver()
    for first, (kind, value) in enumerate([(FieldType.INTEGER, 1), (FieldType.FLOAT, 2.5), (FieldType.STRING, "x")], 1):
        silver.commit(batch(table(Temp=kind), first, [row(Temp=value)]))
    silver = reopen_silver()
    assert rows_in(silver, table(Temp=FieldType.STRING), "Temp") == [("1",), ("2.5",), ("x",)]
    silver.commit(batch(table(temp=FieldType.STRING), 4, [row(temp="y")]))
    assert rows_in(silver, table(temp=FieldType.STRING), "temp") == [("1",), ("2.5",), ("x",), ("y",)]


def test_measures_and_groups_are_of_one_column(silver: SilverStore) -> None:
    silver.commit(batch(table(n=FieldType.INTEGER), 1, [row(n=1), row(n=2), row(n=2)]))
    wider = table(n=FieldType.FLOAT)
    silver.commit(batch(wider, 4, [row(n=2.0), row(n=0.5), row()]))
    measures = tuple(Measure(op, "n", op) for op in ("count", "sum", "min", "max", "avg", "last", "distinct", "p50"))
    answer = silver.aggregate(wider, Aggregation(measures=measures)).to_pylist()
    assert answer == [
        {"count": 5, "sum": 7.5, "min": 0.5, "max": 2.0, "avg": 1.5, "last": 0.5, "distinct": 3, "p50": 2.0}
    ]
    groups = silver.aggregate(wider, Aggregation(measures=(Measure("count", None, "c"),), group_by=("n",))).to_pylist()
    assert {(group["n"], group["c"]) for group in groups} == {(2.0, 3), (1.0, 1), (0.5, 1), (None, 1)}


def test_the_checksum_is_that_of_rows_that_always_were_so_wide(silver: SilverStore) -> None:
    silver.commit(batch(table(n=FieldType.INTEGER), 1, [row(n=1), row()]))
    wider = table(n=FieldType.STRING)
    silver.commit(batch(wider, 3, [row(n="x")]))
    shadow = silver.generations.begin(wider)
    silver.commit(batch(shadow, 1, [row(n="1"), row(), row(n="x")]))
    assert silver.generations.checksum(wider) == silver.generations.checksum(shadow)


def test_keyed_rows_of_before_are_replaced_by_wider_ones(silver: SilverStore) -> None:
    silver.commit(batch(table(keyed=True, n=FieldType.INTEGER), 1, [row(_key="a", n=1), row(_key="b", n=2)]))
    wider = table(keyed=True, n=FieldType.STRING)
    progress = silver.commit(batch(wider, 3, [row(_key="a", n="x")]))
    assert rows_in(silver, wider, "_seq", "n") == [(2, "2"), (3, "x")]
    assert silver.recount(wider) == progress.outcome == Outcome(stored=2, duplicate=1)


@pytest.mark.parametrize(
    ("found", "wanted", "told"),
    [
        (FieldType.STRING, FieldType.INTEGER, "cannot be widened"),
        (FieldType.FLOAT, FieldType.INTEGER, "can be widened to string"),
        (FieldType.FLOAT, FieldType.DECIMAL, "can be widened to string"),
        (FieldType.JSON, FieldType.STRING, "cannot be widened"),
        (FieldType.STRING, FieldType.JSON, "cannot be widened"),
        (FieldType.TIMESTAMP, FieldType.INTEGER, "can be widened to string"),
    ],
)
def test_what_cannot_be_widened_is_named_with_the_way_out(
    silver: SilverStore, found: FieldType, wanted: FieldType, told: str
) -> None:
    silver.commit(batch(table(v=found), 1, [Event(({},))]))
    with pytest.raises(Conflict) as caught:
        silver.prepare(table(other=FieldType.STRING, v=wanted))
    expected = f"column 'v' holds {found.value} and cannot become {wanted.value} (it {told}"
    assert expected in str(caught.value)
    assert "save this as a candidate version and replay the pipeline with it" in str(caught.value)
    assert silver.records(table(v=found), RecordQuery()).num_rows == 1


def test_a_widened_column_cannot_be_narrowed(silver: SilverStore) -> None:
    silver.commit(batch(table(n=FieldType.INTEGER), 1, [row(n=1)]))
    silver.prepare(table(n=FieldType.FLOAT))
    with pytest.raises(Conflict, match="holds float and cannot become integer"):
        silver.prepare(table(n=FieldType.INTEGER))


@pytest.mark.parametrize("names", [("n", "n#float"), ("N#Float", "n")])
def test_a_name_that_a_widened_column_may_need_is_refused(silver: SilverStore, names: tuple[str, ...]) -> None:
    with pytest.raises(Conflict, match="is one of Dash's own"):
        silver.prepare(table(**dict.fromkeys(names, FieldType.FLOAT)))


def test_a_column_dropped_from_the_mapping_comes_back_with_what_it_held(silver: SilverStore) -> None:
    both = table(a=FieldType.INTEGER, b=FieldType.STRING)
    silver.commit(batch(both, 1, [row(a=1, b="x")]))
    silver.commit(batch(table(b=FieldType.STRING), 2, [row(b="y")]))
    wider = table(a=FieldType.FLOAT, b=FieldType.STRING)
    silver.commit(batch(wider, 3, [row(a=0.5, b="z")]))
    assert rows_in(silver, wider, "a", "b") == [(1.0, "x"), (None, "y"), (0.5, "z")]
