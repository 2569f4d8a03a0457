"""What every row store promises. A new adapter is done when it is in ``STORES`` and this passes."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from appliance.components.silver import (
    Aggregation,
    Condition,
    DeadLetterQuery,
    Measure,
    Order,
    Progress,
    RecordQuery,
    SilverStore,
    Table,
)
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import FieldType
from appliance.errors import Conflict, FatalError, Invalid, TransientError
from appliance.storage.silver_duckdb.store import DuckDbSilver
from tests.silver_batches import FILTERED, START, Event, batch, dead, row, table

Open = Callable[[], SilverStore]
STORES: dict[str, Callable[[Path], SilverStore]] = {"duckdb": lambda folder: DuckDbSilver(folder / "org_1.duckdb")}
PLAIN = table()
KEYED = table("pl_keyed", keyed=True)
EVERY_TYPE = table("pl_types", **{kind.value: kind for kind in FieldType})


@pytest.fixture(params=STORES)
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Close the store, if it is open, and open it again on the same place."""
    opened: list[SilverStore] = []

    def again() -> SilverStore:
        for store in opened:
            store.close()
        opened.append(STORES[request.param](tmp_path))
        return opened[-1]

    yield again
    opened[-1].close()


@pytest.fixture
def store(reopen: Open) -> SilverStore:
    return reopen()


def rows(store: SilverStore, of: Table, *fields: str, **query: Any) -> list[tuple[Any, ...]]:
    """Return the rows, oldest first, as tuples of ``fields``."""
    found = store.records(of, RecordQuery(order=Order.ASC, limit=1000, **query)).to_pylist()
    return [tuple(one[field] for field in fields) for one in found]


# --- committing


def test_a_pipeline_never_seen_has_zero_progress(store: SilverStore) -> None:
    assert store.progress(PipelineId("pl_none")) == Progress(0, Outcome())
    assert store.records(table("pl_none"), RecordQuery()).num_rows == 0
    assert store.dead_letters(PipelineId("pl_none"), DeadLetterQuery()).num_rows == 0
    assert store.recount(table("pl_none")) == Outcome()


def test_rows_dead_letters_and_progress_arrive_together(store: SilverStore) -> None:
    store.prepare(PLAIN)
    progress = store.commit(batch(PLAIN, 1, [row(device="a", n=1), FILTERED, dead("type"), row(device="b", n=2)]))
    assert progress == Progress(4, Outcome(stored=2, filtered=1, duplicate=0, dead=1))
    assert store.progress(PLAIN.pipeline_id) == progress
    assert rows(store, PLAIN, "_seq", "_item", "device", "n") == [(1, 0, "a", 1), (4, 0, "b", 2)]
    assert store.dead_letters(PLAIN.pipeline_id, DeadLetterQuery()).column("seq").to_pylist() == [3]


def test_progress_adds_up_and_survives_closing(reopen: Open) -> None:
    store = reopen()
    store.prepare(PLAIN)
    store.commit(batch(PLAIN, 1, [row(device="a", n=1)]))
    store.commit(batch(PLAIN, 2, [row(device="b", n=2), dead()]))
    again = reopen()
    assert again.progress(PLAIN.pipeline_id) == Progress(3, Outcome(stored=2, dead=1))
    assert rows(again, PLAIN, "device") == [("a",), ("b",)]


def test_an_event_may_become_several_rows(store: SilverStore) -> None:
    store.prepare(PLAIN)
    progress = store.commit(batch(PLAIN, 1, [Event(({"n": 1}, {"n": 2}, {"n": 3})), Event(({"n": 4},), ("required",))]))
    assert progress.outcome == Outcome(stored=1, dead=1)  # the second event has a row and a dead item: it is dead
    assert rows(store, PLAIN, "_seq", "_item", "n") == [(1, 0, 1), (1, 1, 2), (1, 2, 3), (2, 0, 4)]


