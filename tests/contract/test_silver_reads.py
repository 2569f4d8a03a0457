"""What every row store promises of reading: rows, measures, dead letters."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from appliance.components.silver import (
    Aggregation,
    Condition,
    DeadLetterQuery,
    Measure,
    Order,
    RecordQuery,
    SilverStore,
)
from appliance.errors import Invalid
from tests.silver_batches import EVERY_TYPE, PLAIN, START, Event, batch, dead, filled, row, rows_in

# --- records


def test_newest_first_by_default(silver: SilverStore) -> None:
    filled(silver)
    assert silver.records(PLAIN, RecordQuery(limit=3)).column("n").to_pylist() == [10, 9, 8]


def test_a_range_has_its_start_and_not_its_end(silver: SilverStore) -> None:
    filled(silver)
    start, end = START + timedelta(seconds=3), START + timedelta(seconds=6)
    assert rows_in(silver, PLAIN, "n", start=start, end=end) == [(3,), (4,), (5,)]


@pytest.mark.parametrize("order", Order)
def test_pages_meet_without_gap_or_overlap(silver: SilverStore, order: Order) -> None:
    silver.prepare(PLAIN)
    same_time = [Event(tuple({"_time": START, "n": n * 3 + item} for item in range(3))) for n in range(5)]
    silver.commit(batch(PLAIN, 1, same_time))
    seen: list[int] = []
    after = None
    while page := silver.records(PLAIN, RecordQuery(order=order, limit=4, after=after)).to_pylist():
        seen += [one["n"] for one in page]
        after = (page[-1]["_time"], page[-1]["_seq"], page[-1]["_item"])
    assert seen == sorted(range(15), reverse=order is Order.DESC)


@pytest.mark.parametrize(
    ("field", "op", "value", "expected"),
    [
        ("n", "=", 3, [3]),
        ("n", "<>", 3, [1, 2, 4, 5, 6]),
        ("n", "<", 3, [1, 2]),
        ("n", "<=", 3, [1, 2, 3]),
        ("n", ">", 4, [5, 6]),
        ("n", ">=", 5, [5, 6]),
        ("n", "in", [2, 5, 99], [2, 5]),
        ("device", "contains", "ve", [2, 4, 6]),
        ("device", "contains", "%", []),
        ("device", "is_null", None, []),
        ("device", "not_null", None, [1, 2, 3, 4, 5, 6]),
        ("_seq", ">", 4, [5, 6]),
        ("_time", "<", "2026-01-01T01:00:03+01:00", [1, 2]),
    ],
)
def test_conditions(silver: SilverStore, field: str, op: str, value: Any, expected: list[int]) -> None:
    filled(silver, 6)
    assert rows_in(silver, PLAIN, "n", where=(Condition(field, op, value),)) == [(n,) for n in expected]


def test_every_problem_of_a_query_is_told(silver: SilverStore) -> None:
    filled(silver)
    wrong = (
        Condition("devise", "=", "a"), Condition("n", "!=", 1), Condition("n", "=", "1"),
        Condition("n", "contains", "1"),
        Condition("n", "in", []), Condition("n", ">", None), Condition("n", "=", 2**63), Condition("n", "=", True),
    )  # fmt: skip
    with pytest.raises(Invalid) as caught:
        silver.records(PLAIN, RecordQuery(where=wrong))
    told = {problem.pointer: problem for problem in caught.value.problems}
    assert list(told) == [
        "/where/0/field", "/where/1/op", "/where/2/value", "/where/3/op", "/where/4/value", "/where/5/value",
        "/where/6/value", "/where/7/value",
    ]  # fmt: skip
    assert told["/where/0/field"].hint == "did you mean 'device'?"


# --- measures


def test_every_measure(silver: SilverStore) -> None:
    silver.prepare(PLAIN)
    silver.commit(batch(PLAIN, 1, [row(device="a", n=n) for n in range(1, 101)] + [row(device="b")]))
    ops = ("count", "sum", "avg", "min", "max", "p50", "p95", "p99", "last", "distinct")
    measures = (*(Measure(op, "n", op) for op in ops), Measure("count", None, "rows"))
    (answer,) = silver.aggregate(PLAIN, Aggregation(measures=measures)).to_pylist()
    assert answer == {
        "count": 100, "sum": 5050, "avg": 50.5, "min": 1, "max": 100, "last": 100, "distinct": 100, "rows": 101,
        "p50": pytest.approx(50.5), "p95": pytest.approx(95.05), "p99": pytest.approx(99.01),
    }  # fmt: skip


def test_buckets_are_aligned_to_1970(silver: SilverStore) -> None:
    silver.prepare(PLAIN)
    times = ["1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:06.999999Z", "1970-01-01T00:00:07Z"]
    silver.commit(batch(PLAIN, 1, [row(_time=datetime.fromisoformat(time), n=1) for time in times]))
    answer = silver.aggregate(PLAIN, Aggregation(measures=(Measure("count", None, "c"),), bucket_us=7_000_000))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert answer.to_pylist() == [
        {"_time": epoch - timedelta(seconds=7), "c": 1},
        {"_time": epoch, "c": 2},
        {"_time": epoch + timedelta(seconds=7), "c": 1},
    ]
    assert str(answer.schema.field("_time").type) == "timestamp[us, tz=UTC]"


def test_groups_are_ordered_by_time_and_group_or_by_the_first_measure(silver: SilverStore) -> None:
    filled(silver, 5)
    by_count = Aggregation(measures=(Measure("count", None, "c"), Measure("sum", "n", "s")), group_by=("device",))
    assert silver.aggregate(PLAIN, by_count).to_pylist() == [
        {"device": "odd", "c": 3, "s": 9},
        {"device": "even", "c": 2, "s": 6},
    ]
    bucketed = Aggregation(measures=(Measure("sum", "n", "s"),), group_by=("device",), bucket_us=3_600_000_000)
    assert silver.aggregate(PLAIN, bucketed).column("device").to_pylist() == ["even", "odd"]


def test_sums_do_not_overflow(silver: SilverStore) -> None:
    silver.prepare(PLAIN)
    silver.commit(batch(PLAIN, 1, [row(n=2**63 - 1), row(n=2**63 - 1)]))
    answer = silver.aggregate(PLAIN, Aggregation(measures=(Measure("sum", "n", "s"),)))
    assert answer.column("s").to_pylist() == [pytest.approx(2.0**64)]


def test_last_is_the_latest_value_by_time_then_place(silver: SilverStore) -> None:
    silver.prepare(PLAIN)
    late, early = START + timedelta(hours=1), START
    events = [
        row(_time=late, n=1),
        Event(({"_time": late, "n": 2}, {"_time": late, "n": 3})),
        row(_time=late),
        row(_time=early, n=4),
    ]
    silver.commit(batch(PLAIN, 1, events))
    answer = silver.aggregate(PLAIN, Aggregation(measures=(Measure("last", "n", "n"),)))
    assert answer.column("n").to_pylist() == [3]  # nulls are passed over


def test_decimals_and_instants_are_answered_in_types_json_can_carry(silver: SilverStore) -> None:
    silver.prepare(EVERY_TYPE)
    silver.commit(batch(EVERY_TYPE, 1, [row(decimal=Decimal("0.1"), timestamp=START), row(decimal=Decimal("0.2"))]))
    ops = ("sum", "max", "last", "p50")
    measures = (*(Measure(op, "decimal", op) for op in ops), Measure("max", "timestamp", "t"))
    (answer,) = silver.aggregate(EVERY_TYPE, Aggregation(measures=measures)).to_pylist()
    assert answer == {"sum": 0.3, "max": 0.2, "last": 0.2, "p50": pytest.approx(0.15), "t": START}


def test_every_problem_of_an_aggregation_is_told(silver: SilverStore) -> None:
    filled(silver)
    wrong = Aggregation(
        measures=(
            Measure("sums", "n", "a"),
            Measure("avg", "device", "b"),
            Measure("sum", None, "c"),
            Measure("min", "m", "c"),
        ),
        group_by=("devices",),
        bucket_us=0,
    )
    with pytest.raises(Invalid) as caught:
        silver.aggregate(PLAIN, wrong)
    assert sorted(problem.pointer for problem in caught.value.problems) == [
        "/bucket", "/group_by/0", "/measures/0/op", "/measures/1/op", "/measures/2/field", "/measures/3/as",
        "/measures/3/field",
    ]  # fmt: skip


def test_nothing_matches(silver: SilverStore) -> None:
    filled(silver)
    nobody = (Condition("device", "=", "nobody"),)
    measures = (Measure("count", None, "c"), Measure("avg", "n", "a"))
    assert silver.aggregate(PLAIN, Aggregation(measures=measures, where=nobody)).to_pylist() == [{"c": 0, "a": None}]
    assert silver.aggregate(PLAIN, Aggregation(measures=measures, where=nobody, bucket_us=1)).num_rows == 0


# --- dead letters


def test_dead_letters_newest_first_by_reason_and_page(silver: SilverStore) -> None:
    silver.prepare(PLAIN)
    silver.commit(batch(PLAIN, 1, [dead("type"), dead("range"), row(n=1), Event((), ("type", "range"))]))
    ask = PLAIN.pipeline_id

    def seqs(query: DeadLetterQuery) -> list[int]:
        found: list[int] = silver.dead_letters(ask, query).column("seq").to_pylist()
        return found

    assert seqs(DeadLetterQuery()) == [4, 4, 2, 1]
    assert seqs(DeadLetterQuery(reason="type")) == [4, 1]
    assert seqs(DeadLetterQuery(field="other")) == []
    assert seqs(DeadLetterQuery(before=(START + timedelta(seconds=4), 4), limit=1)) == [2]
    assert seqs(DeadLetterQuery(seq=4)) == [4, 4]
    letter = silver.dead_letters(ask, DeadLetterQuery(before=(START + timedelta(seconds=2), 2))).to_pylist()[0]
    assert (letter["item"], letter["reason"], letter["value"], letter["version"]) == (0, "type", "abc", 1)
