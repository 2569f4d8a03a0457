"""Rollups in PostgreSQL while several transactions change what they count."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from appliance.components.arrow import ARROW_TYPES
from appliance.components.silver import Aggregation, Batch, Column, Measure, Table
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import FieldType
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.storage.silver_postgres import gold, gold_piles
from appliance.storage.silver_postgres import gold_sheets as sheets
from appliance.storage.silver_postgres.gold_arrow import count_here
from appliance.storage.silver_postgres.gold_counting import AGAIN
from appliance.storage.silver_postgres.gold_few import count_few
from appliance.storage.sql.aggregate import aggregate
from appliance.storage.sql.gold import Part, golds_of
from appliance.storage.sql.gold_partials import Counting, count_rows
from appliance.storage.sql.gold_query import aggregate_gold
from appliance.storage.sql.gold_route import route
from appliance.storage.sql.postgresql import PostgreSql, quoted
from appliance.storage.sql.scope import SYSTEM_FIELDS
from appliance.storage.sql.source import rows_of, rows_table, stored_columns
from tests.both_databases import copy_into

START = datetime(2026, 1, 1, tzinfo=UTC)
FIELDS = {kind.value: kind for kind in FieldType}
EVERY = [
    RollupMeasure(op, kind.value)
    for kind in FieldType
    for op in ("count", "last", *(() if kind is FieldType.JSON else ("min", "max")))
] + [
    RollupMeasure(op, kind.value)
    for kind in (FieldType.INTEGER, FieldType.FLOAT, FieldType.DECIMAL)
    for op in ("sum", "avg", "percentiles")
]
TABLE = Table(
    PipelineId("pl_1"),
    tuple(Column(name, kind) for name, kind in FIELDS.items()),
    rollups=(
        Rollup(name="per_minute", bucket="1m", group_by=["string"], measures=EVERY),
        Rollup(name="per_hour", bucket="1h", measures=EVERY),
    ),
)
ROWS = PostgreSql().quoted(rows_table(TABLE.pipeline_id))
DIALECT = PostgreSql()
STORED = stored_columns({**SYSTEM_FIELDS, **FIELDS}, DIALECT)


class Database:
    """A schema with one pipeline's rows, without the rest of a row store."""

    def __init__(self, url: str) -> None:
        self._url = url
        with self.connect() as connection:
            connection.execute("CREATE SCHEMA org_1")
            typed = ", ".join(f"{quoted(name)} {DIALECT.column_type(kind)}" for name, kind in FIELDS.items())
            connection.execute(
                f"CREATE TABLE {ROWS} (_time timestamptz, _seq bigint, _item integer, _extra json, {typed})"
            )

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        options = "-c timezone=UTC -c search_path=org_1 -c lock_timeout=20000"
        return psycopg.connect(self._url, autocommit=True, options=options)

    def rows(self, count: int, first_seq: int = 1) -> pa.Table:
        """Return rows, half of them in the same minute, some with nothing in them."""
        values: dict[str, list[Any]] = {
            "_time": [START + timedelta(seconds=n % 7 * 20 - 60) for n in range(count)],
            "_seq": [first_seq + n // 2 for n in range(count)],
            "_item": [n % 2 for n in range(count)],
            "_extra": [None] * count,
            "string": [None if n % 5 == 0 else "aäA%"[n % 4] for n in range(count)],
            "integer": [None if n % 3 == 0 else (-1) ** n * (2**62 + n) for n in range(count)],
            "float": [None if n % 4 == 0 else n / 3 for n in range(count)],
            "decimal": [Decimal(n * 10**17) / 10**9 * 10 ** (n % 12) for n in range(count)],
            "boolean": [None if n % 6 == 0 else n % 2 == 0 for n in range(count)],
            "timestamp": [None if n % 2 == 0 else START - timedelta(days=365 * 100 + n) for n in range(count)],
            "json": [None if n % 3 == 0 else f'{{"n": {n}}}' for n in range(count)],
        }
        kinds = {name: ARROW_TYPES[kind] for name, kind in (*SYSTEM_FIELDS.items(), *FIELDS.items())}
        kinds["_item"] = pa.int32()
        return pa.table({name: pa.array(values[name], kinds[name]) for name in values})


@pytest.fixture
def database(database_url: str) -> Database:
    return Database(database_url)


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with database.connect() as one:
        gold.begin(one.cursor(), TABLE, 1)
        yield one


def commit(connection: psycopg.Connection[Any], rows: pa.Table) -> None:
    seqs = rows["_seq"].to_pylist()
    with connection.transaction(), connection.cursor() as cursor:
        copy_into(connection, ROWS, rows)
        gold.add(cursor, Batch(TABLE, 1, seqs[0], seqs[-1], rows, rows.slice(0, 0), Outcome()), 1, rows)


def questions() -> Sequence[Aggregation]:
    measures = tuple(
        Measure(op, kind.value, f"{op}_{kind.value}")
        for kind in FieldType
        for op in ("count", "last", *(() if kind is FieldType.JSON else ("min", "max")))
    ) + tuple(Measure(op, name, f"{op}_{name}") for name in ("integer", "float", "decimal") for op in ("sum", "avg"))
    return (
        Aggregation(measures=measures, bucket_us=60_000_000, group_by=("string",)),
        Aggregation(measures=measures, bucket_us=86_400_000_000),
        Aggregation(measures=measures),
    )


def check(connection: psycopg.Connection[Any]) -> None:
    """Ask the same of rollups and of rows."""
    source = rows_of(TABLE, STORED, DIALECT)
    for query in questions():
        found = route(TABLE, query, golds_of(TABLE, 1))
        assert found is not None
        by_gold = aggregate_gold(TABLE, source.copy(), query, found, DIALECT)
        by_rows = aggregate(TABLE, source.copy(), query, DIALECT)
        answers = [connection.execute(one.sql, one.values).fetchall() for one in (by_gold, by_rows)]
        assert [_rounded(row) for row in answers[0]] == [_rounded(row) for row in answers[1]]


def _rounded(row: Sequence[Any]) -> list[Any]:
    return [float(f"{value:.11g}") if isinstance(value, float) else value for value in row]


def sheets_of(connection: psycopg.Connection[Any]) -> list[list[tuple[Any, ...]]]:
    found = []
    for one in golds_of(TABLE, 1):
        for sheet in one.sheets:
            named = ", ".join(f"{quoted(name)}::text" for name in sheets.columns(sheet))
            rows = connection.execute(f"SELECT {named} FROM {quoted(sheet.name)} ORDER BY {named}").fetchall()
            found.append(rows)
    return found


def test_a_commit_is_counted_alike_here_and_by_the_server(
    database: Database, connection: psycopg.Connection[tuple[Any, ...]]
) -> None:
    rows = database.rows(40, first_seq=(3 << 44) + 1)  # of the third node's events
    copy_into(connection, ROWS, rows)
    for one in golds_of(TABLE, 1):
        count_few(connection.cursor(), one, rows)
    by_server = sheets_of(connection)
    check(connection)
    for one in golds_of(TABLE, 1):
        for sheet in one.sheets:
            connection.execute(f"TRUNCATE {quoted(sheet.name)}")
        count_here(connection.cursor(), one, rows, (3 << 44) + 1)
    assert sheets_of(connection) == by_server
    assert [len(rows) > 0 for rows in by_server] == [True] * 4


def test_all_are_counted_again_as_they_were(
    database: Database, connection: psycopg.Connection[tuple[Any, ...]]
) -> None:
    for first in range(1, 100, 20):
        commit(connection, database.rows(40, first))
    check(connection)
    gold.rebuild(connection.cursor(), TABLE, 1)
    check(connection)
    parts = connection.execute(f"SELECT DISTINCT _part FROM {quoted(golds_of(TABLE, 1)[0].main.name)}").fetchall()
    assert parts == [(Part.COUNTED.value,)]


def test_counts_of_a_group_lie_together_in_the_order_of_time(
    database: Database, connection: psycopg.Connection[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a chart of one group reads a few pages, wherever its counts come from."""
    monkeypatch.setattr(gold_piles, "_SMALL", 1)
    monkeypatch.setattr(gold_piles, "_LOOKS", 1)
    finest = golds_of(TABLE, 1)[0]

    def lie_together() -> bool:
        lying = connection.execute(f"SELECT string, _time FROM {quoted(finest.main.name)} ORDER BY ctid").fetchall()
        assert len(lying) > 8
        return lying == sorted(lying, key=lambda one: (one[0] is None, *one))

    rows = database.rows(80)
    copy_into(connection, ROWS, rows)
    count_here(connection.cursor(), finest, rows, 1)
    assert lie_together()
    count_here(connection.cursor(), finest, rows, 1)
    assert not lie_together()  # there are two of each
    gold_piles.merge_piles(connection.cursor(), finest, "gold_pl_1.1.", 1)
    connection.execute(f"VACUUM FULL {quoted(finest.main.name)}")  # what was taken out has left room in front
    assert lie_together()
    gold.rebuild(connection.cursor(), TABLE, 1)
    connection.execute(f"VACUUM FULL {quoted(finest.main.name)}")
    assert lie_together()


def test_piles_are_merged_by_one_and_by_nobody_while_rows_are_taken_out(
    database: Database, connection: psycopg.Connection[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gold_piles, "_SMALL", 50)
    monkeypatch.setattr(gold_piles, "_LOOKS", 1)
    main = quoted(golds_of(TABLE, 1)[0].main.name)

    def fresh() -> int:
        (count,) = connection.execute(f"SELECT count(*) FROM {main} WHERE _part = 1").fetchall()[0]
        return int(count)

    with database.connect() as other, other.transaction():
        sheets.lock(other.cursor(), "gold_pl_1.1.")
        for first in range(1, 100, 20):
            commit(connection, database.rows(40, first))
        assert fresh() > 50
    commit(connection, database.rows(40, 101))
    assert fresh() == 0
    check(connection)


def test_who_adds_waits_for_nobody_and_is_neither_lost_nor_counted_twice(
    database: Database, connection: psycopg.Connection[tuple[Any, ...]]
) -> None:
    commit(connection, database.rows(40, 1))
    with database.connect() as other, other.transaction(), other.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE removed AS SELECT DISTINCT _time FROM rows_pl_1")
        cursor.execute("DELETE FROM rows_pl_1 WHERE _seq <= 5")
        connection.execute("SET lock_timeout TO 1000")
        commit(connection, database.rows(40, 101))  # seen by what follows
        gold.recompute(cursor, TABLE, 1, "removed")
        commit(connection, database.rows(40, 201))  # not seen by it
    check(connection)


def test_the_check_notices_a_commit_between_taking_out_and_counting(
    database: Database, connection: psycopg.Connection[tuple[Any, ...]]
) -> None:
    commit(connection, database.rows(40, 1))
    finest = golds_of(TABLE, 1)[0]
    rows = rows_of(TABLE, STORED, DIALECT)
    counted = count_rows(Counting(DIALECT, finest.bucket_us, Part.COUNTED), finest.main, rows, ())
    with database.connect() as other, other.transaction():
        other.execute(sheets.deleting(finest.main, AGAIN), {})
        commit(connection, database.rows(40, 101))
        other.execute(sheets.inserting(finest.main, [counted]), {})
    with pytest.raises(AssertionError):
        check(connection)


def test_many_add_while_buckets_are_counted_again_and_piles_merged(
    database: Database, connection: psycopg.Connection[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gold_piles, "_SMALL", 20)
    monkeypatch.setattr(gold_piles, "_LOOKS", 2)

    def adding(node: int) -> None:
        with database.connect() as own:
            for first in range(1, 120, 10):
                commit(own, database.rows(20, (node << 44) + first))

    def removing() -> None:
        with database.connect() as own:
            for node in (1, 2):
                for seq in range(1, 60, 6):
                    with own.transaction(), own.cursor() as cursor:
                        where = (node << 44) + seq
                        cursor.execute("CREATE TEMP TABLE removed (_time timestamptz) ON COMMIT DROP")
                        cursor.execute(
                            "WITH gone AS (DELETE FROM rows_pl_1 WHERE _seq = %s RETURNING _time)"
                            " INSERT INTO removed SELECT _time FROM gone",
                            (where,),
                        )
                        gold.recompute(cursor, TABLE, 1, "removed")

    with ThreadPoolExecutor() as nodes:
        work = [nodes.submit(adding, 1), nodes.submit(adding, 2), nodes.submit(removing), nodes.submit(removing)]
    for done in work:
        done.result()
    check(connection)
