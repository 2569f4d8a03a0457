"""Pipelines taken out of the file, and put into it, as they are."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import duckdb
import msgspec
import pyarrow as pa

from appliance.components.silver import Progress, Table
from appliance.components.transfer import SHARE_SCHEMAS, Share, Stock, Transfer, rows_schema
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.storage.silver_duckdb import gold, gold_moved, tables
from appliance.storage.silver_duckdb.database import Database
from appliance.storage.silver_duckdb.schema import columns_of, quoted
from appliance.storage.silver_duckdb.transaction import checkpoint, transaction
from appliance.storage.silver_duckdb.writer import Writer
from appliance.storage.sql.scope import SYSTEM_FIELDS
from appliance.storage.sql.source import Stored, dead_table, rows_table
from appliance.storage.sql.transferred import column_history, physical_columns

_SECS: Final = 86_400.0  # reading a store from end to end takes as long as it takes
_AT_ONCE: Final = 122_880  # rows: what DuckDB puts into one row group
_LEAST_AT_ONCE: Final = 2_048  # DuckDB hands over no fewer
_BYTES_AT_ONCE: Final = 64 << 20  # about
_LOOKED_AT: Final = 1_000  # rows, to know how wide they are
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LIVE: Final = """
SELECT pipeline_id, number, first_seq, epoch_us(created_at), (SELECT last FROM _numbers), seq, stored, filtered,
    duplicate, dead
FROM _generations JOIN _progress USING (pipeline_id) WHERE live AND generation = number ORDER BY pipeline_id
"""
_FROM: Final = {
    Share.ROWS: "FROM {rows}",
    Share.DEAD: "FROM {dead}",
    Share.SPANS: "FROM _spans WHERE pipeline_id = $id AND generation = $number",
    Share.AMENDMENTS: "FROM _amendments WHERE pipeline_id = $id AND $number > 0",
    Share.AMENDED: "FROM _amended WHERE pipeline_id = $id AND generation = $number",
}
_CASTS: Final = {"_key": "BLOB", "_extra": "VARCHAR", "day": "VARCHAR"}
_ORDERS: Final = {Share.SPANS: " ORDER BY first_seq", Share.AMENDMENTS: " ORDER BY number, seq, item"}
_INSERTS: Final = {
    Share.ROWS: "INSERT INTO {rows} BY NAME SELECT * REPLACE (_key::UUID AS _key) FROM part",
    Share.DEAD: "INSERT INTO {dead} BY NAME FROM part",
    Share.SPANS: """
INSERT INTO _spans BY NAME SELECT $id AS pipeline_id, $number AS generation, * REPLACE (day::DATE AS day) FROM part
""",
    Share.AMENDMENTS: "INSERT INTO _amendments BY NAME SELECT $id AS pipeline_id, * FROM part",
    Share.AMENDED: "INSERT INTO _amended BY NAME SELECT $id AS pipeline_id, $number AS generation, * FROM part",
}
_DATED: Final = """
UPDATE _generations SET created_at = make_timestamptz($us) WHERE pipeline_id = $id AND number = $number
"""
_REACHED: Final = """
UPDATE _progress SET seq = $seq, stored = $stored, filtered = $filtered, duplicate = $duplicate, dead = $dead,
    updated_at = now()
