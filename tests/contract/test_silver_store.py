"""What every row store promises of writing: batches, keys, schema, and an end."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

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
)
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import FieldType
from appliance.errors import Conflict, FatalError, TransientError
from tests.silver_batches import (
    EVERY_TYPE,
    FILTERED,
    KEYED,
    PLAIN,
    Event,
    batch,
    dead,
    filled,
    row,
    rows_in,
    table,
)

Open = Callable[[], SilverStore]

# --- committing


def test_a_pipeline_never_seen_has_zero_progress(silver: SilverStore) -> None:
    assert silver.progress(PipelineId("pl_none")) == Progress(0, Outcome())
    assert silver.records(table("pl_none"), RecordQuery()).num_rows == 0
    assert silver.dead_letters(PipelineId("pl_none"), DeadLetterQuery()).num_rows == 0
    assert silver.recount(table("pl_none")) == Outcome()


def test_rows_dead_letters_and_progress_arrive_together(silver: SilverStore) -> None:
    silver.prepare(PLAIN)
    progress = silver.commit(batch(PLAIN, 1, [row(device="a", n=1), FILTERED, dead("type"), row(device="b", n=2)]))
    assert progress == Progress(4, Outcome(stored=2, filtered=1, duplicate=0, dead=1))
    assert silver.progress(PLAIN.pipeline_id) == progress
    assert rows_in(silver, PLAIN, "_seq", "_item", "device", "n") == [(1, 0, "a", 1), (4, 0, "b", 2)]
    assert silver.dead_letters(PLAIN.pipeline_id, DeadLetterQuery()).column("seq").to_pylist() == [3]


def test_progress_adds_up_and_survives_closing(reopen_silver: Open) -> None:
    silver = reopen_silver()
    silver.prepare(PLAIN)
    silver.commit(batch(PLAIN, 1, [row(device="a", n=1)]))
    silver.commit(batch(PLAIN, 2, [row(device="b", n=2), dead()]))
    again = reopen_silver()
    assert again.progress(PLAIN.pipeline_id) == Progress(3, Outcome(stored=2, dead=1))
    assert rows_in(again, PLAIN, "device") == [("a",), ("b",)]


def test_an_event_may_become_several_rows(silver: SilverStore) -> None:
    silver.prepare(PLAIN)
    progress = silver.commit(
        batch(PLAIN, 1, [Event(({"n": 1}, {"n": 2}, {"n": 3})), Event(({"n": 4},), ("required",))])
    )
    assert progress.outcome == Outcome(stored=1, dead=1)  # the second event has a row and a dead item: it is dead
    assert rows_in(silver, PLAIN, "_seq", "_item", "n") == [(1, 0, 1), (1, 1, 2), (1, 2, 3), (2, 0, 4)]


@pytest.mark.parametrize("first_seq", [1, 2, 4, 5])
def test_a_batch_that_does_not_follow_changes_nothing(silver: SilverStore, first_seq: int) -> None:
    silver.prepare(PLAIN)
    before = silver.commit(batch(PLAIN, 1, [row(n=1), row(n=2)]))
    with pytest.raises(Conflict, match="3 is next"):
        silver.commit(batch(PLAIN, first_seq, [row(n=9)]))
    assert silver.progress(PLAIN.pipeline_id) == before
    assert rows_in(silver, PLAIN, "n") == [(1,), (2,)]
    silver.commit(batch(PLAIN, 3, [row(n=3)]))


def test_an_outcome_that_does_not_cover_the_events_is_refused(silver: SilverStore) -> None:
    wrong = batch(PLAIN, 1, [row(n=1), row(n=2)])
    wrong = type(wrong)(wrong.table, 1, 1, 3, wrong.rows, wrong.dead, wrong.outcome)
    silver.prepare(PLAIN)
    with pytest.raises(FatalError, match="expected an outcome for 3 events, got 2"):
        silver.commit(wrong)
    assert silver.progress(PLAIN.pipeline_id) == Progress()


def test_pipelines_do_not_touch_each_other(silver: SilverStore) -> None:
    other = table("pl_other")
    for each in (PLAIN, other):
        silver.prepare(each)
    silver.commit(batch(PLAIN, 1, [row(n=1)]))
    silver.commit(batch(other, 1, [row(n=2), dead()]))
    unseen = PipelineId("pl_unseen")
    assert silver.counts([PLAIN.pipeline_id, other.pipeline_id, unseen]) == {
        PLAIN.pipeline_id: Progress(1, Outcome(stored=1)),
        other.pipeline_id: Progress(2, Outcome(stored=1, dead=1)),
        unseen: Progress(),
    }
    assert rows_in(silver, PLAIN, "n") == [(1,)]


def test_every_type_comes_back_as_it_was(silver: SilverStore) -> None:
    silver.prepare(EVERY_TYPE)
    instant = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    full = {
        "string": "ß\u2028'\"; drop", "integer": -(2**63), "float": 1e308, "boolean": False, "timestamp": instant,
        "decimal": Decimal("-12345678901234567890123456789.000000001"), "json": '{"a":[1,null]}', "_extra": '{"b":2}',
    }  # fmt: skip
    silver.commit(batch(EVERY_TYPE, 1, [row(**full), row()]))
    answer = silver.records(EVERY_TYPE, RecordQuery(order=Order.ASC))
    assert answer.column_names == ["_time", "_seq", "_item", "_extra", *(kind.value for kind in FieldType)]
    first, second = answer.to_pylist()
    assert {name: first[name] for name in full} == full
    assert all(second[kind.value] is None for kind in FieldType)
    types = {"_time": "timestamp[us, tz=UTC]", "_seq": "int64", "_item": "int32", "decimal": "decimal128(38, 9)"}
    assert {name: str(answer.schema.field(name).type) for name in types} == types
    empty = silver.records(EVERY_TYPE, RecordQuery(where=(Condition("string", "=", "nobody"),)))
    assert empty.schema.equals(answer.schema)


def test_names_may_hold_anything(silver: SilverStore) -> None:
    wild = table(
        "pl_wild", **{'select"; drop': FieldType.STRING, "rowid": FieldType.INTEGER, "temp °C": FieldType.FLOAT}
    )
    silver.prepare(wild)
    silver.commit(batch(wild, 1, [row(**{'select"; drop': "x", "rowid": 7, "temp °C": 1.5})]))
    found = rows_in(silver, wild, "rowid", where=(Condition('select"; drop', "=", "x"), Condition("temp °C", ">", 1)))
    assert found == [(7,)]
    answer = silver.aggregate(
        wild, Aggregation(measures=(Measure("max", "temp °C", 'a"b'),), group_by=('select"; drop',))
    )
    assert answer.to_pylist() == [{'select"; drop': "x", 'a"b': 1.5}]


# --- keys


def test_a_row_with_the_same_key_replaces_an_earlier_one(silver: SilverStore) -> None:
    silver.prepare(KEYED)
    silver.commit(batch(KEYED, 1, [row(_key="a", n=1), row(_key="b", n=2)]))
    progress = silver.commit(batch(KEYED, 3, [row(_key="a", n=3)]))
    assert progress == Progress(3, Outcome(stored=2, duplicate=1))
    assert rows_in(silver, KEYED, "_seq", "n") == [(2, 2), (3, 3)]
    assert silver.recount(KEYED) == progress.outcome


def test_the_last_of_a_batch_wins(silver: SilverStore) -> None:
    silver.prepare(KEYED)
    progress = silver.commit(batch(KEYED, 1, [row(_key="a", n=1), row(_key="a", n=2), row(_key="a", n=3)]))
    assert progress.outcome == Outcome(stored=1, duplicate=2)
    assert rows_in(silver, KEYED, "n") == [(3,)]


def test_a_key_that_is_null_equals_nothing(silver: SilverStore) -> None:
    silver.prepare(KEYED)
    progress = silver.commit(batch(KEYED, 1, [row(n=1), row(n=2), row(_key="a", n=3), row(_key="a", n=4)]))
    assert progress.outcome == Outcome(stored=3, duplicate=1)
    assert rows_in(silver, KEYED, "n") == [(1,), (2,), (4,)]


def test_an_event_is_a_duplicate_only_when_its_last_row_goes(silver: SilverStore) -> None:
    silver.prepare(KEYED)
    silver.commit(batch(KEYED, 1, [Event(({"_key": "a"}, {"_key": "b"}))]))
    assert silver.commit(batch(KEYED, 2, [row(_key="a")])).outcome == Outcome(stored=2)
    assert silver.commit(batch(KEYED, 3, [row(_key="b")])).outcome == Outcome(stored=2, duplicate=1)
    assert rows_in(silver, KEYED, "_seq", "_item") == [(2, 0), (3, 0)]


def test_within_one_event_the_last_item_wins(silver: SilverStore) -> None:
    silver.prepare(KEYED)
    progress = silver.commit(batch(KEYED, 1, [Event(({"_key": "a", "n": 1}, {"_key": "a", "n": 2}))]))
    assert progress.outcome == Outcome(stored=1)
    assert rows_in(silver, KEYED, "_item", "n") == [(1, 2)]


def test_a_dead_event_stays_dead_when_its_rows_are_replaced(silver: SilverStore) -> None:
    silver.prepare(KEYED)
    half_dead = Event(({"_key": "a"},), ("type",))
    progress = silver.commit(batch(KEYED, 1, [half_dead, half_dead]))
    assert progress.outcome == Outcome(dead=2)
    progress = silver.commit(batch(KEYED, 3, [row(_key="a")]))
    assert progress.outcome == Outcome(stored=1, dead=2)
    assert silver.recount(KEYED) == progress.outcome
    assert rows_in(silver, KEYED, "_seq") == [(3,)]


# --- schema


def test_preparing_twice_changes_nothing(silver: SilverStore) -> None:
    silver.prepare(PLAIN)
    silver.commit(batch(PLAIN, 1, [row(n=1)]))
    silver.prepare(PLAIN)
    assert rows_in(silver, PLAIN, "n") == [(1,)]


def test_a_new_column_is_null_in_old_rows(reopen_silver: Open) -> None:
    silver = reopen_silver()
    silver.prepare(PLAIN)
    silver.commit(batch(PLAIN, 1, [row(device="a", n=1)]))
    wider = table(device=FieldType.STRING, unit=FieldType.STRING, n=FieldType.INTEGER)
    assert rows_in(silver, wider, "device", "unit") == [("a", None)]  # also before it is prepared
    silver.prepare(wider)
    silver.commit(batch(wider, 2, [row(device="b", unit="°C", n=2)]))
    again = reopen_silver()
    assert rows_in(again, wider, "device", "unit", "n") == [("a", None, 1), ("b", "°C", 2)]


def test_a_column_left_out_stays(silver: SilverStore) -> None:
    narrower = table(n=FieldType.INTEGER)
    silver.prepare(PLAIN)
    silver.commit(batch(PLAIN, 1, [row(device="a", n=1)]))
    silver.prepare(narrower)
    silver.commit(batch(narrower, 2, [row(n=2)]))
    assert rows_in(silver, PLAIN, "device", "n") == [("a", 1), (None, 2)]
    assert "device" not in silver.records(narrower, RecordQuery()).column_names


def test_another_type_is_a_conflict_that_names_it(silver: SilverStore) -> None:
    silver.prepare(PLAIN)
    with pytest.raises(Conflict, match=r"column 'n' holds integer and cannot become boolean .*replay the pipeline"):
        silver.prepare(table(device=FieldType.STRING, extra=FieldType.STRING, n=FieldType.BOOLEAN))
    silver.commit(batch(PLAIN, 1, [row(n=1)]))
    assert rows_in(silver, PLAIN, "n") == [(1,)]


@pytest.mark.parametrize("names", [("Temp", "temp"), ("_seq",), ("_key",)])
def test_names_that_clash_are_refused(silver: SilverStore, names: tuple[str, ...]) -> None:
    with pytest.raises(Conflict, match="give it another name"):
        silver.prepare(table(**dict.fromkeys(names, FieldType.STRING)))


def test_keys_may_be_introduced_later(silver: SilverStore) -> None:
    silver.prepare(PLAIN)
    silver.commit(batch(PLAIN, 1, [row(n=1)]))
    keyed = table(keyed=True)
    silver.prepare(keyed)
    silver.commit(batch(keyed, 2, [row(_key="a", n=2), row(_key="a", n=3)]))
    assert rows_in(silver, keyed, "n") == [(1,), (3,)]
    assert silver.progress(PLAIN.pipeline_id).outcome == Outcome(stored=2, duplicate=1)


# --- removing, closing


def test_dropping_removes_everything_of_one_pipeline(reopen_silver: Open) -> None:
    silver = reopen_silver()
    filled(silver)
    silver.commit(batch(KEYED, 1, [row(_key="a", n=1)]))
    silver.drop(PLAIN.pipeline_id)
    silver.drop(PipelineId("pl_never"))
    again = reopen_silver()
    assert again.progress(PLAIN.pipeline_id) == Progress()
    assert rows_in(again, PLAIN, "n") == []
    assert rows_in(again, KEYED, "n") == [(1,)]
    again.commit(batch(PLAIN, 1, [row(n=1)]))
    assert rows_in(again, PLAIN, "n") == [(1,)]


def test_a_closed_store_says_so(silver: SilverStore) -> None:
    filled(silver)
    silver.close()
    silver.close()
    with pytest.raises(TransientError, match="closed"):
        silver.progress(PLAIN.pipeline_id)
    with pytest.raises(TransientError, match="closed"):
        silver.commit(batch(PLAIN, 11, [row(n=1)]))
    with pytest.raises(TransientError, match="closed"):
        silver.records(PLAIN, RecordQuery())


def test_readers_see_whole_commits_while_a_writer_writes(silver: SilverStore) -> None:
    silver.prepare(PLAIN)
    done = threading.Event()
    failures: list[Exception] = []

    def write() -> None:
        try:
            for number in range(40):
                silver.commit(batch(PLAIN, number * 50 + 1, [row(n=1)] * 50))
        except Exception as error:  # noqa: BLE001 - told to the test
            failures.append(error)
        finally:
            done.set()

    writer = threading.Thread(target=write)
    writer.start()
    counts = []
    while not done.is_set():
        answer = silver.aggregate(PLAIN, Aggregation(measures=(Measure("count", None, "c"),)))
        counts.append(answer.column("c")[0].as_py())
    writer.join()
    assert failures == []
    assert all(count % 50 == 0 for count in counts)
    assert counts == sorted(counts)
    assert silver.progress(PLAIN.pipeline_id) == Progress(2000, Outcome(stored=2000))