@pytest.mark.parametrize("first_seq", [1, 2, 4, 5])
def test_a_batch_that_does_not_follow_changes_nothing(store: SilverStore, first_seq: int) -> None:
    store.prepare(PLAIN)
    before = store.commit(batch(PLAIN, 1, [row(n=1), row(n=2)]))
    with pytest.raises(Conflict, match="3 is next"):
        store.commit(batch(PLAIN, first_seq, [row(n=9)]))
    assert store.progress(PLAIN.pipeline_id) == before
    assert rows(store, PLAIN, "n") == [(1,), (2,)]
    store.commit(batch(PLAIN, 3, [row(n=3)]))


def test_an_outcome_that_does_not_cover_the_events_is_refused(store: SilverStore) -> None:
    wrong = batch(PLAIN, 1, [row(n=1), row(n=2)])
    wrong = type(wrong)(wrong.table, 1, 1, 3, wrong.rows, wrong.dead, wrong.outcome)
    store.prepare(PLAIN)
    with pytest.raises(FatalError, match="expected an outcome for 3 events, got 2"):
        store.commit(wrong)
    assert store.progress(PLAIN.pipeline_id) == Progress()


def test_pipelines_do_not_touch_each_other(store: SilverStore) -> None:
    other = table("pl_other")
    for each in (PLAIN, other):
        store.prepare(each)
    store.commit(batch(PLAIN, 1, [row(n=1)]))
    store.commit(batch(other, 1, [row(n=2), dead()]))
    unseen = PipelineId("pl_unseen")
    assert store.counts([PLAIN.pipeline_id, other.pipeline_id, unseen]) == {
        PLAIN.pipeline_id: Progress(1, Outcome(stored=1)),
        other.pipeline_id: Progress(2, Outcome(stored=1, dead=1)),
        unseen: Progress(),
    }
    assert rows(store, PLAIN, "n") == [(1,)]


def test_every_type_comes_back_as_it_was(store: SilverStore) -> None:
    store.prepare(EVERY_TYPE)
    instant = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    full = {
        "string": "ß\u2028'\"; drop", "integer": -(2**63), "float": 1e308, "boolean": False, "timestamp": instant,
        "decimal": Decimal("-12345678901234567890123456789.000000001"), "json": '{"a":[1,null]}', "_extra": '{"b":2}',
    }  # fmt: skip
    store.commit(batch(EVERY_TYPE, 1, [row(**full), row()]))
    answer = store.records(EVERY_TYPE, RecordQuery(order=Order.ASC))
    assert answer.column_names == ["_time", "_seq", "_item", "_extra", *(kind.value for kind in FieldType)]
    first, second = answer.to_pylist()
    assert {name: first[name] for name in full} == full
    assert all(second[kind.value] is None for kind in FieldType)
    types = {"_time": "timestamp[us, tz=UTC]", "_seq": "int64", "_item": "int32", "decimal": "decimal128(38, 9)"}
    assert {name: str(answer.schema.field(name).type) for name in types} == types
    empty = store.records(EVERY_TYPE, RecordQuery(where=(Condition("string", "=", "nobody"),)))
    assert empty.schema.equals(answer.schema)


def test_names_may_hold_anything(store: SilverStore) -> None:
    wild = table(
        "pl_wild", **{'select"; drop': FieldType.STRING, "rowid": FieldType.INTEGER, "temp °C": FieldType.FLOAT}
    )
    store.prepare(wild)
    store.commit(batch(wild, 1, [row(**{'select"; drop': "x", "rowid": 7, "temp °C": 1.5})]))
    found = rows(store, wild, "rowid", where=(Condition('select"; drop', "=", "x"), Condition("temp °C", ">", 1)))
    assert found == [(7,)]
    answer = store.aggregate(
        wild, Aggregation(measures=(Measure("max", "temp °C", 'a"b'),), group_by=('select"; drop',))
    )
    assert answer.to_pylist() == [{'select"; drop': "x", 'a"b': 1.5}]


# --- keys


