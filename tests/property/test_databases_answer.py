"""Cases in which databases like to differ: what both of them have to answer."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from appliance.components.letters import LetterFilter
from appliance.components.silver import Aggregation, Condition, DeadLetterQuery, Measure, Order, RecordQuery
from appliance.domain.mapping import FieldType
from appliance.storage.sql.aggregate import aggregate
from appliance.storage.sql.dead_letters import DEAD_COLUMNS, select_dead
from appliance.storage.sql.letters import select_groups, select_seqs
from appliance.storage.sql.postgresql import PostgreSql
from appliance.storage.sql.records import select_records
from appliance.storage.sql.source import dead_table
from tests.both_databases import ENGLISH, SCHEMA, BothDatabases, table_of
from tests.postgres import PostgresServer

S, I, F, D, B, T = (  # noqa: E741 - one letter a type keeps the cases in a line
    FieldType.STRING, FieldType.INTEGER, FieldType.FLOAT, FieldType.DECIMAL, FieldType.BOOLEAN, FieldType.TIMESTAMP,
)  # fmt: skip
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LEAST, GREATEST = -(2**63), 2**63 - 1
MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000


@pytest.fixture(scope="module")
def both(postgres: PostgresServer) -> Iterator[BothDatabases]:
    databases = BothDatabases(postgres.new_database(ENGLISH))
    yield databases
    databases.close()


def at(year: int, month: int = 1, day: int = 1, hour: int = 0, minute: int = 0, us: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC) + timedelta(microseconds=us)


def measured(both: BothDatabases, kind: FieldType, values: list[Any], *ops: str, **query: Any) -> list[Any]:
    """Return what both answer: measures of the column ``v``, whose values are one a second from 1970 on."""
    rows = [
        {"_time": EPOCH + timedelta(seconds=n), "_seq": n, "_item": 0, "v": value} for n, value in enumerate(values)
    ]
    table = table_of({"v": kind})
    both.fill(table, {"v": (kind,)}, rows)
    asked = Aggregation(measures=tuple(Measure(op, "v", op) for op in ops), **query)
    one, other = both.ask(table, lambda source, dialect: aggregate(table, source, asked, dialect))
    assert one == other
    return one[0] if len(one) == 1 and not asked.group_by else one  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("kind", "values", "answers"),
    [
        (I, [LEAST, GREATEST, None], {"min": LEAST, "max": GREATEST, "sum": -1, "count": 2, "distinct": 2}),
        (I, [GREATEST] * 3, {"sum": float(3 * GREATEST), "avg": float(GREATEST), "p50": float(GREATEST)}),
        (I, [3, 4], {"avg": 3.5, "p50": 3.5, "p95": 3.95}),
        (F, [1e308, 1e308], {"sum": math.inf, "avg": math.inf, "p50": 1e308, "max": 1e308}),
        (F, [-1e308, 1e308], {"sum": 0.0, "p50": 0.0, "min": -1e308}),
        (F, [0.0, -0.0, 5e-324], {"distinct": 2, "max": 5e-324, "last": 5e-324, "p50": 0.0}),
        (F, [None, None], {"sum": None, "avg": None, "min": None, "last": None, "p99": None, "count": 0}),
        (D, [Decimal("0.000000001"), Decimal("0.000000002")], {"sum": 3e-9, "avg": 1.5e-9, "last": 2e-9}),
        (D, [Decimal("9e28")] * 2, {"sum": 1.8e29, "avg": 9e28, "max": 9e28}),  # beyond what DuckDB adds exactly
        (D, [Decimal("123456789012.345678901"), None], {"sum": 123456789012.345678901, "count": 1}),
        (B, [True, False, None], {"min": False, "max": True, "last": False, "distinct": 2}),
        (S, ["b", "B", "ä", "a", "Z", ""], {"min": "", "max": "ä", "last": "", "distinct": 6}),
        (S, ["\uffff", "😀", "e\u0301", "é"], {"min": "e\u0301", "max": "😀", "distinct": 4}),
        (T, [at(9999, 12, 31, 23, 59), at(1), None], {"min": at(1), "max": at(9999, 12, 31, 23, 59), "last": at(1)}),
    ],
)  # fmt: skip
def test_measures(both: BothDatabases, kind: FieldType, values: list[Any], answers: dict[str, Any]) -> None:
    assert measured(both, kind, values, *answers) == tuple(answers.values())


@pytest.mark.parametrize(
    ("width", "moments", "buckets"),
    [
        (MINUTE, [at(1970, us=-1), at(1970), at(1970, us=MINUTE - 1)], {at(1969, 12, 31, 23, 59): 1, at(1970): 2}),
        (HOUR, [at(2026, 3, 29, 0, 59), at(2026, 3, 29, 1), at(2026, 3, 29, 1, 59)],
         {at(2026, 3, 29): 1, at(2026, 3, 29, 1): 2}),
        (DAY, [at(2026, 10, 25, 0), at(2026, 10, 25, 23, 59)], {at(2026, 10, 25): 2}),
        (7 * DAY, [at(1970, 1, 7), at(1970, 1, 8), at(1969, 12, 31)],
         {at(1969, 12, 25): 1, at(1970): 1, at(1970, 1, 8): 1}),
        (DAY, [at(1), at(9999, 12, 31, 23, 59)], {at(1): 1, at(9999, 12, 31): 1}),
        (3_000_000, [at(1969, 12, 31, 23, 59, us=57_000_000), at(1969, 12, 31, 23, 59, us=59_999_999)],
         {at(1969, 12, 31, 23, 59, us=57_000_000): 2}),
    ],
)  # fmt: skip
def test_buckets(both: BothDatabases, width: int, moments: list[datetime], buckets: dict[datetime, int]) -> None:
    rows = [{"_time": moment, "_seq": n, "_item": 0} for n, moment in enumerate(moments)]
    table = table_of({"v": I})
    both.fill(table, {"v": (I,)}, rows)
    query = Aggregation(measures=(Measure("count", None, "n"),), bucket_us=width)
    one, other = both.ask(table, lambda source, dialect: aggregate(table, source, query, dialect))
    assert one == other == list(buckets.items())


def test_the_last_of_rows_at_one_moment_is_the_one_of_the_last_event_and_item(both: BothDatabases) -> None:
    places = [(0, 1, 0), (0, 9, 1), (0, 10, 0), (0, 10, 2), (0, 10, 11), (-5, 99, 0)]
    rows = [
        {"_time": EPOCH + timedelta(seconds=time), "_seq": seq, "_item": item, "v": f"{seq}.{item}"}
        for time, seq, item in places
    ]
    table = table_of({"v": S})
    both.fill(table, {"v": (S,)}, [*rows, {"_time": EPOCH, "_seq": 11, "_item": 0, "v": None}])
    query = Aggregation(measures=(Measure("last", "v", "v"),))
    one, other = both.ask(table, lambda source, dialect: aggregate(table, source, query, dialect))
    assert one == other == [("10.11",)]


def test_groups_come_with_the_greatest_first_then_by_code_point_and_null_last(both: BothDatabases) -> None:
    values = ["b", "b", None, "B", "a", "ä"]
    rows = [{"_time": EPOCH, "_seq": n, "_item": 0, "v": value} for n, value in enumerate(values)]
    table = table_of({"v": S})
    both.fill(table, {"v": (S,)}, rows)
    query = Aggregation(measures=(Measure("count", None, "n"),), group_by=("v",), limit=5)
    one, other = both.ask(table, lambda source, dialect: aggregate(table, source, query, dialect))
    assert one == other == [("b", 2), ("B", 1), ("a", 1), ("ä", 1), (None, 1)]


def matching(both: BothDatabases, kind: FieldType, values: list[Any], op: str, value: Any) -> list[int]:
    """Return the places of the values for which the condition holds."""
    rows = [{"_time": EPOCH, "_seq": n, "_item": 0, "V": one} for n, one in enumerate(values)]
    table = table_of({"V": kind})
    both.fill(table, {"V": (kind,)}, rows)
    query = RecordQuery(where=(Condition("V", op, value),), order=Order.ASC)
    one, other = both.ask(table, lambda source, dialect: select_records(table, source, query, dialect))
    assert one == other
    return [row[1] for row in one]


@pytest.mark.parametrize(
    ("kind", "values", "op", "value", "places"),
    [
        (S, ["50%", "50 %", "5%0", None], "contains", "0%", [0]),
        (S, ["a_b", "aXb"], "contains", "a_b", [0]),
        (S, ["a\\b", "ab", "A\\B"], "contains", "\\", [0, 2]),
        (S, ["abc", "ABC"], "contains", "B", [1]),
        (S, ["", "a", None], "contains", "", [0, 1]),
        (S, ["a", "B", "b", "ä"], "<", "b", [0, 1]),
        (S, ["a ", "a", "A"], "=", "a", [1]),
        (S, ["a", None, "b"], "<>", "a", [2]),
        (S, ["é", "e\u0301"], "in", ["é"], [0]),
        (I, [LEAST, 0, GREATEST], ">=", GREATEST, [2]),
        (I, [1, 2, None], "in", [2, GREATEST], [1]),
        (F, [0.0, -0.0, 0.1, 0.30000000000000004], "=", 0.0, [0, 1]),
        (F, [0.1, 0.30000000000000004, 0.3], "=", 0.3, [2]),
        (D, [Decimal("0.1"), Decimal("0.100000001")], "=", "0.1", [0]),
        (D, [Decimal("-99999999999999999999999999999.999999999"), Decimal(0)], "<", 0, [0]),
        (B, [True, False, None], "<>", True, [1]),
        (T, [at(1970, us=-1), at(1970), at(1970, us=1)], ">", "1970-01-01T01:00:00+01:00", [2]),
        (T, [at(9999, 12, 31, 23, 59), at(1)], "<=", "0001-01-01T00:00:00Z", [1]),
        (FieldType.JSON, ['{"a": "50%"}', '{"a":1}', None], "contains", '"a": ', [0]),
        (FieldType.JSON, ["null", None], "is_null", None, [1]),
        (F, [1.0, None], "not_null", None, [0]),
    ],
)  # fmt: skip
def test_conditions(
    both: BothDatabases, kind: FieldType, values: list[Any], op: str, value: Any, places: list[int]
) -> None:
    assert matching(both, kind, values, op, value) == places


def test_json_comes_as_it_was_written(both: BothDatabases) -> None:
    documents = ['{"b": 1.0,\n "a": 1e2, "a": "\\u0041"}', '"\\ud83d\\ude00"', "[ ]", None]
    rows = [{"_time": EPOCH, "_seq": n, "_item": 0, "_extra": one, "v": one} for n, one in enumerate(documents)]
    table = table_of({"v": FieldType.JSON})
    both.fill(table, {"v": (FieldType.JSON,)}, rows)
    query = RecordQuery(order=Order.ASC)
    one, other = both.ask(table, lambda source, dialect: select_records(table, source, query, dialect))
    assert one == other
    assert [row[3:] for row in one] == [(document, document) for document in documents]


@pytest.mark.parametrize(
    ("found", "value", "text"),
    [
        (F, 1.0, "1.0"), (F, -0.0, "-0.0"), (F, 1e15, "1000000000000000.0"), (F, 1e16, "1e+16"), (F, 1e-5, "1e-05"),
        (F, 1234567890123456.8, "1234567890123456.8"), (F, 5e-324, "5e-324"), (F, 1e22, "1e+22"), (F, 0.0001, "0.0001"),
        (D, Decimal("1.5"), "1.5"), (D, Decimal(0), "0"), (D, Decimal("-100"), "-100"),
        (D, Decimal("1e-9"), "0.000000001"),
        (I, LEAST, "-9223372036854775808"), (B, True, "true"), (T, at(1, us=1), "0001-01-01T00:00:00.000001Z"),
        (T, at(9999, 12, 31), "9999-12-31T00:00:00.000000Z"),
    ],
)  # fmt: skip
def test_values_widened_to_text(both: BothDatabases, found: FieldType, value: Any, text: str) -> None:
    table = table_of({"v": S})
    both.fill(table, {"v": (found, S)}, [{"_time": EPOCH, "_seq": 1, "_item": 0, "v": (0, value)}])
    one, other = both.ask(table, lambda source, dialect: select_records(table, source, RecordQuery(), dialect))
    assert one == other
    assert one[0][-1] == text


def test_a_float_between_two_shortest_texts_may_be_written_as_either(both: BothDatabases) -> None:
    table, value = (
        table_of({"v": S}),
        4.3388432056531024e16,
    )  # the next float is 8 further: ...020 is halfway, rounded up
    both.fill(table, {"v": (F, S)}, [{"_time": EPOCH, "_seq": 1, "_item": 0, "v": (0, value)}])
    one, other = both.ask(table, lambda source, dialect: select_records(table, source, RecordQuery(), dialect))
    assert (one[0][-1], other[0][-1]) == ("4.338843205653102e+16", "4.3388432056531024e+16")
    assert float(one[0][-1]) == float(other[0][-1]) == value


def test_dead_letters(both: BothDatabases) -> None:
    letters = [(n, n % 2, "type", "Temp" if n % 3 else None, "50%", f"message {n}", "[]", at(2026, 1, n), 1)
               for n in range(1, 7)]  # fmt: skip
    typed = (
        "seq BIGINT, item INTEGER, reason {text}, field {text}, value {text}, message {text}, problems {text},"
        " received_at TIMESTAMPTZ, version INTEGER"
    )
    dialect = PostgreSql(SCHEMA)
    name = dead_table("pl_1")
    both.duckdb.execute(f'CREATE TABLE "{name}" ({typed.format(text="VARCHAR")})')
    both.duckdb.executemany(f'INSERT INTO "{name}" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)', letters)
    both.postgres.execute(f"CREATE TABLE {dialect.quoted(name)} ({typed.format(text=dialect.column_type(S))})")
    with both.postgres.cursor() as cursor:
        marks = ", ".join(["%s"] * len(DEAD_COLUMNS))
        cursor.executemany(f"INSERT INTO {dialect.quoted(name)} VALUES ({marks})", letters)
    table = table_of({"v": I})
    both.fill(table, {"v": (I,)}, [])
    page = DeadLetterQuery(reason="type", field="Temp", before=(at(2026, 1, 5), 5), limit=2)
    one, other = both.ask(table, lambda _, dialect: select_dead("pl_1", page, dialect))
    assert one == other
    assert [row[0] for row in one] == [4, 2]
    chosen = LetterFilter(reason="type", seqs=(1, 2, 3, 4, 5), received_from=at(2026, 1, 2))
    one, other = both.ask(table, lambda _, dialect: select_groups("pl_1", 1, chosen, dialect))
    assert (
        one
        == other
        == [
            ("type", "Temp", 3, at(2026, 1, 2), at(2026, 1, 5), 2, 5, "message 2"),
            ("type", None, 1, at(2026, 1, 3), at(2026, 1, 3), 3, 3, "message 3"),
        ]
    )
    one, other = both.ask(table, lambda _, dialect: select_seqs("pl_1", 1, chosen, dialect, (2, 2)))
    assert one == other == [(3,), (4,)]
