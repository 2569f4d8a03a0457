"""Every value that a row may have comes back from PostgreSQL as it was sent, but for the one that it cannot store."""

import math
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from appliance.components.silver import Batch, Condition, DeadLetterQuery, Order, RecordQuery, Table
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import FieldType
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.store import PostgresSilver
from tests.silver_batches import PLAIN, Event, amendment, batch, row, rows_in, table

FLOATS = [
    0.0, -0.0, 0.1, 1 / 3, 5e-324, -2.2250738585072014e-308, 1.7976931348623157e308, math.inf, -math.inf, math.nan,
]  # fmt: skip
TEXTS = ["", " ", "NULL", "\\N", "\\x00", 'a"b', "a\tb\r\nc", "ß\u2028é\u0301", "\U0001f600\U0010ffff", "x" * 100_000]
INSTANTS = [
    datetime(1900, 1, 1, tzinfo=UTC), datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2000, 1, 1, tzinfo=UTC), datetime(2199, 12, 31, 23, 59, 59, 1, tzinfo=UTC),
]  # fmt: skip
DECIMALS = [
    Decimal(text) for text in (
        "0", "1e-9", "-1e-9", "0.000100000", "9999.9999", "10000", "-10000.0001",
        "99999999999999999999999999999.999999999", "-99999999999999999999999999999.999999999",
    )
]  # fmt: skip
INTEGERS = [0, 1, -1, 2**31, -(2**31) - 1, 2**63 - 1, -(2**63)]
JSONS = ['{"b":1,"a":2}', '{"a":1.50,"a":1e2}', '"\\u0000 \\ud800"', " [ 1 , null ] "]


@pytest.fixture
def silver(database_url: str) -> Iterator[PostgresSilver]:
    connections = Connections(database_url, size=3)
    yield PostgresSilver(connections, "dash_org_values")
    connections.close()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (FieldType.STRING, TEXTS), (FieldType.TIMESTAMP, INSTANTS), (FieldType.DECIMAL, DECIMALS),
        (FieldType.INTEGER, INTEGERS), (FieldType.JSON, JSONS), (FieldType.BOOLEAN, [True, False]),
    ],
)  # fmt: skip
def test_values_come_back_as_they_were(silver: PostgresSilver, kind: FieldType, values: list[Any]) -> None:
    of = table(v=kind)
    silver.commit(batch(of, 1, [row(v=value) for value in [*values, None]]))
    assert [value for (value,) in rows_in(silver, of, "v")] == [*values, None]
    whole = silver.records(of, RecordQuery(order=Order.ASC, limit=50_000))  # answered by column
    assert whole.equals(silver.records(of, RecordQuery(order=Order.ASC, limit=100)))
    assert whole.schema.equals(silver.records(of, RecordQuery(limit=1)).schema, check_metadata=True)


def test_floats_come_back_to_the_last_bit(silver: PostgresSilver) -> None:
    of = table(v=FieldType.FLOAT)
    silver.commit(batch(of, 1, [row(v=value) for value in FLOATS]))
    found = [struct.pack(">d", value) for (value,) in rows_in(silver, of, "v")]
    assert found == [struct.pack(">d", value) for value in FLOATS]
    by_column = silver.records(of, RecordQuery(order=Order.ASC, limit=50_000)).column("v").to_pylist()
    assert [struct.pack(">d", value) for value in by_column] == found


def test_a_character_that_cannot_be_stored_is_replaced_and_the_batch_goes_on(silver: PostgresSilver) -> None:
    of = table(device=FieldType.STRING, n=FieldType.INTEGER)
    told = batch(of, 1, [row(device="a\0b\0", n=1), row(device="plain", n=2), Event((), ("type",))])
    dead = told.dead.set_column(4, "value", pa.array(["\0"]))
    progress = silver.commit(Batch(of, 1, 1, 3, told.rows, dead, told.outcome))
    assert progress.outcome == Outcome(stored=2, dead=1)
    assert rows_in(silver, of, "device", "n") == [("a\ufffdb\ufffd", 1), ("plain", 2)]
    assert silver.dead_letters(of.pipeline_id, DeadLetterQuery()).column("value").to_pylist() == ["\ufffd"]
    silver.letters.amend(amendment(of, {3: row(device="\0", n=3)}))
    end = silver.feed.end(of)
    silver.letters.amend(amendment(of, {3: row(device="\0", n=3)}))  # compared as it is stored: nothing changed
    assert silver.feed.end(of) == end
    assert rows_in(silver, of, "device", where=(Condition("n", "=", 3),)) == [("\ufffd",)]


def test_a_large_batch_of_several_chunks_is_stored_in_parts(silver: PostgresSilver) -> None:
    whole = batch(PLAIN, 1, [row(device=f"d{n}", n=n) for n in range(25_001)])
    pieces = pa.concat_tables([whole.rows.slice(7_777), whole.rows.slice(0, 0)])
    silver.commit(Batch(PLAIN, 1, 1, 25_001, pieces, whole.dead, Outcome(17_224, 7_777)))
    found = silver.records(PLAIN, RecordQuery(order=Order.ASC, limit=30_000))
    assert found.column("n").to_pylist() == list(range(7_777, 25_001))


def test_names_may_be_longer_than_those_of_the_server(silver: PostgresSilver) -> None:
    long = "n" * 62
    of = table("pl_long", **{f"{long}a": FieldType.INTEGER, f"{long}b": FieldType.INTEGER, "ä" * 63: FieldType.STRING})
    silver.commit(batch(of, 1, [row(**{f"{long}a": 1, f"{long}b": 2, "ä" * 63: "x"})]))
    wider = table("pl_long", **{f"{long}a": FieldType.STRING, f"{long}b": FieldType.FLOAT, "ä" * 63: FieldType.STRING})
    silver.commit(batch(wider, 2, [row(**{f"{long}a": "y", f"{long}b": 0.5, "ä" * 63: "z"})]))
    assert rows_in(silver, wider, f"{long}a", f"{long}b", "ä" * 63) == [("1", 2.0, "x"), ("y", 0.5, "z")]
    assert silver.records(wider, RecordQuery()).column_names[4:] == [f"{long}a", f"{long}b", "ä" * 63]


def test_names_of_the_servers_own_columns_are_ours_too(silver: PostgresSilver) -> None:
    of = table("pl_own", ctid=FieldType.STRING, xmin=FieldType.INTEGER, **{"100%": FieldType.FLOAT})
    silver.commit(batch(of, 1, [row(**{"ctid": "c", "xmin": 7, "100%": 1.5})]))
    found = rows_in(silver, of, "ctid", "xmin", "100%", where=(Condition("100%", ">", 1), Condition("xmin", "=", 7)))
    assert found == [("c", 7, 1.5)]


def test_old_pages_and_new_ones_meet_in_a_large_table(silver: PostgresSilver) -> None:
    of, count = Table(PLAIN.pipeline_id, PLAIN.columns), 60_000
    silver.commit(batch(of, 1, [row(device="d", n=n) for n in range(count)]))
    for order, expected in ((Order.DESC, list(range(count - 1, count - 5_001, -1))), (Order.ASC, list(range(5_000)))):
        seen: list[int] = []
        after = None
        while len(seen) < 5_000:
            page = silver.records(of, RecordQuery(order=order, limit=1_000, after=after)).to_pylist()
            seen += [one["n"] for one in page]
            after = (page[-1]["_time"], page[-1]["_seq"], page[-1]["_item"])
        assert seen == expected
    rare = RecordQuery(where=(Condition("n", "in", [3, 30_000]),))
    assert silver.records(of, rare).column("n").to_pylist() == [30_000, 3]