def test_a_row_with_the_same_key_replaces_an_earlier_one(store: SilverStore) -> None:
    store.prepare(KEYED)
    store.commit(batch(KEYED, 1, [row(_key="a", n=1), row(_key="b", n=2)]))
    progress = store.commit(batch(KEYED, 3, [row(_key="a", n=3)]))
    assert progress == Progress(3, Outcome(stored=2, duplicate=1))
    assert rows(store, KEYED, "_seq", "n") == [(2, 2), (3, 3)]
    assert store.recount(KEYED) == progress.outcome


def test_the_last_of_a_batch_wins(store: SilverStore) -> None:
    store.prepare(KEYED)
    progress = store.commit(batch(KEYED, 1, [row(_key="a", n=1), row(_key="a", n=2), row(_key="a", n=3)]))
    assert progress.outcome == Outcome(stored=1, duplicate=2)
    assert rows(store, KEYED, "n") == [(3,)]


def test_a_key_that_is_null_equals_nothing(store: SilverStore) -> None:
    store.prepare(KEYED)
    progress = store.commit(batch(KEYED, 1, [row(n=1), row(n=2), row(_key="a", n=3), row(_key="a", n=4)]))
    assert progress.outcome == Outcome(stored=3, duplicate=1)
    assert rows(store, KEYED, "n") == [(1,), (2,), (4,)]


def test_an_event_is_a_duplicate_only_when_its_last_row_goes(store: SilverStore) -> None:
    store.prepare(KEYED)
    store.commit(batch(KEYED, 1, [Event(({"_key": "a"}, {"_key": "b"}))]))
    assert store.commit(batch(KEYED, 2, [row(_key="a")])).outcome == Outcome(stored=2)
    assert store.commit(batch(KEYED, 3, [row(_key="b")])).outcome == Outcome(stored=2, duplicate=1)
    assert rows(store, KEYED, "_seq", "_item") == [(2, 0), (3, 0)]


def test_within_one_event_the_last_item_wins(store: SilverStore) -> None:
    store.prepare(KEYED)
    progress = store.commit(batch(KEYED, 1, [Event(({"_key": "a", "n": 1}, {"_key": "a", "n": 2}))]))
    assert progress.outcome == Outcome(stored=1)
    assert rows(store, KEYED, "_item", "n") == [(1, 2)]


def test_a_dead_event_stays_dead_when_its_rows_are_replaced(store: SilverStore) -> None:
    store.prepare(KEYED)
    half_dead = Event(({"_key": "a"},), ("type",))
    progress = store.commit(batch(KEYED, 1, [half_dead, half_dead]))
    assert progress.outcome == Outcome(dead=2)
    progress = store.commit(batch(KEYED, 3, [row(_key="a")]))
    assert progress.outcome == Outcome(stored=1, dead=2)
    assert store.recount(KEYED) == progress.outcome
    assert rows(store, KEYED, "_seq") == [(3,)]


# --- schema


def test_preparing_twice_changes_nothing(store: SilverStore) -> None:
    store.prepare(PLAIN)
    store.commit(batch(PLAIN, 1, [row(n=1)]))
    store.prepare(PLAIN)
    assert rows(store, PLAIN, "n") == [(1,)]


def test_a_new_column_is_null_in_old_rows(reopen: Open) -> None:
    store = reopen()
    store.prepare(PLAIN)
    store.commit(batch(PLAIN, 1, [row(device="a", n=1)]))
    wider = table(device=FieldType.STRING, unit=FieldType.STRING, n=FieldType.INTEGER)
    assert rows(store, wider, "device", "unit") == [("a", None)]  # also before it is prepared
    store.prepare(wider)
    store.commit(batch(wider, 2, [row(device="b", unit="°C", n=2)]))
    again = reopen()
    assert rows(again, wider, "device", "unit", "n") == [("a", None, 1), ("b", "°C", 2)]


