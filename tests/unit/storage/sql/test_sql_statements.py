"""What SQL comes of a query: quoted names, bound values, the same tree in every dialect."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from appliance.components.silver import (
    Aggregation,
    Column,
    Condition,
    DeadLetterQuery,
    Measure,
    Order,
    RecordQuery,
    Table,
)
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType
from appliance.errors import Invalid
from appliance.storage.sql.aggregate import aggregate
from appliance.storage.sql.dead_letters import select_dead
from appliance.storage.sql.dialect import DuckDb
from appliance.storage.sql.postgresql import PostgreSql
from appliance.storage.sql.records import select_records
from appliance.storage.sql.scope import SYSTEM_FIELDS
from appliance.storage.sql.source import rows_of, stored_columns

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DUCKDB = DuckDb()
TABLE = Table(PipelineId("pl_1"), (Column('a"; drop', FieldType.STRING), Column("n", FieldType.INTEGER)))
STORED = stored_columns({**SYSTEM_FIELDS, 'a"; drop': FieldType.STRING, "n": FieldType.INTEGER}, DUCKDB)


def test_a_page_of_rows() -> None:
    query = RecordQuery(start=NOON, after=(NOON, 7, 0), order=Order.ASC, limit=3)
    statement = select_records(TABLE, rows_of(TABLE, STORED, DUCKDB), query, DUCKDB)
    assert statement.sql == (
        'SELECT "r"."_time" AS "_time", "r"."_seq" AS "_seq", "r"."_item" AS "_item", "r"."_extra" AS "_extra",'
        ' "r"."a""; drop" AS "a""; drop", "r"."n" AS "n" FROM "rows_pl_1" AS "r"'
        ' WHERE "r"."_time" >= $v0 AND "r"."_time" >= $v1 AND ("r"."_time" > $v1 OR ("r"."_time" = $v1'
        ' AND ("r"."_seq" > $v2 OR ("r"."_seq" = $v2 AND "r"."_item" > $v3))))'
        ' ORDER BY "r"."_time" ASC, "r"."_seq" ASC, "r"."_item" ASC LIMIT $v4'
    )
    assert statement.values == {"v0": NOON, "v1": NOON, "v2": 7, "v3": 0, "v4": 3}


def test_values_are_never_part_of_the_text() -> None:
    evil = "'; DROP TABLE rows_pl_1; --"
    where = (Condition('a"; drop', "=", evil), Condition('a"; drop', "in", [evil, "b"]))
    statement = select_records(TABLE, rows_of(TABLE, STORED, DUCKDB), RecordQuery(where=where), DUCKDB)
    assert "DROP TABLE" not in statement.sql
    assert statement.values == {"v0": evil, "v1": evil, "v2": "b", "v3": 100}


def test_columns_the_table_lacks_read_as_null() -> None:
    stored = stored_columns({**SYSTEM_FIELDS, "n": FieldType.INTEGER}, DUCKDB)
    statement = select_records(TABLE, rows_of(TABLE, stored, DUCKDB), RecordQuery(), DUCKDB)
    assert 'CAST(NULL AS TEXT) AS "a""; drop", "n" AS "n" FROM "rows_pl_1") AS "r"' in statement.sql
    statement = select_records(TABLE, rows_of(TABLE, None, DUCKDB), RecordQuery(), DUCKDB)
    assert "WHERE FALSE" in statement.sql
    assert "rows_pl_1" not in statement.sql


def test_percentiles_of_a_field_share_one_aggregate() -> None:
    measures = (Measure("p50", "n", "a"), Measure("p99", "n", "b"))
    statement = aggregate(TABLE, rows_of(TABLE, STORED, DUCKDB), Aggregation(measures=measures), DUCKDB)
    shared = 'QUANTILE_CONT(CAST("r"."n" AS DOUBLE), [0.5, 0.99])'
    assert statement.sql.startswith(f'SELECT ({shared})[1] AS "a", ({shared})[2] AS "b" FROM')


def test_the_same_tree_in_another_dialect() -> None:
    postgres = PostgreSql()
    query = RecordQuery(where=(Condition("n", ">", 1),), limit=5)
    statement = select_records(TABLE, rows_of(TABLE, STORED, postgres), query, postgres)
    assert ' WHERE "r"."n" > %(v0)s ORDER BY "r"."_time" DESC, "r"."_seq" DESC' in statement.sql
    letters = select_dead("pl_1", DeadLetterQuery(reason="type", seq=9), postgres)
    assert 'WHERE "r"."reason" = %(v0)s AND "r"."seq" >= %(v1)s AND "r"."seq" <= %(v2)s ORDER BY' in letters.sql
    assert letters.values == {"v0": "type", "v1": 9, "v2": 9}


def test_rows_of_a_group_are_asked_for_by_what_an_index_has_too() -> None:
    postgres, query = PostgreSql(), RecordQuery(end=datetime(2026, 1, 2, tzinfo=UTC), where=(Condition("n", "=", 1),))
    rows = rows_of(TABLE, STORED, postgres)
    bound = """DATE_BIN(CAST('600000000 microseconds' AS INTERVAL), "r"."_time", """
    assert bound in select_records(TABLE, rows, query, postgres, {"n": FieldType.INTEGER}).sql
    assert bound not in select_records(TABLE, rows, query, postgres).sql
    other = replace(query, where=(Condition("n", ">", 1),))
    assert bound not in select_records(TABLE, rows, other, postgres, {"n": FieldType.INTEGER}).sql


def test_no_measure_is_a_problem() -> None:
    with pytest.raises(Invalid, match="at least one measure"):
        aggregate(TABLE, rows_of(TABLE, STORED, DUCKDB), Aggregation(measures=()), DUCKDB)


def test_a_range_bound_that_has_no_offset_is_a_problem() -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - what is refused
    with pytest.raises(Invalid) as caught:
        select_records(TABLE, rows_of(TABLE, STORED, DUCKDB), RecordQuery(start=naive), DUCKDB)
    assert [problem.pointer for problem in caught.value.problems] == ["/from"]
