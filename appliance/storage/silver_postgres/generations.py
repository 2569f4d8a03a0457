"""Generations of a pipeline's rows: begun beside the live one, exchanged with it in one step, removed."""

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

from appliance.components.generations import Eras, Generation, Generations, Span, Stretch
from appliance.components.silver import Progress, Table
from appliance.domain.ids import PipelineId
from appliance.domain.partition import Partition, base_of, partition_of
from appliance.errors import Conflict, TransientError
from appliance.storage.silver_postgres import gold, names, places, progress, spans, splice, tables
from appliance.storage.silver_postgres.carry import carry_over
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.database import Database
from appliance.storage.silver_postgres.locks import Lock
from appliance.storage.silver_postgres.reads import source_of
from appliance.storage.silver_postgres.timescale_chunks import NO_CHUNKS, Chunks
from appliance.storage.sql.checksum import select_checksum
from appliance.storage.sql.spliced import Aligned, Pair

_SECS: Final = 3600.0  # counting and comparing read everything: longer than any query may take
_NEXT: Final = "SELECT nextval('_numbers')"
_ALL: Final = """
SELECT number, number = live, first_seq, created_at, era
FROM _generations JOIN _pipelines USING (pipeline_id) WHERE pipeline_id = %(id)s ORDER BY number
"""
_SWAP: Final = """
UPDATE _pipelines SET live = %(number)s, era = %(era)s, held_until = NULL WHERE pipeline_id = %(id)s
"""
_HOLD: Final = """
UPDATE _pipelines SET held_until = clock_timestamp() + make_interval(secs => %(secs)s) WHERE pipeline_id = %(id)s
"""
_LATER_SECS: Final = 0.5


class PostgresGenerations:
    """The ``generations`` of a PostgresSilver."""

    def __init__(self, database: Database, partition: Partition, chunks: Chunks = NO_CHUNKS) -> None:
        self._database, self._partition, self._chunks = database, partition, chunks

    def begin(self, table: Table, first_seq: int = 1, *, carry: bool = True, elsewhere: Sequence[int] = ()) -> Table:
        """See ``Generations.begin``. What is carried over is as the live generation had it when this began.

        Raises:
            Conflict: columns that clash; or the live generation is not refined up to ``first_seq - 1``.
        """
        doing, firsts = f"beginning a generation of {table.pipeline_id}", (first_seq, *elsewhere)

        def make_live(cursor: Cursor) -> None:
            if places.find(cursor, table.pipeline_id) is None:
                tables.prepare(cursor, table, None, self._chunks)

        def work(cursor: Cursor) -> Table:
            places.hold(cursor, table.pipeline_id)
            live = places.find(cursor, table.pipeline_id)
            number: int = cursor.execute(_NEXT).fetchall()[0][0]
            tables.create(cursor, table, number, first_seq, self._chunks)
            for first in elsewhere:
                progress.begin(cursor, table.pipeline_id, number, first - 1, partition_of(first - 1))
            if carry and live is not None:
                carry_over(cursor, table, live, number, firsts, self._chunks)
            if table.keyed:  # after the rows, which then need not be put into its indexes one by one
                tables.look_up_keys(cursor, table.pipeline_id, number)
            gold.begin(cursor, table, number)
            if carry and live is not None:
                for first in firsts:
                    gold.carry(cursor, table, live.number, number, first)
            return msgspec.structs.replace(table, generation=number)

        self._database.write(doing, make_live, table.pipeline_id, Lock.ALONE)  # for there is always one that is live
        return self._database.write_from_snapshot(doing, work, table.pipeline_id)  # what is carried over may be a lot

    def all(self, pipeline_id: PipelineId) -> list[Generation]:
        doing = f"listing the generations of {pipeline_id}"
        return self._database.read(doing, _SECS, lambda cursor: self._all(cursor, pipeline_id))

    def _all(self, cursor: Cursor, pipeline_id: PipelineId) -> list[Generation]:
        nothing = Progress(base_of(self._partition))
        told = []
        for number, live, first_seq, created_at, era in cursor.execute(_ALL, {"id": pipeline_id}).fetchall():
            each = progress.read_all(cursor, pipeline_id, number)
            own = each.get(self._partition, nothing)
            told.append(Generation(number, live, first_seq, own, created_at, each, era))
        return told

    def swap(self, pipeline_id: PipelineId, number: int, eras: Eras | None = None, *, behind: bool = True) -> int:
        doing = f"making generation {number} of {pipeline_id} the live one"

        def work(cursor: Cursor) -> int:
            found = {one.number: one for one in self._all(cursor, pipeline_id)}
            live = next((one for one in found.values() if one.live), None)
            if live is None or number not in found:
                raise places.no_such(pipeline_id, number)
            if number == live.number:
                return number
            if eras is not None and live.era != eras.before:
                raise TransientError(f"{doing}: other rows were put in use meanwhile", _LATER_SECS)
            if not behind and (further := found[number].short_of(live)) is not None:
                told = f"the rows in use are refined further by now, in partition {further}"
                raise TransientError(f"{doing}: {told}", _LATER_SECS)
            cursor.execute(_SWAP, {"id": pipeline_id, "number": number, "era": eras.after if eras else live.era})
            places.changed(cursor, pipeline_id)
            return live.number

        return self._database.write(doing, work, pipeline_id, Lock.ALONE)

    def hold(self, pipeline_id: PipelineId, secs: float) -> None:
        """See ``Generations.hold``. Returns after the commits under way."""

        def work(cursor: Cursor) -> None:
            cursor.execute(_HOLD, {"id": pipeline_id, "secs": secs})

        self._database.write(f"holding the rows of {pipeline_id}", work, pipeline_id, Lock.ALONE)

    def splice(
        self, table: Table, number: int, first_seq: int, last_seq: int, elsewhere: Sequence[Stretch] = ()
    ) -> Progress:
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
            stored, pair = splice.align(cursor, table, live, other), Pair(live.number, number)
            reached = []
            for one in (Stretch(first_seq, last_seq), *elsewhere):
                with self._chunks.room_to_exchange(cursor, table.pipeline_id, pair, one):
                    reached.append(splice.exchange(cursor, table, pair, Aligned(*one, stored)))
            return reached[0]

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
