"""Which rollup tells where rows are that a page asks for, and what holds for its buckets."""

import pytest

from appliance.components.silver import Column, Condition, Order, RecordQuery, Table
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.storage.sql.gold import golds_of
from appliance.storage.sql.likely import likely, select_buckets
from appliance.storage.sql.postgresql import PostgreSql

EXTREMES = [RollupMeasure("min", "temp"), RollupMeasure("max", "temp"), RollupMeasure("max", "on")]
TABLE = Table(
    PipelineId("pl_1"),
    (Column("device", FieldType.STRING), Column("temp", FieldType.FLOAT), Column("on", FieldType.BOOLEAN)),
    rollups=(
        Rollup(name="per_minute", bucket="1m", group_by=["device"], measures=[RollupMeasure("max", "temp")]),
        Rollup(name="per_hour", bucket="1h", group_by=["device"], measures=EXTREMES),
        Rollup(name="per_day", bucket="1d", measures=EXTREMES),
    ),
)
A = Condition("device", "=", "a")


@pytest.mark.parametrize(
    ("where", "rollup", "states"),
    [
        ((A,), "per_minute", []),
        ((A, Condition("temp", ">", 1.0)), "per_minute", [("_max.temp", ">")]),
        ((A, Condition("temp", ">=", 1.0)), "per_minute", [("_max.temp", ">=")]),
        ((A, Condition("temp", "<", 1.0)), "per_hour", [("_min.temp", "<")]),
        ((A, Condition("temp", "<=", 1.0)), "per_hour", [("_min.temp", "<=")]),
        ((A, Condition("temp", "=", 1.0)), "per_hour", [("_min.temp", "<="), ("_max.temp", ">=")]),
        ((A, Condition("temp", "<>", 1.0)), "per_minute", []),
        ((A, Condition("on", "=", True)), "per_minute", []),
        ((A, Condition("_item", ">", 7)), "per_minute", []),
        ((A, Condition("_seq", ">", 7)), None, []),
        ((Condition("temp", ">", 1.0),), "per_day", [("_max.temp", ">")]),
        ((Condition("temp", ">", 1.0), Condition("device", "<>", "a")), "per_day", [("_max.temp", ">")]),
        ((Condition("device", "<>", "a"),), None, []),
        ((Condition("temp", "not_null"),), None, []),
        ((), None, []),
    ],
)
def test_the_rollup_that_tells_most(
    where: tuple[Condition, ...], rollup: str | None, states: list[tuple[str, str]]
) -> None:
    found = likely(TABLE, RecordQuery(where=where), golds_of(TABLE, 1))
    assert (found.gold.name if found else None) == rollup
    assert [(one.field, one.op) for one in (found.of_states if found else ())] == states


def test_buckets_are_asked_for_by_group_and_by_what_is_greatest_in_them() -> None:
    query = RecordQuery(where=(A, Condition("temp", ">", 1.0)), order=Order.DESC)
    found = likely(TABLE, query, golds_of(TABLE, 1))
    assert found is not None
    statement = select_buckets(found, query, (None, None), 64, PostgreSql())
    assert statement.sql.replace(found.gold.main.name, "sheet") == (
        'SELECT "r"."_time", "r"."_rows" FROM "sheet" AS "r"'
        ' WHERE (LEFT("r"."device", 64) = LEFT(%(v0)s, 64) AND "r"."device" = %(v0)s)'
        ' AND "r"."_max.temp" > %(v1)s AND "r"."_part" <> 2 ORDER BY "r"."_time" DESC LIMIT %(v2)s'
    )
    assert statement.values == {"v0": "a", "v1": 1.0, "v2": 64}
    assert select_buckets(found, query, (None, None), 65, PostgreSql()).sql == statement.sql
