"""Rows of periods that are over are found by trees; what is answered does not depend on it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from msgspec.structs import replace

from appliance.components.silver import Aggregation, Condition, Measure, Order, RecordQuery, Table
from appliance.domain.mapping import FieldType
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.errors import TransientError
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.store import PostgresSilver
from appliance.storage.sql.by_group import groups_of
from appliance.storage.sql.postgresql import PostgreSql
from appliance.storage.sql.records import select_records
from appliance.storage.sql.scope import SYSTEM_FIELDS
from appliance.storage.sql.source import rows_of, stored_columns
from tests.silver_batches import batch, row, table

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OCTOBER, MINUTE = datetime(2026, 10, 1, tzinfo=UTC), timedelta(minutes=1)
SCHEMA = "dash_org_trees"


def rolled_up(*groups: str, **columns: FieldType) -> Table:
    plain = table(**(columns or {"device": FieldType.STRING, "port": FieldType.INTEGER, "temp": FieldType.FLOAT}))
    measures = [RollupMeasure("max", "temp"), RollupMeasure("avg", "temp")]
    return replace(plain, rollups=(Rollup(name="minutes", bucket="1m", group_by=list(groups), measures=measures),))


TABLE = rolled_up("device", "port")
LONG = "a" * 70  # more of a text than a tree has of it
HOT = (Condition("device", "=", f"{LONG}1"), Condition("temp", ">", 90.0))


class Opened:
    def __init__(self, url: str) -> None:
        self.connections = Connections(url, size=2)
        self.silver = PostgresSilver(self.connections, SCHEMA, clock=lambda: NOW)
        self.aside = psycopg.connect(url, autocommit=True)

    def trees(self) -> list[tuple[str, str]]:
        """Return which partitions have which trees."""
        return self.aside.execute(
            "SELECT split_part(tablename, '.', 2), regexp_replace(indexdef, '.* btree ', '') FROM pg_indexes"
            " WHERE schemaname = %s AND starts_with(indexname, 'dash_by_') ORDER BY 1, length(indexdef)",
            (SCHEMA,),
        ).fetchall()

    def keep(self, of: Table = TABLE) -> list[str]:
        """Do a round, and return by which columns October's rows are found then."""
        self.silver.upkeep.arrange(of, NOW)
        found = self.trees()
        assert {partition for partition, _ in found} <= {"20261001"}
        return [told.split(",")[0].split("::")[0] for _, told in found]

    def answers(self, of: Table = TABLE) -> list[object]:
        bounds = {"start": OCTOBER + 1.5 * MINUTE, "end": OCTOBER + 57.7 * MINUTE}
        measures = (Measure("max", "temp", "max"), Measure("avg", "temp", "avg"))
        hourly = Aggregation(measures=measures, bucket_us=3_600_000_000, group_by=("device",), **bounds)
        asked = [*HOT[:1], Condition("port", "in", [1, 2])]
        look, ask = self.silver.records, self.silver.aggregate
        pages = [
            look(of, RecordQuery(where=HOT, limit=7, **bounds)),
            look(of, RecordQuery(where=HOT, limit=7, order=Order.ASC)),
            look(of, RecordQuery(where=HOT, after=(OCTOBER + 40 * MINUTE, 10**9, 0), limit=7)),
        ]
        return [
            *(page.column("_seq").to_pylist() for page in pages),
            *(ask(of, replace(hourly, where=where)).to_pylist() for where in ((), HOT[:1], asked)),
        ]


@pytest.fixture
def opened(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    """A store with 240 rows of an hour of October, and one of November."""
    monkeypatch.setattr("appliance.storage.silver_postgres.trees._SMALL", 1)
    one = Opened(database_url)
    events = [
        row(_time=OCTOBER + n * MINUTE / 4, device=f"{LONG}{n % 3}", port=n % 4, temp=80.0 + n % 20) for n in range(240)
    ]
    one.silver.commit(batch(TABLE, 1, [*events, row(_time=NOW, device="b", port=1, temp=1.0)]))
    yield one
    one.aside.close()
    one.connections.close()


def test_a_period_that_is_over_gets_trees_and_answers_what_it_did(opened: Opened) -> None:
    before = opened.answers()
    assert len(before[0]) == 7
    assert opened.keep() == ["(_time) WITH (fillfactor='100')", "(port", '("left"(device']
    assert opened.answers() == before
    late = row(_time=OCTOBER + 30 * MINUTE, device=f"{LONG}1", port=2, temp=99.0)
    opened.silver.commit(batch(TABLE, 242, [late]))
    assert 242 in opened.silver.records(TABLE, RecordQuery(where=HOT)).column("_seq").to_pylist()
    told, before = opened.trees(), opened.answers()
    opened.keep()
    assert (opened.trees(), opened.answers()) == (told, before)


def test_what_is_asked_of_a_group_is_what_its_tree_has(opened: Opened) -> None:
    """Where nothing else finds rows, it must: the server knows the conditions again."""
    opened.keep()
    dialect = PostgreSql(SCHEMA)
    columns = {**SYSTEM_FIELDS, **{field.name: field.type for field in TABLE.columns}}
    source = rows_of(TABLE, stored_columns(columns, dialect), dialect)
    page = RecordQuery(start=OCTOBER, end=OCTOBER + 60 * MINUTE, where=HOT)
    asked = select_records(TABLE, source, page, dialect, groups_of(TABLE))
    others = "SELECT indexname FROM pg_indexes WHERE schemaname = %s AND indexdef NOT LIKE '%%left%%' AND "
    for kind in ("tablename = 'rows_pl_test'", "starts_with(indexname, 'dash_by_')"):
        for (name,) in opened.aside.execute(others + kind, (SCHEMA,)).fetchall():  # type: ignore[arg-type]
            opened.aside.execute(f'DROP INDEX {SCHEMA}."{name}"')
    opened.aside.execute("SET enable_seqscan TO off")
    plan = [line for (line,) in opened.aside.execute(f"EXPLAIN {asked.sql}", asked.values).fetchall()]
    (condition,) = (line for line in plan if "Index Cond" in line)
    assert condition.count("left") == 1
    assert condition.count("date_bin") == 2


def test_trees_go_with_the_rollup_and_small_periods_have_none(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as usual:
        usual.setattr("appliance.storage.silver_postgres.trees._SMALL", 16 << 20)
        assert opened.keep() == []
    assert len(opened.keep()) == 3
    by_port = rolled_up("port")
    opened.silver.prepare(by_port)
    assert opened.keep(by_port) == ["(_time) WITH (fillfactor='100')", "(port"]
    widened = rolled_up("port", device=FieldType.STRING, port=FieldType.FLOAT, temp=FieldType.FLOAT)
    opened.silver.prepare(widened)
    assert opened.keep(widened) == ["(_time) WITH (fillfactor='100')"]
    assert opened.keep(replace(widened, rollups=())) == []


def test_who_stores_rows_of_that_period_is_not_kept_waiting_for_long(opened: Opened) -> None:
    with opened.aside.transaction():
        opened.aside.execute(f'LOCK TABLE {SCHEMA}."rows_pl_test.20261001" IN ROW EXCLUSIVE MODE')
        with pytest.raises(TransientError, match="Indexing the rows of pl_test"):
            opened.keep()
    assert len(opened.keep()) == 3
