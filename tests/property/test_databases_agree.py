"""The same rows and the same questions: PostgreSQL answers what DuckDB answers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.components.silver import Aggregation, Condition, Measure, Order, RecordQuery
from appliance.domain.mapping import FieldType
from appliance.storage.sql.aggregate import aggregate
from appliance.storage.sql.checksum import select_checksum
from appliance.storage.sql.records import select_records
from appliance.storage.sql.widening import WIDER
from tests.both_databases import ENGLISH, BothDatabases, agree, table_of
from tests.postgres import PostgresServer

NAMES = {kind: f"of_{kind.value}" for kind in FieldType}
TABLE = table_of({name: kind for kind, name in NAMES.items()})
COLUMNS = {name: (kind,) for kind, name in NAMES.items()}
NUMBERS = (FieldType.INTEGER, FieldType.FLOAT, FieldType.DECIMAL)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TEXTS = [
    "",
    "a",
    "A",
    "b",
    "B",
    "ä",
    "Z",
    "z",
    "a b",
    "a-b",
    "ab",
    "%",
    "_",
    "a%",
    "\\",
    "'",
    '"',
    "é",
    "e\u0301",
    "😀",
    "ﬀ",
]
CHARACTERS = st.characters(exclude_characters="\0", codec="utf-8")
DOCUMENTS = ['{"b": 1, "a": [2, "50%"]}', "[]", '"x"', "1", "1.0", "null", '{"a":1}', '{"a": 1}']
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
CLOCKS_CHANGE = [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)]
INSTANTS = st.one_of(
    st.builds(
        lambda us: FIRST + timedelta(microseconds=us), st.integers(0, (LAST - FIRST) // timedelta(microseconds=1))
    ),
    st.builds(lambda s, us: EPOCH + timedelta(0, s, us), st.integers(-3, 3), st.integers(-2, 2)),
    st.sampled_from([*CLOCKS_CHANGE, FIRST, LAST]),
)
VALUES: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.STRING: st.sampled_from(TEXTS) | st.text(CHARACTERS, max_size=5),
    FieldType.INTEGER: st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1),
    FieldType.FLOAT: st.floats(-1e9, 1e9) | st.sampled_from([0.0, -0.0, 1.0, 0.1]),
    FieldType.DECIMAL: st.decimals(-(10**28), 10**28, places=9) | st.sampled_from([Decimal("0.1"), Decimal("1e-9")]),
    FieldType.BOOLEAN: st.booleans(),
    FieldType.TIMESTAMP: INSTANTS,
    FieldType.JSON: st.sampled_from(DOCUMENTS),
}  # fmt: skip
ROW = st.fixed_dictionaries(
    {"_time": INSTANTS.filter(lambda moment: moment.year > 40), "_extra": st.none() | VALUES[FieldType.JSON]}
    | {NAMES[kind]: st.none() | values for kind, values in VALUES.items()}
)
ROWS = st.lists(ROW, max_size=12).map(
    lambda rows: [row | {"_seq": n // 2, "_item": n % 2} for n, row in enumerate(rows)]
)

EVERY = ["count", "distinct", "last"]
OPS: dict[FieldType, list[str]] = {kind: [*EVERY, "min", "max"] for kind in FieldType} | {FieldType.JSON: EVERY}
for numeric in NUMBERS:
    OPS[numeric] = [*OPS[numeric], "sum", "avg", "p50", "p95", "p99"]
MEASURES = st.one_of(
    st.just(("count", None)), *(st.tuples(st.sampled_from(ops), st.just(NAMES[kind])) for kind, ops in OPS.items())
)
COMPARED = {
    FieldType.JSON: ["contains", "is_null", "not_null"], FieldType.BOOLEAN: ["=", "<>", "in", "is_null", "not_null"],
    FieldType.STRING: ["=", "<>", "<", "<=", ">", ">=", "in", "contains", "is_null", "not_null"],
}  # fmt: skip
ORDERED = ["=", "<>", "<", "<=", ">", ">=", "in", "is_null", "not_null"]


def _condition(kind: FieldType) -> st.SearchStrategy[Condition]:
    values = VALUES[FieldType.STRING if kind is FieldType.JSON else kind]

    def of(op: str) -> st.SearchStrategy[Condition]:
        value = st.lists(values, min_size=1, max_size=3) if op == "in" else values
        return st.builds(Condition, st.just(NAMES[kind]), st.just(op), value)

    return st.sampled_from(COMPARED.get(kind, ORDERED)).flatmap(of)


WHERE = st.lists(st.one_of(*map(_condition, FieldType)), max_size=2).map(tuple)
AGGREGATIONS = st.builds(
    lambda measures, **given: Aggregation(
        measures=tuple(Measure(op, field, f"m{place}") for place, (op, field) in enumerate(measures)), **given
    ),
    st.lists(MEASURES, min_size=1, max_size=6),
    group_by=st.lists(st.sampled_from([*NAMES.values(), "_item", "_extra"]), max_size=2, unique=True).map(tuple),
    bucket_us=st.none()
    | st.sampled_from([1, 100_000, 999_983, 60_000_000, 86_400_000_000, 7 * 86_400_000_000, 10**15]),
    start=st.none() | INSTANTS,
    end=st.none() | INSTANTS,
    where=WHERE,
)
PAGES = st.builds(
    RecordQuery,
    start=st.none() | INSTANTS,
    end=st.none() | INSTANTS,
    where=WHERE,
    order=st.sampled_from(Order),
    after=st.none() | st.tuples(INSTANTS, st.integers(0, 6), st.integers(0, 1)),
    limit=st.integers(1, 5),
)


@pytest.fixture(scope="module")
def both(postgres: PostgresServer) -> Iterator[BothDatabases]:
    databases = BothDatabases(postgres.new_database(ENGLISH))
    yield databases
    databases.close()


many = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@many
@given(rows=ROWS, queries=st.lists(AGGREGATIONS, min_size=1, max_size=6))
def test_measures(both: BothDatabases, rows: list[dict[str, Any]], queries: list[Aggregation]) -> None:
    both.fill(TABLE, COLUMNS, rows)
    for query in queries:
        answers = both.ask(TABLE, lambda source, dialect, query=query: aggregate(TABLE, source, query, dialect))
        answers = tuple(sorted(answer, key=repr) for answer in answers) if _by_a_float(query) else answers
        assert agree(*answers, sizes=12e9), (query, answers)


@many
@given(rows=ROWS, queries=st.lists(PAGES, min_size=1, max_size=6))
def test_pages(both: BothDatabases, rows: list[dict[str, Any]], queries: list[RecordQuery]) -> None:
    both.fill(TABLE, COLUMNS, rows)
    for query in queries:
        one, other = both.ask(TABLE, lambda source, dialect, query=query: select_records(TABLE, source, query, dialect))
        assert one == other, query


def _by_a_float(query: Aggregation) -> bool:
    """Return whether groups are in the order of something that is the same to rounding only."""
    return query.bucket_us is None and query.measures[0].op in ("sum", "avg", "p50", "p95", "p99")


@many
@given(rows=ROWS, seqs=st.tuples(st.integers(0, 3), st.none() | st.integers(0, 6)))
def test_checksums_tell_contents_apart(both: BothDatabases, rows: list[dict[str, Any]], seqs: Any) -> None:
    def checksums() -> tuple[Any, Any]:
        return both.ask(TABLE, lambda source, dialect: select_checksum(TABLE, source, dialect, seqs))

    both.fill(TABLE, COLUMNS, rows)
    before = checksums()
    assert before[0][0][0] == before[1][0][0]  # how many rows there are
    both.fill(TABLE, COLUMNS, list(reversed(rows)))
    assert checksums() == before
    both.fill(TABLE, COLUMNS, [row | {"of_integer": 77} for row in rows])
    changed = any(row["of_integer"] != 77 and _within(row, seqs) for row in rows)
    assert [one != other for one, other in zip(checksums(), before, strict=True)] == [changed, changed]


def _within(row: dict[str, Any], seqs: tuple[int, int | None]) -> bool:
    return seqs[0] <= row["_seq"] and (seqs[1] is None or row["_seq"] <= seqs[1])


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
OF_FLOATS = Aggregation(
    measures=tuple(Measure(op, "of_float", op) for op in ("min", "max", "last", "distinct", "count", "p50", "p99"))
)


@many
@given(values=st.lists(FLOATS, max_size=9))
def test_every_float(both: BothDatabases, values: list[float]) -> None:
    rows = [{"_time": EPOCH, "_seq": n, "_item": 0, "of_float": value} for n, value in enumerate(values)]
    both.fill(TABLE, COLUMNS, rows)
    answers = both.ask(TABLE, lambda source, dialect: aggregate(TABLE, source, OF_FLOATS, dialect))
    assert agree(*answers, sizes=max(map(abs, values), default=0.0) + 1e-309), answers
    for op in ("=", "<", ">="):
        where = tuple(Condition("of_float", op, value) for value in values[:1])
        counted = Aggregation(measures=(Measure("count", None, "n"),), where=where)
        one, other = both.ask(
            TABLE, lambda source, dialect, counted=counted: aggregate(TABLE, source, counted, dialect)
        )
        assert one == other


@many
@given(values=st.lists(FLOATS.map(abs), max_size=9))
def test_sums_of_every_float(both: BothDatabases, values: list[float]) -> None:
    rows = [{"_time": EPOCH, "_seq": n, "_item": 0, "of_float": value} for n, value in enumerate(values)]
    both.fill(TABLE, COLUMNS, rows)
    sums = Aggregation(measures=(Measure("sum", "of_float", "sum"), Measure("avg", "of_float", "avg")))
    answers = both.ask(TABLE, lambda source, dialect: aggregate(TABLE, source, sums, dialect))
    assert agree(*answers, sizes=1e-289), answers  # PostgreSQL adds up in steps of 1e-304


# Of more digits, two texts may be as short and say the same number: see test_databases_answer.
FEW_DIGITS = FLOATS.map(lambda value: float(f"{value:.14g}"))
TEXT_OF = {kind: st.none() | VALUES[kind] for kind in FieldType} | {FieldType.FLOAT: st.none() | FEW_DIGITS}


@many
@given(data=st.data())
def test_columns_that_were_widened(both: BothDatabases, data: st.DataObject) -> None:
    found = data.draw(st.sampled_from(sorted(WIDER, key=lambda kind: kind.value)))
    wanted = data.draw(st.sampled_from(sorted(WIDER[found], key=lambda kind: kind.value)))
    pairs = st.one_of(st.tuples(st.just(0), TEXT_OF[found]), st.tuples(st.just(1), TEXT_OF[wanted]))
    values = data.draw(st.lists(pairs, max_size=8))
    rows = [{"_time": EPOCH, "_seq": n, "_item": 0, "Field": pair} for n, pair in enumerate(values)]
    table = table_of({"Field": wanted})
    both.fill(table, {"Field": (found, wanted)}, rows)
    one, other = both.ask(table, lambda source, dialect: select_records(table, source, RecordQuery(), dialect))
    assert one == other
    ops = [*OPS[wanted]]
    query = Aggregation(
        measures=tuple(Measure(op, "Field", op) for op in ops if op not in ("sum", "avg")), group_by=("Field",)
    )
    assert agree(*both.ask(table, lambda source, dialect: aggregate(table, source, query, dialect)))