WHERE pipeline_id = $id AND generation = $number
"""
_NUMBERED: Final = "UPDATE _numbers SET last = greatest(last, $numbers)"


class DuckDbTransfer:
    """The ``transfer`` of a DuckDbSilver."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database, self._writer = database, writer

    def stocks(self) -> list[Stock]:
        def work(cursor: duckdb.DuckDBPyConnection) -> list[Stock]:
            return [_stock(cursor, *found) for found in cursor.execute(_LIVE).fetchall()]

        return self._database.read("listing what there is", _SECS, work)

    def read(self, table: Table, stock: Stock, share: Share) -> Iterator[pa.Table]:
        """See ``Transfer.read``. Rows come as they lie: in the order in which they were committed."""
        with self._database.reading(f"reading the {share.value} of {stock.pipeline_id}", _SECS) as cursor:
            if share is Share.KEPT:
                yield from gold_moved.read(cursor, table, stock.generation)
                return
            schema = SHARE_SCHEMAS[share] if share is not Share.ROWS else rows_schema(physical_columns(stock))
            selected = ", ".join(_selected(field.name, field.type) for field in schema)
            statement = f"SELECT {selected} {_FROM[share].format(**_names(stock))}{_ORDERS.get(share, '')}"
            own = _own(stock) if "$" in statement else None
            first = cursor.sql(f"{statement} LIMIT {_LOOKED_AT}", params=own).to_arrow_table()
            with cursor.sql(statement, params=own).to_arrow_reader(_at_once(first)) as parts:
                for part in parts:
                    yield pa.Table.from_batches([part]).cast(schema)

    def storable(self, rows: pa.Table) -> pa.Table:
        """Return ``rows``: whatever a store held, this one holds."""
        return rows

    def begin(self, table: Table, stock: Stock) -> None:
        pipeline_id, number = stock.pipeline_id, stock.generation

        def work(cursor: duckdb.DuckDBPyConnection) -> Stored:
            with transaction(cursor):
                for former in self._writer.numbers(pipeline_id):
                    tables.remove(cursor, pipeline_id, former)
                first, *wider = column_history(stock, pipeline_id, keyed=table.keyed)
                stored = tables.create(cursor, first, number, stock.first_seq)
                for one in wider:
                    stored = tables.extend(cursor, one, number, stored)
                us = (stock.created_at - _EPOCH) // timedelta(microseconds=1)
                cursor.execute(_DATED, {**_own(stock), "us": us})
                gold.begin(cursor, table, number)
            return stored

        with self._writer.alone():
            stored = self._writer.run(f"making {pipeline_id} anew", work)
            self._writer.forget(pipeline_id)
            self._writer.learn(pipeline_id, number, stored)
            self._writer.make_live(pipeline_id, number)

    def write(self, table: Table, stock: Stock, share: Share, part: pa.Table) -> None:
        def work(cursor: duckdb.DuckDBPyConnection) -> None:
            with transaction(cursor):
                if share is Share.KEPT:
                    gold_moved.write(cursor, table, stock.generation, part)
                    return
                cursor.register("part", part)
                statement = _INSERTS[share].format(**_names(stock))
                own = {name: value for name, value in _own(stock).items() if f"${name}" in statement}
                cursor.execute(statement, own)

        if part.num_rows:
            self._writer.run(f"storing the {share.value} of {stock.pipeline_id}", work)

    def finish(self, table: Table, stock: Stock) -> None:
        def work(cursor: duckdb.DuckDBPyConnection) -> None:
            with transaction(cursor):
                gold.rebuild(cursor, table, stock.generation)
                outcome = msgspec.structs.asdict(stock.progress.outcome)
                cursor.execute(_REACHED, {**_own(stock), "seq": stock.progress.seq, **outcome})
                cursor.execute(_NUMBERED, {"numbers": stock.numbers})
            checkpoint(cursor)

        with self._writer.alone():
            self._writer.run(f"finishing {stock.pipeline_id}", work)


def _stock(cursor: duckdb.DuckDBPyConnection, pipeline_id: str, number: int, first_seq: int, *more: int) -> Stock:
    us, numbers, seq, *outcome = more
    columns = columns_of(cursor, PipelineId(pipeline_id), number)
    found = Stock(
        pipeline_id=PipelineId(pipeline_id),
        generation=number,
        first_seq=first_seq,
        created_at=_EPOCH + timedelta(microseconds=us),
        columns=tuple((name, tuple(types)) for name, types in columns.items() if name not in SYSTEM_FIELDS),
        progress=Progress(seq, Outcome(*outcome)),
        numbers=numbers,
        counts={},
    )
    return msgspec.structs.replace(found, counts={share: _count(cursor, found, share) for share in _FROM})


def _count(cursor: duckdb.DuckDBPyConnection, stock: Stock, share: Share) -> int:
    statement = f"SELECT count(*) {_FROM[share].format(**_names(stock))}"
    own: dict[str, Any] = _own(stock) if "$" in statement else {}
    return int(cursor.execute(statement, own).fetchall()[0][0])


def _at_once(first: pa.Table) -> int:
    """Return how many rows like those of ``first`` fit into memory."""
    width: int = max(1, first.nbytes // max(1, first.num_rows))
    return min(_AT_ONCE, max(_LEAST_AT_ONCE, _BYTES_AT_ONCE // width))


def _selected(name: str, kind: pa.DataType) -> str:
    """Return a column as what Arrow shall carry: a key by its bytes, JSON and days by their text."""
    cast = _CASTS.get(name, "VARCHAR" if kind == pa.string() else None)
    return f"{quoted(name)}::{cast} AS {quoted(name)}" if cast else quoted(name)


def _names(stock: Stock) -> dict[str, str]:
    own = (stock.pipeline_id, stock.generation)
    return {"rows": quoted(rows_table(*own)), "dead": quoted(dead_table(*own))}


def _own(stock: Stock) -> dict[str, Any]:
    return {"id": stock.pipeline_id, "number": stock.generation}


_: type[Transfer] = DuckDbTransfer
