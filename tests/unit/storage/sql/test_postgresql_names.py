"""Names that PostgreSQL can tell apart: 63 bytes, one case, none of its own."""

from appliance.components.silver import Column, DeadLetterQuery, RecordQuery, Table
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType
from appliance.storage.sql.dead_letters import select_dead
from appliance.storage.sql.postgresql import LONGEST_NAME, PostgreSql, fitted, quoted
from appliance.storage.sql.records import select_records
from appliance.storage.sql.scope import SYSTEM_FIELDS
from appliance.storage.sql.source import physical_name, rows_of, stored_columns

LONG = "a" * 63
DIALECT = PostgreSql("org_1")


def test_a_name_that_fits_stays_as_it_is() -> None:
    assert fitted(LONG) == LONG
    assert fitted("Ä" * 31) == "Ä" * 31


def test_names_too_long_stay_different() -> None:
    one, other = fitted(f"{LONG}#decimal"), fitted(f"{LONG}#string")
    assert one != other
    assert len(one) == len(other) == LONGEST_NAME
    assert len(fitted("Ä" * 40).encode()) <= LONGEST_NAME
    assert quoted('a"b') == '"a""b"'


def test_columns_are_named_in_lower_case_and_not_like_the_servers_own() -> None:
    assert DIALECT.physical("TempC") == "tempc"
    assert DIALECT.physical("XMIN") == "xmin#"
    assert DIALECT.told("xmin#") == "xmin"


def test_a_widened_column_of_a_long_name_is_found_again() -> None:
    second = physical_name(LONG, (FieldType.INTEGER, FieldType.DECIMAL))
    physical = {LONG: FieldType.INTEGER, DIALECT.physical(second): FieldType.DECIMAL, "ctid#": FieldType.STRING}
    assert stored_columns(physical, DIALECT) == {
        LONG: (FieldType.INTEGER, FieldType.DECIMAL),
        "ctid": (FieldType.STRING,),
    }


def test_a_field_is_read_from_the_column_that_has_its_values() -> None:
    table = Table(PipelineId("pl_1"), (Column("TempC", FieldType.FLOAT), Column("xmin", FieldType.INTEGER)))
    physical = {**SYSTEM_FIELDS, "tempc": FieldType.FLOAT, "xmin#": FieldType.INTEGER}
    source = rows_of(table, stored_columns(physical, DIALECT), DIALECT, 3)
    statement = select_records(table, source, RecordQuery(), DIALECT)
    assert '"tempc" AS "TempC", "xmin#" AS "xmin" FROM "org_1"."rows_pl_1#3") AS "r"' in statement.sql


def test_statements_name_the_schema_and_double_percent_signs() -> None:
    odd = PostgreSql("50%")
    statement = select_dead("pl_1", DeadLetterQuery(reason="type"), odd)
    assert 'FROM "50%%"."dead_pl_1" AS "r" WHERE "r"."reason" = %(v0)s' in statement.sql
    assert 'ORDER BY "r"."received_at" DESC, "r"."seq" DESC, "r"."item" DESC' in statement.sql
    assert DIALECT.quoted("rows_pl_1#3") == '"org_1"."rows_pl_1#3"'
