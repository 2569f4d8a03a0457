"""Pipelines taken out of the organisation's schema, and put into it, as they are."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from appliance.components.silver import Progress, Table
from appliance.components.transfer import Share, Stock, Transfer
from appliance.domain.clock import Clock
from appliance.domain.ledger import Outcome
from appliance.domain.partition import ALONE
from appliance.errors import Conflict
from appliance.storage.silver_postgres import (
    gold,
    gold_moved,
    moved,
    periods,
    places,
    tables,
)
from appliance.storage.silver_postgres.binary import REPLACEMENT, UNSTORABLE
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.database import Database
from appliance.storage.silver_postgres.locks import Lock
from appliance.storage.silver_postgres.summaries import Summaries
from appliance.storage.sql.scope import SYSTEM_FIELDS
from appliance.storage.sql.transferred import column_history

_SECS: Final = 3600.0
_LIVE: Final = """
SELECT pipeline_id, number, first_seq, created_at, columns,
    (SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM _numbers),
    seq, stored, filtered, duplicate, dead
FROM _pipelines JOIN _generations USING (pipeline_id) JOIN _progress USING (pipeline_id)
WHERE number = live AND generation = live AND partition = %(partition)s ORDER BY pipeline_id
"""
_ELSEWHERE: Final = "SELECT pipeline_id FROM _progress WHERE partition <> %(partition)s LIMIT 1"
_FORGOTTEN: Final = "DELETE FROM _pipelines WHERE pipeline_id = %(id)s"
_DATED: Final = """
UPDATE _generations SET created_at = %(created_at)s WHERE pipeline_id = %(id)s AND number = %(number)s
"""
_REACHED: Final = """
UPDATE _progress SET seq = %(seq)s, stored = %(stored)s, filtered = %(filtered)s, duplicate = %(duplicate)s,
    dead = %(dead)s, updated_at = now()
WHERE pipeline_id = %(id)s AND generation = %(number)s AND partition = %(partition)s
"""
_NUMBERED: Final = """
SELECT setval('_numbers', greatest(%(numbers)s, CASE WHEN is_called THEN last_value ELSE last_value - 1 END))
FROM _numbers WHERE %(numbers)s >= CASE WHEN is_called THEN last_value ELSE last_value - 1 END AND %(numbers)s > 1
"""


class PostgresTransfer:
    """The ``transfer`` of a PostgresSilver. Of several nodes all have to be stopped."""

    def __init__(self, database: Database, summaries: Summaries, clock: Clock) -> None:
        self._database, self._summaries, self._clock = database, summaries, clock
        self._periods = periods.Periods()

    def stocks(self) -> list[Stock]:
        def work(cursor: Cursor) -> list[Stock]:
            own = {"partition": ALONE}
            if elsewhere := cursor.execute(_ELSEWHERE, own).fetchall():
                raise Conflict(
                    f"Listing what there is: pipeline {elsewhere[0][0]} has events that several nodes received;"
                    " they can only stay in this database."
                )
            return [_stock(cursor, *found) for found in cursor.execute(_LIVE, own).fetchall()]

        return self._database.read("listing what there is", _SECS, work)

    def read(self, table: Table, stock: Stock, share: Share) -> Iterator[pa.Table]:
        """See ``Transfer.read``. Each part is of a moment of its own."""
        doing = f"reading the {share.value} of {stock.pipeline_id}"
        if share is Share.KEPT:
            yield from self._database.read(
                doing, _SECS, lambda cursor: list(gold_moved.read(cursor, table, stock.generation))
            )
            return
        stretches = moved.Stretches(stock, share)
        while (bounds := stretches.next()) is not None:
            part = self._database.read(doing, _SECS, partial(moved.read, stock=stock, share=share, bounds=bounds))
            stretches.had(part)
            if part.num_rows:
                yield part

    def storable(self, rows: pa.Table) -> pa.Table:
        """See ``Transfer.storable``: U+0000 in text is U+FFFD here."""
        for place, field in enumerate(rows.schema):
            column = rows.column(place)
            if field.type == pa.string() and pc.any(pc.match_substring(column, UNSTORABLE)).as_py():
                told = pc.replace_substring(column, UNSTORABLE, REPLACEMENT)
                rows = rows.set_column(place, field, told)
        return rows

    def begin(self, table: Table, stock: Stock) -> None:
        own = {"id": stock.pipeline_id, "number": stock.generation, "created_at": stock.created_at}

        def work(cursor: Cursor) -> None:
            for number in places.numbers(cursor, stock.pipeline_id):
                tables.remove(cursor, stock.pipeline_id, number)
            cursor.execute(_FORGOTTEN, own)
            first, *wider = column_history(stock, stock.pipeline_id, keyed=table.keyed)
            tables.create(cursor, first, stock.generation, stock.first_seq)
            stored = tables.columns_of(first)
            for one in wider:
                stored = tables.extend(cursor, one, stock.generation, stored)
            cursor.execute(_DATED, own)
            gold.begin(cursor, table, stock.generation)
            places.changed(cursor, stock.pipeline_id)

        self._database.write(f"making {stock.pipeline_id} anew", work, stock.pipeline_id, Lock.ALONE)
        self._periods = periods.Periods()  # those it knew may be gone with what was there before

    def write(self, table: Table, stock: Stock, share: Share, part: pa.Table) -> None:
        def work(cursor: Cursor) -> None:
            if share is Share.KEPT:
                gold_moved.write(cursor, table, stock.generation, part)
                return
            if share is Share.ROWS:
                place = places.find(cursor, stock.pipeline_id, stock.generation)
                if place is not None:
                    self._periods.make(cursor, table, place, part, self._clock())
            moved.write(cursor, stock, share, part)

        if not part.num_rows:
            return
        doing = f"storing the {share.value} of {stock.pipeline_id}"
        self._database.write(doing, work, stock.pipeline_id)
        if share is Share.ROWS:
            self._summaries.stored(table, part.num_rows)

    def finish(self, table: Table, stock: Stock) -> None:
        outcome = msgspec.structs.asdict(stock.progress.outcome)
        own: dict[str, Any] = {"id": stock.pipeline_id, "number": stock.generation, "partition": ALONE}

        def work(cursor: Cursor) -> None:
            if table.keyed:  # after the rows, which then need not be put into its indexes one by one
                tables.look_up_keys(cursor, stock.pipeline_id, stock.generation)
            gold.rebuild(cursor, table, stock.generation)
            moved.analyse(cursor, stock)
            cursor.execute(_REACHED, {**own, "seq": stock.progress.seq, **outcome})
            cursor.execute(_NUMBERED, {"numbers": stock.numbers})
            places.changed(cursor, stock.pipeline_id)

        self._database.write(f"finishing {stock.pipeline_id}", work, stock.pipeline_id, Lock.ALONE)


def _stock(cursor: Cursor, pipeline_id: Any, number: int, first_seq: int, *more: Any) -> Stock:
    created_at, columns, numbers, seq, *outcome = more
    kept = places.decoded(columns)
    found = Stock(
        pipeline_id=pipeline_id,
        generation=number,
        first_seq=first_seq,
        created_at=created_at,
        columns=tuple((name, tuple(types)) for name, types in kept.items() if name not in SYSTEM_FIELDS),
        progress=Progress(seq, Outcome(*outcome)),
        numbers=numbers,
        counts={},
    )
    return msgspec.structs.replace(found, counts=moved.counts(cursor, found))


_: type[Transfer] = PostgresTransfer
