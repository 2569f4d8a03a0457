"""The upkeep of one schema: rows that retention and erasure remove, and what the schema occupies."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
import structlog

from appliance.components.chunks import RowsCut
from appliance.components.silver import Progress, Table
from appliance.components.upkeep import Compacted, StoreSize, Upkeep
from appliance.domain.clock import Clock
from appliance.domain.partition import MOST_PARTITIONS, Partition, base_of, bounds_of, first_of, partition
from appliance.storage.silver_postgres import periods, places, progress
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.database import Database
from appliance.storage.silver_postgres.erase import erase
from appliance.storage.silver_postgres.length import length_for
from appliance.storage.silver_postgres.locks import Lock
from appliance.storage.silver_postgres.occupied import dead_tables, measure, whole
from appliance.storage.silver_postgres.timescale_chunks import NO_CHUNKS, Chunks
from appliance.storage.silver_postgres.timescale_columns import Columnstore
from appliance.storage.silver_postgres.timescale_shown import rows_cut
from appliance.storage.silver_postgres.timescale_sizes import chunking
from appliance.storage.silver_postgres.timescale_views import Views
from appliance.storage.silver_postgres.trees import Trees
from appliance.storage.silver_postgres.trim import trim
from appliance.storage.sql.postgresql import quoted

_MEASURING_SECS: Final = 60.0
_ALL_EVENTS: Final = (1, bounds_of(partition(MOST_PARTITIONS - 1))[1])

log = structlog.get_logger("silver")


class PostgresUpkeep:
    """The ``upkeep`` of a PostgresSilver."""

    def __init__(self, database: Database, clock: Clock, partition: Partition, chunks: Chunks = NO_CHUNKS) -> None:
        self._database, self._clock, self._partition, self._chunks = database, clock, partition, chunks
        self._columnstore, self._views = Columnstore(database, chunks), Views(database, chunks)
        self._trees = Trees(database)

    def trim(self, table: Table, before: datetime, up_to: int | None = None) -> int:
        events = _ALL_EVENTS if up_to is None else (first_of(up_to), up_to)

        def work(cursor: Cursor) -> int:
            place = places.enter(cursor, table, Lock.ALONE)
            if place is None:
                return 0
            if place.period is not None:
                periods.set_length(cursor, table.pipeline_id, place.number, length_for(self._clock() - before))
            return trim(cursor, table, place.number, before, events)

        return self._database.write(f"trimming the rows of {table.pipeline_id}", work, table.pipeline_id)

    def erase(self, table: Table, seqs: Sequence[int]) -> Progress:
        def work(cursor: Cursor) -> Progress:
            erase(cursor, table, seqs, self._clock())
            live = places.find(cursor, table.pipeline_id)
            stood = progress.read(cursor, table.pipeline_id, live.number, self._partition) if live else None
            return stood or Progress(base_of(self._partition))

        return self._database.write(f"erasing events of {table.pipeline_id}", work, table.pipeline_id, Lock.ALONE)

    def arrange(self, table: Table, now: datetime) -> int:
        converted = self._columnstore.arrange(table, now)
        self._views.keep(table, now)
        self._trees.keep(table, now)
        return converted

    def chunks(self, table: Table) -> RowsCut:
        def work(cursor: Cursor) -> RowsCut:
            return rows_cut(cursor, table, self._chunks)

        return self._database.read(f"looking at the chunks of {table.pipeline_id}", _MEASURING_SECS, work)

    def size(self) -> StoreSize:
        def work(cursor: Cursor) -> StoreSize:
            return msgspec.structs.replace(measure(cursor, self._chunks), chunking=chunking(cursor, self._chunks))

        return self._database.read("measuring the row store", _MEASURING_SECS, work)

    def compact(self) -> Compacted:
        """See ``Upkeep.compact``: the server frees the space of removed rows, and gives back what is at the end.

        Tables are read and written all the while; only those of which much was removed are looked at. It needs no disk.
        """
        began, doing = time.monotonic(), "compacting the row store"
        before = self._database.read(doing, _MEASURING_SECS, self._whole)
        for name in self._database.read(doing, _MEASURING_SECS, lambda cursor: dead_tables(cursor, self._chunks)):
            told = f"{quoted(self._database.schema)}.{quoted(name)}"
            self._database.outside(doing, f"VACUUM (ANALYZE) {told}")
        after = self._database.read(doing, _MEASURING_SECS, self._whole)
        done = Compacted(before, after, time.monotonic() - began)
        log.info("silver.compacted", schema=self._database.schema, before=done.before_bytes, after=done.after_bytes)
        return done

    def _whole(self, cursor: Cursor) -> int:
        return whole(cursor, self._chunks)


_: type[Upkeep] = PostgresUpkeep