def test_a_column_left_out_stays(store: SilverStore) -> None:
    narrower = table(n=FieldType.INTEGER)
    store.prepare(PLAIN)
    store.commit(batch(PLAIN, 1, [row(device="a", n=1)]))
    store.prepare(narrower)
    store.commit(batch(narrower, 2, [row(n=2)]))
    assert rows(store, PLAIN, "device", "n") == [("a", 1), (None, 2)]
    assert "device" not in store.records(narrower, RecordQuery()).column_names


def test_another_type_is_a_conflict_that_names_it(store: SilverStore) -> None:
    store.prepare(PLAIN)
    with pytest.raises(Conflict, match="column 'n' holds integer and cannot become string"):
        store.prepare(table(device=FieldType.STRING, extra=FieldType.STRING, n=FieldType.STRING))
    store.commit(batch(PLAIN, 1, [row(n=1)]))
    assert rows(store, PLAIN, "n") == [(1,)]


@pytest.mark.parametrize("names", [("Temp", "temp"), ("_seq",), ("_key",)])
def test_names_that_clash_are_refused(store: SilverStore, names: tuple[str, ...]) -> None:
    with pytest.raises(Conflict, match="give it another name"):
        store.prepare(table(**dict.fromkeys(names, FieldType.STRING)))


def test_keys_may_be_introduced_later(store: SilverStore) -> None:
    store.prepare(PLAIN)
    store.commit(batch(PLAIN, 1, [row(n=1)]))
    keyed = table(keyed=True)
    store.prepare(keyed)
    store.commit(batch(keyed, 2, [row(_key="a", n=2), row(_key="a", n=3)]))
    assert rows(store, keyed, "n") == [(1,), (3,)]
    assert store.progress(PLAIN.pipeline_id).outcome == Outcome(stored=2, duplicate=1)


# --- records


def filled(store: SilverStore, count: int = 10) -> None:
    store.prepare(PLAIN)
    events = [row(device="even" if n % 2 == 0 else "odd", n=n) for n in range(1, count + 1)]
    store.commit(batch(PLAIN, 1, events))  # _time is START + seq seconds


def test_newest_first_by_default(store: SilverStore) -> None:
    filled(store)
    assert store.records(PLAIN, RecordQuery(limit=3)).column("n").to_pylist() == [10, 9, 8]


def test_a_range_has_its_start_and_not_its_end(store: SilverStore) -> None:
    filled(store)
    start, end = START + timedelta(seconds=3), START + timedelta(seconds=6)
    assert rows(store, PLAIN, "n", start=start, end=end) == [(3,), (4,), (5,)]


@pytest.mark.parametrize("order", Order)
def test_pages_meet_without_gap_or_overlap(store: SilverStore, order: Order) -> None:
    store.prepare(PLAIN)
    same_time = [Event(tuple({"_time": START, "n": n * 3 + item} for item in range(3))) for n in range(5)]
    store.commit(batch(PLAIN, 1, same_time))
    seen: list[int] = []
    after = None
    while page := store.records(PLAIN, RecordQuery(order=order, limit=4, after=after)).to_pylist():
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
def test_conditions(store: SilverStore, field: str, op: str, value: Any, expected: list[int]) -> None:
    filled(store, 6)
    assert rows(store, PLAIN, "n", where=(Condition(field, op, value),)) == [(n,) for n in expected]


def test_every_problem_of_a_query_is_told(store: SilverStore) -> None:
    filled(store)
    wrong = (
        Condition("devise", "=", "a"), Condition("n", "!=", 1), Condition("n", "=", "1"),
        Condition("n", "contains", "1"),
        Condition("n", "in", []), Condition("n", ">", None), Condition("n", "=", 2**63), Condition("n", "=", True),
    )  # fmt: skip
    with pytest.raises(Invalid) as caught:
        store.records(PLAIN, RecordQuery(where=wrong))
    told = {problem.pointer: problem for problem in caught.value.problems}
    assert list(told) == [
        "/where/0/field", "/where/1/op", "/where/2/value", "/where/3/op", "/where/4/value", "/where/5/value",
        "/where/6/value", "/where/7/value",
    ]  # fmt: skip
    assert told["/where/0/field"].hint == "did you mean 'device'?"


