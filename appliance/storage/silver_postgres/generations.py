"""Generations of a pipeline's rows: begun beside the live one, exchanged with it in one step, removed."""

import hashlib
from typing import Final

import msgspec

from appliance.components.generations import Generation, Generations, Span
from appliance.components.silver import Progress, Table
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.partition import Partition, base_of
from appliance.errors import Conflict
from appliance.storage.silver_postgres import gold, names, places, spans, splice, tables
from appliance.storage.silver_postgres.carry import carry_over
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.database import Database
from appliance.storage.silver_postgres.locks import Lock
from appliance.storage.silver_postgres.reads import source_of
from appliance.storage.silver_postgres.timescale_chunks import NO_CHUNKS, Chunks
from appliance.storage.sql.checksum import select_checksum

_SECS: Final = 3600.0  # counting and comparing read everything: longer than any query may take
_NEXT: Final = "SELECT nextval('_numbers')"
_ALL: Final = """
SELECT number, number = live, first_seq, created_at, coalesce(seq, %(base)s), coalesce(stored, 0),
    coalesce(filtered, 0), coalesce(duplicate, 0), coalesce(dead, 0)
FROM _generations JOIN _pipelines USING (pipeline_id)
    LEFT JOIN _progress ON _progress.pipeline_id = _generations.pipeline_id AND generation = number
    AND partition = %(partition)s
WHERE _generations.pipeline_id = %(id)s ORDER BY number
"""
_SWAP: Final = "UPDATE _pipelines SET live = %(number)s WHERE pipeline_id = %(id)s"


class PostgresGenerations:
    """The ``generations`` of a PostgresSilver."""

    def __init__(self, database: Database, partition: Partition, chunks: Chunks = NO_CHUNKS) -> None:
        self._database, self._partition, self._chunks = database, partition, chunks

    def begin(self, table: Table, first_seq: int = 1, *, carry: bool = True) -> Table:
        """See ``Generations.begin``. What is carried over is as the live generation had it when this began.

        Raises:
            Conflict: columns that clash; or the live generation is not refined up to ``first_seq - 1``.
        """
        doing = f"beginning a generation of {table.pipeline_id}"

        def make_live(cursor: Cursor) -> None:
            if places.find(cursor, table.pipeline_id) is None:
                tables.prepare(cursor, table, None, self._chunks)

        def work(cursor: Cursor) -> Table:
            places.hold(cursor, table.pipeline_id)
            live = places.find(cursor, table.pipeline_id)
            number: int = cursor.execute(_NEXT).fetchall()[0][0]
            tables.create(cursor, table, number, first_seq, self._chunks)
            if carry and first_seq > 1 and live is not None:
                with self._chunks.room_like(cursor, table.pipeline_id, (live.number, number), (1, first_seq - 1)):
                    carry_over(cursor, table, live, number, first_seq)
            if table.keyed:  # after the rows, which then need not be put into its indexes one by one
                tables.look_up_keys(cursor, table.pipeline_id, number)
            gold.begin(cursor, table, number)
            if carry and live is not None:
                gold.carry(cursor, table, live.number, number, first_seq)
            return msgspec.structs.replace(table, generation=number)

        self._database.write(doing, make_live, table.pipeline_id, Lock.ALONE)  # for there is always one that is live
        return self._database.write_from_snapshot(doing, work, table.pipeline_id)  # what is carried over may be a lot

    def all(self, pipeline_id: PipelineId) -> list[Generation]:
        own = {"id": pipeline_id, "partition": self._partition, "base": base_of(self._partition)}

        def work(cursor: Cursor) -> list[Generation]:
            found = cursor.execute(_ALL, own).fetchall()
            return [
                Generation(number, live, first_seq, Progress(seq, Outcome(*counts)), created_at)
                for number, live, first_seq, created_at, seq, *counts in found
            ]

        return self._database.read(f"listing the generations of {pipeline_id}", _SECS, work)

    def swap(self, pipeline_id: PipelineId, number: int) -> int:
        def work(cursor: Cursor) -> int:
            before = places.find(cursor, pipeline_id)
            places.find(cursor, pipeline_id, number)
            if before is None:
                raise places.no_such(pipeline_id, number)
            if number != before.number:
                cursor.execute(_SWAP, {"id": pipeline_id, "number": number})
                places.changed(cursor, pipeline_id)
            return before.number

        doing = f"making generation {number} of {pipeline_id} the live one"
        return self._database.write(doing, work, pipeline_id, Lock.ALONE)

    def splice(self, table: Table, number: int, first_seq: int, last_seq: int) -> Progress:
        """See ``Generations.splice``. Commits wait meanwhile."""
        if table.keyed:
            raise Conflict(
                f"Exchanging events {first_seq} to {last_seq} of {table.pipeline_id}: its rows have keys, so that rows"
                " outside of the range might have to go or to come back; replay everything instead."
            )

        def work(cursor: Cursor) -> Progress:
            other = places.find(cursor, table.pipeline_id, number)
            live = places.find(cursor, table.pipeline_id)
            if live is None or other is None:
                raise places.no_such(table.pipeline_id, number)
            stored = splice.align(cursor, table, live, other)
            stretch = splice.Stretch(first_seq, last_seq, stored)
            pair = splice.Pair(live.number, number)
            with self._chunks.room_to_exchange(cursor, table.pipeline_id, pair, (first_seq, last_seq)):
                return splice.exchange(cursor, table, pair, stretch)

        doing = f"exchanging events {first_seq} to {last_seq} of {table.pipeline_id}"
        return self._database.write(doing, work, table.pipeline_id, Lock.ALONE)

    def discard(self, pipeline_id: PipelineId, number: int) -> None:
        def work(cursor: Cursor) -> None:
            if number not in places.numbers(cursor, pipeline_id):
                return
            if places.find(cursor, pipeline_id, number) == places.find(cursor, pipeline_id):
                raise Conflict(f"Discarding generation {number} of {pipeline_id}: it is the live one; swap first.")
            tables.remove(cursor, pipeline_id, number)
            places.changed(cursor, pipeline_id)

        doing = f"discarding generation {number} of {pipeline_id}"
        self._database.write(doing, work, pipeline_id, Lock.ALONE)

    def checksum(self, table: Table, first_seq: int = 1, last_seq: int | None = None) -> str:
        def work(cursor: Cursor) -> str:
            source = source_of(table, places.find_of(cursor, table))
            statement = select_checksum(table, source, names.DIALECT, (first_seq, last_seq))
            sums = cursor.execute(statement.sql, statement.values).fetchall()[0]
            told = [f"{column.name}:{column.type.value}" for column in table.columns]
            return hashlib.blake2b(repr((told, sums)).encode(), digest_size=16).hexdigest()

        return self._database.read(f"comparing rows of {table.pipeline_id}", _SECS, work)

    def spans(self, pipeline_id: PipelineId, generation: int | None = None) -> list[Span]:
        def work(cursor: Cursor) -> list[Span]:
            place = places.find(cursor, pipeline_id, generation)
            return spans.read(cursor, pipeline_id, place.number) if place else []

        return self._database.read(f"reading the ledger of {pipeline_id}", _SECS, work)


_: type[Generations] = PostgresGenerations
