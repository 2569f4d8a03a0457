"""Which rollup answers which part of a question."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from appliance.components.silver import Aggregation, Column, Condition, Measure, Table
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.storage.sql.gold import golds_of
from appliance.storage.sql.gold_route import Route, route

TABLE = Table(
    PipelineId("pl_test"),
    (Column("device", FieldType.STRING), Column("line", FieldType.STRING), Column("temp", FieldType.FLOAT, "°C")),
)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR_US = 3_600_000_000
AVERAGE = Aggregation(measures=(Measure("avg", "temp", "t"),), bucket_us=HOUR_US)


def rollup(name: str, bucket: str, *ops: str, group_by: tuple[str, ...] = ()) -> Rollup:
    measures = [RollupMeasure(op, "temp") for op in ops or ("avg",)]
    return Rollup(name=name, bucket=bucket, group_by=list(group_by), measures=measures)


def found(query: Aggregation, *rollups: Rollup) -> Route | None:
    return route(TABLE, query, golds_of(replace(TABLE, rollups=rollups), 1))


def source(query: Aggregation, *rollups: Rollup) -> str | None:
    answered = found(query, *rollups)
    return answered.source if answered else None


@pytest.mark.parametrize(
    ("bucket", "answers"), [("1m", True), ("20m", True), ("1h", True), ("2h", False), ("45m", False), ("1d", False)]
)
def test_buckets_have_to_fill_the_bucket_asked_for(bucket: str, answers: bool) -> None:
    assert source(AVERAGE, rollup("r", bucket)) == ("gold:r" if answers else None)


@pytest.mark.parametrize(
    ("op", "kept", "answers"),
    [
        ("count", "max", False),  # of the field: how many are not null
        ("count", "avg", True),
        ("sum", "avg", True),
        ("avg", "sum", False),
        ("min", "max", False),
        ("last", "last", True),
        ("distinct", "avg", False),
        ("p95", "percentiles", False),
    ],
)
def test_what_is_kept_decides(op: str, kept: str, answers: bool) -> None:
    query = replace(AVERAGE, measures=(Measure(op, "temp", "t"),))
    assert source(query, rollup("r", "1m", kept)) == ("gold:r" if answers else None)


def test_rows_are_counted_by_every_rollup() -> None:
    assert source(replace(AVERAGE, measures=(Measure("count", None, "n"),)), rollup("r", "1m", "max")) == "gold:r"


def test_percentiles_are_sketched_for_who_may_be_told_so() -> None:
    query = replace(AVERAGE, measures=(Measure("p95", "temp", "t"),), approximate=True)
    assert source(query, rollup("r", "1m", "percentiles")) == "gold:r"
    assert source(query, rollup("r", "1m", "avg")) is None


def test_groups_and_conditions_have_to_be_within_its_groups() -> None:
    both = rollup("both", "1m", group_by=("device", "line"))
    plain = rollup("plain", "1m")
    by_line = replace(AVERAGE, group_by=("line",))
    where_line = replace(AVERAGE, where=(Condition("line", "=", "l1"),))
    assert source(by_line, plain) is None
    assert source(by_line, plain, both) == "gold:both"
    assert source(where_line, both) == "gold:both"
    assert source(replace(AVERAGE, where=(Condition("_time", "not_null"),)), both) is None
    assert source(AVERAGE, both, plain) == "gold:plain"  # the fewest groups are the fewest rows


def test_the_middle_comes_from_wide_buckets_and_the_edges_from_narrow_ones() -> None:
    query = replace(AVERAGE, bucket_us=None, start=NOON - timedelta(hours=40), end=NOON + timedelta(seconds=90))
    answered = found(query, rollup("hour", "1h"), rollup("day", "1d"), rollup("minute", "1m"))
    assert answered is not None
    assert answered.source == "gold:day+hour+minute"
    midnight = NOON.replace(hour=0)
    assert [(one.gold.name if one.gold else None, one.start, one.end) for one in answered.stretches] == [
        ("hour", NOON - timedelta(hours=40), midnight - timedelta(days=1)),
        ("day", midnight - timedelta(days=1), midnight),
        ("hour", midnight, NOON),
        ("minute", NOON, NOON + timedelta(seconds=60)),
        (None, NOON + timedelta(seconds=60), NOON + timedelta(seconds=90)),
    ]


def test_a_range_without_a_whole_bucket_is_left_to_the_rows() -> None:
    assert source(replace(AVERAGE, start=NOON, end=NOON + timedelta(minutes=59)), rollup("r", "1h")) is None
    assert source(replace(AVERAGE, start=NOON, end=NOON), rollup("r", "1h")) is None


def test_the_end_of_time_is_left_to_the_rows() -> None:
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert source(replace(AVERAGE, start=end), rollup("r", "1h")) is None


def test_sheets_are_named_for_what_they_hold() -> None:
    def name(one: Rollup, *columns: Column) -> str:
        table = replace(TABLE, columns=columns or TABLE.columns, rollups=(one,))
        return golds_of(table, 3)[0].main.name

    minute = rollup("r", "1m", "avg", "max", group_by=("device", "line"))
    assert name(minute).startswith("gold_pl_test.3.")
    assert name(minute) == name(rollup("other", "60s", "max", "avg", "sum", group_by=("line", "device")))
    assert name(minute) == name(minute, *TABLE.columns[:2], Column("temp", FieldType.FLOAT, "K"))
    assert name(minute) != name(minute, *TABLE.columns[:2], Column("temp", FieldType.DECIMAL))
    assert name(minute) != name(rollup("r", "1m", "avg", "max", group_by=("device",)))
    assert name(minute) != name(rollup("r", "1m", "avg", "max", "percentiles", group_by=("device", "line")))