# --- measures


def test_every_measure(store: SilverStore) -> None:
    store.prepare(PLAIN)
    store.commit(batch(PLAIN, 1, [row(device="a", n=n) for n in range(1, 101)] + [row(device="b")]))
    ops = ("count", "sum", "avg", "min", "max", "p50", "p95", "p99", "last", "distinct")
    measures = (*(Measure(op, "n", op) for op in ops), Measure("count", None, "rows"))
    (answer,) = store.aggregate(PLAIN, Aggregation(measures=measures)).to_pylist()
    assert answer == {
        "count": 100, "sum": 5050, "avg": 50.5, "min": 1, "max": 100, "last": 100, "distinct": 100, "rows": 101,
        "p50": pytest.approx(50.5), "p95": pytest.approx(95.05), "p99": pytest.approx(99.01),
    }  # fmt: skip


def test_buckets_are_aligned_to_1970(store: SilverStore) -> None:
    store.prepare(PLAIN)
    times = ["1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:06.999999Z", "1970-01-01T00:00:07Z"]
    store.commit(batch(PLAIN, 1, [row(_time=datetime.fromisoformat(time), n=1) for time in times]))
    answer = store.aggregate(PLAIN, Aggregation(measures=(Measure("count", None, "c"),), bucket_us=7_000_000))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert answer.to_pylist() == [
        {"_time": epoch - timedelta(seconds=7), "c": 1},
        {"_time": epoch, "c": 2},
        {"_time": epoch + timedelta(seconds=7), "c": 1},
    ]
    assert str(answer.schema.field("_time").type) == "timestamp[us, tz=UTC]"


def test_groups_are_ordered_by_time_and_group_or_by_the_first_measure(store: SilverStore) -> None:
    filled(store, 5)
    by_count = Aggregation(measures=(Measure("count", None, "c"), Measure("sum", "n", "s")), group_by=("device",))
    assert store.aggregate(PLAIN, by_count).to_pylist() == [
        {"device": "odd", "c": 3, "s": 9},
        {"device": "even", "c": 2, "s": 6},
    ]
    bucketed = Aggregation(measures=(Measure("sum", "n", "s"),), group_by=("device",), bucket_us=3_600_000_000)
    assert store.aggregate(PLAIN, bucketed).column("device").to_pylist() == ["even", "odd"]


def test_sums_do_not_overflow(store: SilverStore) -> None:
    store.prepare(PLAIN)
    store.commit(batch(PLAIN, 1, [row(n=2**63 - 1), row(n=2**63 - 1)]))
    answer = store.aggregate(PLAIN, Aggregation(measures=(Measure("sum", "n", "s"),)))
    assert answer.column("s").to_pylist() == [pytest.approx(2.0**64)]


def test_last_is_the_latest_value_by_time_then_place(store: SilverStore) -> None:
    store.prepare(PLAIN)
    late, early = START + timedelta(hours=1), START
    events = [
        row(_time=late, n=1),
        Event(({"_time": late, "n": 2}, {"_time": late, "n": 3})),
        row(_time=late),
        row(_time=early, n=4),
    ]
    store.commit(batch(PLAIN, 1, events))
    answer = store.aggregate(PLAIN, Aggregation(measures=(Measure("last", "n", "n"),)))
    assert answer.column("n").to_pylist() == [3]  # nulls are passed over


def test_decimals_and_instants_are_answered_in_types_json_can_carry(store: SilverStore) -> None:
    store.prepare(EVERY_TYPE)
    store.commit(batch(EVERY_TYPE, 1, [row(decimal=Decimal("0.1"), timestamp=START), row(decimal=Decimal("0.2"))]))
    ops = ("sum", "max", "last", "p50")
    measures = (*(Measure(op, "decimal", op) for op in ops), Measure("max", "timestamp", "t"))
    (answer,) = store.aggregate(EVERY_TYPE, Aggregation(measures=measures)).to_pylist()
    assert answer == {"sum": 0.3, "max": 0.2, "last": 0.2, "p50": pytest.approx(0.15), "t": START}


