"""Texts that are kept: a question that differs from one before in its values only has them bound where they belong."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.components.silver import Aggregation, Column, Condition, Measure, RecordQuery, Table
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.errors import Invalid
from appliance.storage.sql.aggregate import aggregate
from appliance.storage.sql.dialect import Dialect, DuckDb
from appliance.storage.sql.gold import golds_of
from appliance.storage.sql.gold_query import aggregate_gold
from appliance.storage.sql.gold_route import route
from appliance.storage.sql.postgresql import PostgreSql
from appliance.storage.sql.records import select_records
from appliance.storage.sql.scope import SYSTEM_FIELDS
from appliance.storage.sql.shape import Texts
from appliance.storage.sql.source import rows_of, stored_columns
from appliance.storage.sql.statement import Statement

NOON = datetime(2026, 1, 1, 12, 0, 17, tzinfo=UTC)
FIELDS = {"device": FieldType.STRING, "temp": FieldType.FLOAT}
ROLLUPS = tuple(
    Rollup(name=name, bucket=bucket, group_by=["device"], measures=[RollupMeasure("percentiles", "temp")])
    for name, bucket in (("per_minute", "1m"), ("per_hour", "1h"))
)
DIALECTS: tuple[Dialect, ...] = (DuckDb(), PostgreSql("org_1"))


def asked(pipeline: str, query: Aggregation | RecordQuery, dialect: Dialect) -> list[Statement]:
    """Return the statements that answer a question to a pipeline, whose name is then taken out of them."""
    table = Table(PipelineId(pipeline), tuple(Column(*one) for one in FIELDS.items()), rollups=ROLLUPS)
    source = rows_of(table, stored_columns({**SYSTEM_FIELDS, **FIELDS}, dialect), dialect)
    if isinstance(query, RecordQuery):
        found = [select_records(table, source, query, dialect)]
    else:
        way = route(table, query, golds_of(table, 1))
        assert way is not None
        found = [aggregate(table, source, query, dialect), aggregate_gold(table, source, query, way, dialect)]
    return [Statement(one.sql.replace(pipeline, ""), one.values) for one in found]


@pytest.mark.parametrize("dialect", DIALECTS, ids=["duckdb", "postgresql"])
@pytest.mark.parametrize(
    "query",
    [
        Aggregation(
            measures=(Measure("p50", "temp", "p50"), Measure("count", None, "n")),
            where=(Condition("device", "in", ["a", "b"]), Condition("device", "contains", "c")),
            start=NOON, end=NOON + timedelta(hours=5), approximate=True, bucket_us=3_600_000_000,
        ),
        RecordQuery(where=(Condition("temp", ">", 1.0),), start=NOON, after=(NOON, 7, 0)),
    ],
)  # fmt: skip
def test_a_text_kept_is_the_one_that_would_be_written(query: Any, dialect: Dialect) -> None:
    other = replace(query, start=NOON + timedelta(minutes=5))
    conditions = [replace(one, value=["x", "y"]) if one.op == "in" else one for one in other.where]
    other = replace(other, where=tuple(conditions))
    name = f"pl_kept_{type(query).__name__}_{dialect.sqlglot_name}"
    first = asked(name, query, dialect)
    again = asked(name, other, dialect)
    anew = asked(f"{name}_other", other, dialect)
    assert [one.sql for one in again] == [one.sql for one in first]
    assert [one.values for one in again] == [one.values for one in anew]
    assert again[-1].values != first[-1].values


def test_what_is_wrong_is_told_however_often_it_is_asked() -> None:
    right = Aggregation(measures=(Measure("count", None, "n"),), where=(Condition("temp", "=", 1.0),))
    wrong = replace(right, where=(Condition("temp", "=", "warm"),))
    aggregate_of("pl_wrong", right)
    for _ in range(2):
        with pytest.raises(Invalid, match="expected a number, got 'warm'"):
            aggregate_of("pl_wrong", wrong)


def aggregate_of(pipeline: str, query: Aggregation) -> Statement:
    dialect = DIALECTS[0]
    table = Table(PipelineId(pipeline), tuple(Column(*one) for one in FIELDS.items()))
    source = rows_of(table, stored_columns({**SYSTEM_FIELDS, **FIELDS}, dialect), dialect)
    return aggregate(table, source, query, dialect)


def test_texts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.storage.sql.shape._MOST", 2)
    texts = Texts()
    for shape in "abc":
        assert texts.keep(shape, shape.upper()) == shape.upper()
    assert [texts.get(shape) for shape in "abc"] == [None, None, "C"]
