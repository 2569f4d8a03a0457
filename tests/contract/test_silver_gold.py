"""What every row store promises of rollups: whatever happens to rows, they answer as the rows do."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.components.silver import Aggregation, Condition, Measure, SilverStore, Table
from appliance.domain.mapping import FieldType
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.errors import Conflict
from tests.silver_batches import KEYED, PLAIN, START, Event, amendment, batch, row, table

MEASURES = [RollupMeasure(op, "n") for op in ("sum", "max", "last")]
PER_MINUTE = Rollup(name="per_minute", bucket="1m", group_by=["device"], measures=MEASURES)
PER_HOUR = Rollup(name="per_hour", bucket="1h", measures=MEASURES)
COUNTED = replace(PLAIN, rollups=(PER_MINUTE, PER_HOUR))
HOUR_US = 3_600_000_000
HOURS = Aggregation(
    measures=(Measure("count", None, "rows"), Measure("sum", "n", "sum"), Measure("last", "n", "last")),
    bucket_us=HOUR_US,
)


def at(text: str, **values: Any) -> Event:
    return row(_time=datetime.fromisoformat(f"2026-01-01T{text}Z"), **values)


FOUR = [at("08:00:10", n=1), at("08:30:00", n=2), at("09:10:00", n=4), at("10:59:59", n=8)]


def hours(silver: SilverStore, of: Table = COUNTED, source: str = "gold:per_hour") -> list[tuple[int, int, int]]:
    """Return (rows, sum, last) of each hour, which ``source`` has to answer."""
    answer = silver.aggregate(of, HOURS)
    assert answer.schema.metadata[b"source"].decode() == source
    return [(one["rows"], one["sum"], one["last"]) for one in answer.to_pylist()]


def test_every_commit_counts_and_late_rows_too(silver: SilverStore) -> None:
    silver.prepare(COUNTED)
    silver.commit(batch(COUNTED, 1, FOUR))
    silver.commit(batch(COUNTED, 5, [at("08:20:00", n=16)]))
    assert hours(silver) == [(3, 19, 2), (1, 4, 4), (1, 8, 8)]


def test_rollups_are_made_from_what_is_there_and_go_when_they_are_declared_no_more(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, FOUR))
    assert hours(silver, COUNTED, "silver") == [(2, 3, 2), (1, 4, 4), (1, 8, 8)]  # not made yet
    silver.prepare(COUNTED)
    assert hours(silver) == [(2, 3, 2), (1, 4, 4), (1, 8, 8)]
    silver.prepare(replace(PLAIN, rollups=(PER_MINUTE,)))
    assert hours(silver, COUNTED, "silver") == [(2, 3, 2), (1, 4, 4), (1, 8, 8)]
    assert hours(silver, replace(PLAIN, rollups=(PER_MINUTE,)), "gold:per_minute") == [(2, 3, 2), (1, 4, 4), (1, 8, 8)]


def test_a_commit_makes_what_was_not_prepared(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, FOUR[:2]))
    silver.commit(batch(COUNTED, 3, FOUR[2:]))
    assert hours(silver) == [(2, 3, 2), (1, 4, 4), (1, 8, 8)]


def test_another_name_for_the_same_costs_nothing(silver: SilverStore) -> None:
    silver.prepare(COUNTED)
    silver.commit(batch(COUNTED, 1, FOUR))
    named = replace(PLAIN, rollups=(replace(PER_HOUR, name="hourly"), PER_HOUR, PER_MINUTE))
    silver.prepare(named)
    silver.commit(batch(named, 5, [at("08:59:00", n=16)]))
    assert [one[0] for one in hours(silver, named, "gold:hourly")] == [3, 1, 1]


def test_a_field_that_is_not_there_is_named(silver: SilverStore) -> None:
    wrong = Rollup(name="wrong", bucket="1m", measures=[RollupMeasure("sum", "temp")])
    with pytest.raises(Conflict, match="'wrong' of pl_test: there is no field 'temp'"):
        silver.prepare(replace(PLAIN, rollups=(wrong,)))


def test_rows_that_are_replaced_are_counted_no_more(silver: SilverStore) -> None:
    counted = replace(KEYED, rollups=COUNTED.rollups)
    silver.prepare(counted)
    silver.commit(batch(counted, 1, [at("08:00:00", _key="a", n=1), at("08:00:30", _key="b", n=2)]))
    silver.commit(batch(counted, 3, [at("09:00:00", _key="a", n=4), at("08:00:40", _key="b", n=8)]))
    assert hours(silver, counted) == [(1, 8, 8), (1, 4, 4)]


def test_amended_and_erased_events_are_counted_as_they_are_now(silver: SilverStore) -> None:
    silver.prepare(COUNTED)
    silver.commit(batch(COUNTED, 1, FOUR))
    silver.letters.amend(amendment(COUNTED, {2: at("09:30:00", n=32)}))
    assert hours(silver) == [(1, 1, 1), (2, 36, 32), (1, 8, 8)]
    silver.upkeep.erase(COUNTED, [1, 4])
    assert hours(silver) == [(2, 36, 32)]


def test_what_is_erased_is_erased_from_former_rollups(silver: SilverStore) -> None:
    silver.prepare(COUNTED)
    silver.commit(batch(COUNTED, 1, FOUR))
    shadow = silver.generations.begin(COUNTED)
    silver.commit(batch(shadow, 1, FOUR))
    silver.upkeep.erase(COUNTED, [4])
    assert hours(silver, shadow) == [(2, 3, 2), (1, 4, 4)]
    silver.prepare(PLAIN)
    silver.upkeep.erase(PLAIN, [3])
    assert hours(silver, shadow, "silver") == [(2, 3, 2)]


@pytest.mark.parametrize("before", ["08:30:00", "09:00:00", "09:05:00", "12:00:00"])
def test_retention_leaves_rollups_as_they_are(silver: SilverStore, before: str) -> None:
    silver.prepare(COUNTED)
    silver.commit(batch(COUNTED, 1, FOUR))
    silver.upkeep.trim(COUNTED, datetime.fromisoformat(f"2026-01-01T{before}Z"))
    assert hours(silver) == [(2, 3, 2), (1, 4, 4), (1, 8, 8)]
    silver.commit(batch(COUNTED, 5, [at("08:50:00", n=16)]))
    silver.commit(batch(COUNTED, 6, [at("08:40:00", n=32)]))
    assert hours(silver) == [(4, 51, 16), (1, 4, 4), (1, 8, 8)]
    silver.upkeep.erase(COUNTED, [5])  # what is there can still be taken out, what retention has removed cannot
    assert hours(silver) == [(3, 35, 32), (1, 4, 4), (1, 8, 8)]


def test_retention_that_spares_unread_events(silver: SilverStore) -> None:
    silver.prepare(COUNTED)
    silver.commit(batch(COUNTED, 1, [FOUR[0], FOUR[3], FOUR[1], FOUR[2]]))
    silver.upkeep.trim(COUNTED, datetime(2026, 1, 1, 9, tzinfo=UTC), up_to=2)
    assert hours(silver) == [(2, 3, 2), (1, 4, 4), (1, 8, 8)]
    silver.upkeep.erase(COUNTED, [3])
    assert hours(silver) == [(1, 1, 1), (1, 4, 4), (1, 8, 8)]


def test_a_rollup_made_later_takes_what_a_finer_one_has_kept(silver: SilverStore) -> None:
    finer = replace(PLAIN, rollups=(PER_MINUTE,))
    silver.prepare(finer)
    silver.commit(batch(finer, 1, FOUR))
    silver.upkeep.trim(finer, datetime(2026, 1, 1, 9, 30, tzinfo=UTC))
    silver.prepare(COUNTED)
    assert hours(silver) == [(2, 3, 2), (1, 4, 4), (1, 8, 8)]


def test_a_new_generation_takes_over_what_cannot_be_refined_again(silver: SilverStore) -> None:
    silver.prepare(COUNTED)
    silver.commit(batch(COUNTED, 1, FOUR[:1]))
    silver.commit(batch(COUNTED, 2, FOUR[1:]))
    silver.upkeep.trim(COUNTED, datetime(2026, 1, 1, 9, tzinfo=UTC))
    shadow = silver.generations.begin(COUNTED, 4)  # Bronze has events from 4 on; 3 is there as a row
    silver.commit(batch(shadow, 4, [at("10:59:59", n=64)]))
    assert hours(silver, shadow) == [(2, 3, 2), (1, 4, 4), (1, 64, 64)]
    silver.generations.swap(COUNTED.pipeline_id, shadow.generation or 0)
    assert hours(silver) == [(2, 3, 2), (1, 4, 4), (1, 64, 64)]


def test_a_range_that_is_exchanged_takes_its_counts_along(silver: SilverStore) -> None:
    silver.prepare(COUNTED)
    for seq, event in enumerate(FOUR, 1):
        silver.commit(batch(COUNTED, seq, [event]))
    silver.upkeep.trim(COUNTED, datetime(2026, 1, 1, 8, 10, tzinfo=UTC))
    shadow = silver.generations.begin(COUNTED, 1, carry=False)
    silver.commit(batch(shadow, 1, [at("08:00:10", n=100), at("08:30:00", n=200)]))
    silver.generations.splice(COUNTED, shadow.generation or 0, 1, 2)
    assert hours(silver) == [(2, 300, 200), (1, 4, 4), (1, 8, 8)]


def test_several_widths_serve_one_range(silver: SilverStore) -> None:
    silver.prepare(COUNTED)
    silver.commit(batch(COUNTED, 1, [row(_time=START + timedelta(seconds=7 * n), n=n) for n in range(2_000)]))
    query = Aggregation(
        measures=(Measure("count", None, "rows"), Measure("sum", "n", "sum")),
        start=START + timedelta(minutes=30, seconds=3),
        end=START + timedelta(hours=2, minutes=10, seconds=5),
    )
    answer = silver.aggregate(COUNTED, query)
    assert answer.schema.metadata[b"source"] == b"gold:per_hour+per_minute"
    # 1803 s … 7805 s: n from 258 to 1114, 857 rows; (258 + 1114) / 2 * 857
    assert answer.to_pylist() == [{"rows": 857, "sum": 587_902}]


def test_a_column_that_widens_is_counted_again(silver: SilverStore) -> None:
    silver.prepare(COUNTED)
    silver.commit(batch(COUNTED, 1, FOUR[:2]))
    wider = replace(table(device=FieldType.STRING, n=FieldType.FLOAT), rollups=COUNTED.rollups)
    silver.prepare(wider)
    silver.commit(batch(wider, 3, [at("08:40:00", n=0.5)]))
    assert hours(silver, wider) == [(3, 3.5, 0.5)]


def test_conditions_on_what_is_grouped_by(silver: SilverStore) -> None:
    silver.prepare(COUNTED)
    silver.commit(batch(COUNTED, 1, [at("08:00:10", device=name, n=1) for name in ("a", "b", "b", None)]))
    for condition, rows in (
        (Condition("device", "=", "b"), 2),
        (Condition("device", "in", ["a", "c"]), 1),
        (Condition("device", "is_null"), 1),
    ):
        answer = silver.aggregate(COUNTED, replace(HOURS, where=(condition,)))
        assert answer.schema.metadata[b"source"] == b"gold:per_minute"
        assert answer.column("rows").to_pylist() == [rows]


def test_rollups_outlive_the_process(reopen_silver: Any) -> None:
    silver = reopen_silver()
    silver.prepare(COUNTED)
    silver.commit(batch(COUNTED, 1, FOUR))
    silver = reopen_silver()
    silver.commit(batch(COUNTED, 5, [at("08:59:00", n=16)]))
    assert hours(silver) == [(3, 19, 16), (1, 4, 4), (1, 8, 8)]


def test_a_pipeline_that_is_dropped_leaves_none(silver: SilverStore) -> None:
    silver.prepare(COUNTED)
    silver.commit(batch(COUNTED, 1, FOUR))
    silver.drop(COUNTED.pipeline_id)
    assert hours(silver, COUNTED, "silver") == []
    silver.commit(batch(COUNTED, 1, FOUR[:1]))
    assert hours(silver) == [(1, 1, 1)]


def test_rollups_are_there_after_the_file_was_rewritten(silver: SilverStore) -> None:
    silver.prepare(COUNTED)
    silver.commit(batch(COUNTED, 1, FOUR))
    silver.upkeep.trim(COUNTED, datetime(2026, 1, 1, 9, tzinfo=UTC))
    silver.upkeep.compact()
    silver.commit(batch(COUNTED, 5, [at("08:59:00", n=16)]))
    assert hours(silver) == [(3, 19, 16), (1, 4, 4), (1, 8, 8)]
    assert silver.upkeep.size().gold[COUNTED.pipeline_id] > 0


def test_buckets_before_1970(silver: SilverStore) -> None:
    silver.prepare(COUNTED)
    moments = ("1969-12-31T22:59:59.999999Z", "1969-12-31T23:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z")
    events = [row(_time=datetime.fromisoformat(moment), n=n) for n, moment in enumerate(moments)]
    silver.commit(batch(COUNTED, 1, events))
    assert hours(silver) == [(1, 0, 0), (2, 3, 2), (1, 3, 3)]
    silver.upkeep.trim(COUNTED, datetime(1969, 12, 31, 23, 30, tzinfo=UTC))
    silver.upkeep.erase(COUNTED, [3])
    assert hours(silver) == [(1, 0, 0), (1, 1, 1), (1, 3, 3)]