def test_every_problem_of_an_aggregation_is_told(store: SilverStore) -> None:
    filled(store)
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
        store.aggregate(PLAIN, wrong)
    assert sorted(problem.pointer for problem in caught.value.problems) == [
        "/bucket", "/group_by/0", "/measures/0/op", "/measures/1/op", "/measures/2/field", "/measures/3/as",
        "/measures/3/field",
    ]  # fmt: skip


def test_nothing_matches(store: SilverStore) -> None:
    filled(store)
    nobody = (Condition("device", "=", "nobody"),)
    measures = (Measure("count", None, "c"), Measure("avg", "n", "a"))
    assert store.aggregate(PLAIN, Aggregation(measures=measures, where=nobody)).to_pylist() == [{"c": 0, "a": None}]
    assert store.aggregate(PLAIN, Aggregation(measures=measures, where=nobody, bucket_us=1)).num_rows == 0


# --- dead letters, removing, closing


def test_dead_letters_newest_first_by_reason_and_page(store: SilverStore) -> None:
    store.prepare(PLAIN)
    store.commit(batch(PLAIN, 1, [dead("type"), dead("range"), row(n=1), Event((), ("type", "range"))]))
    ask = PLAIN.pipeline_id

    def seqs(query: DeadLetterQuery) -> list[int]:
        found: list[int] = store.dead_letters(ask, query).column("seq").to_pylist()
        return found

    assert seqs(DeadLetterQuery()) == [4, 4, 2, 1]
    assert seqs(DeadLetterQuery(reason="type")) == [4, 1]
    assert seqs(DeadLetterQuery(field="other")) == []
    assert seqs(DeadLetterQuery(before_seq=4, limit=1)) == [2]
    letter = store.dead_letters(ask, DeadLetterQuery(before_seq=2)).to_pylist()[0]
    assert (letter["item"], letter["reason"], letter["value"], letter["version"]) == (0, "type", "abc", 1)


def test_dropping_removes_everything_of_one_pipeline(reopen: Open) -> None:
    store = reopen()
    filled(store)
    store.commit(batch(KEYED, 1, [row(_key="a", n=1)]))
    store.drop(PLAIN.pipeline_id)
    store.drop(PipelineId("pl_never"))
    again = reopen()
    assert again.progress(PLAIN.pipeline_id) == Progress()
    assert rows(again, PLAIN, "n") == []
    assert rows(again, KEYED, "n") == [(1,)]
    again.commit(batch(PLAIN, 1, [row(n=1)]))
    assert rows(again, PLAIN, "n") == [(1,)]


def test_a_closed_store_says_so(store: SilverStore) -> None:
    filled(store)
    store.close()
    store.close()
    with pytest.raises(TransientError, match="closed"):
        store.progress(PLAIN.pipeline_id)
    with pytest.raises(TransientError, match="closed"):
        store.commit(batch(PLAIN, 11, [row(n=1)]))
    with pytest.raises(TransientError, match="closed"):
        store.records(PLAIN, RecordQuery())


def test_readers_see_whole_commits_while_a_writer_writes(store: SilverStore) -> None:
    store.prepare(PLAIN)
    done = threading.Event()
    failures: list[Exception] = []

    def write() -> None:
        try:
            for number in range(40):
                store.commit(batch(PLAIN, number * 50 + 1, [row(n=1)] * 50))
        except Exception as error:  # noqa: BLE001 - told to the test
            failures.append(error)
        finally:
            done.set()

    writer = threading.Thread(target=write)
    writer.start()
    counts = []
    while not done.is_set():
        answer = store.aggregate(PLAIN, Aggregation(measures=(Measure("count", None, "c"),)))
        counts.append(answer.column("c")[0].as_py())
    writer.join()
    assert failures == []
    assert all(count % 50 == 0 for count in counts)
    assert counts == sorted(counts)
    assert store.progress(PLAIN.pipeline_id) == Progress(2000, Outcome(stored=2000))
