"""The row store of one organisation in one DuckDB file."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import structlog

from appliance.components.deliveries import Alone
from appliance.components.look import Look
from appliance.components.silver import Aggregation, Batch, DeadLetterQuery, Progress, RecordQuery, Table
from appliance.components.transfer import Transferable
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.partition import ALONE
from appliance.errors import DashError, TransientError
from appliance.storage.silver_duckdb import gold
from appliance.storage.silver_duckdb.commit import Place, commit, read_live_progress, read_progress
from appliance.storage.silver_duckdb.database import Database
from appliance.storage.silver_duckdb.feed import DuckDbFeed
from appliance.storage.silver_duckdb.frozen import Frozen, frozen
from appliance.storage.silver_duckdb.generations import DuckDbGenerations
from appliance.storage.silver_duckdb.letters import DuckDbLetters
from appliance.storage.silver_duckdb.occupied import free_bytes
from appliance.storage.silver_duckdb.opening import Incident, Opening
from appliance.storage.silver_duckdb.reads import Reads
from appliance.storage.silver_duckdb.recount import recount
from appliance.storage.silver_duckdb.tables import prepare, remove
from appliance.storage.silver_duckdb.transaction import checkpoint, transaction
from appliance.storage.silver_duckdb.transfer import DuckDbTransfer
from appliance.storage.silver_duckdb.upkeep import DuckDbUpkeep
from appliance.storage.silver_duckdb.writer import Writer, no_such
from appliance.storage.sql.columns import covers
from appliance.storage.sql.source import Stored

_COUNTING_SECS: Final = 600.0

log = structlog.get_logger("silver")


class DuckDbSilver:
    """SilverStore on ``path``, which it alone has open. The folder must exist.

    ``memory_limit``: bytes that DuckDB may use. ``timeout_secs``: for a read that does not name its own.
    ``room``: how many bytes the file system has left for files in a folder.

    Raises:
        TransientError: another process has the file open, or the disk refuses.
        FatalError: a newer version wrote the file.
    """

    def __init__(  # noqa: PLR0913 - keywords, each with a default
        self,
        path: Path,
        *,
        memory_limit: int = 256 << 20,
        threads: int = 2,
        timeout_secs: float = 15.0,
        clock: Clock = utc_now,
        room: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._opening = Opening(path, memory_limit, threads, clock)
        self._database = Database(self._opening)
        try:
            self._writer = Writer(self._database)
        except DashError:
            self._database.close()
            raise
        self._golds = gold.Ready()
        self._reads = Reads(self._database, self._writer, timeout_secs)
        self.generations = DuckDbGenerations(self._database, self._writer)
        self.letters = DuckDbLetters(self._database, self._writer, self._place_of, timeout_secs, clock)
        self.feed = DuckDbFeed(self._database, self._writer, timeout_secs, clock)
        self.upkeep = DuckDbUpkeep(self._opening, self._database, self._writer, clock, room)
        self.deliveries = Alone()
        self.transfer = DuckDbTransfer(self._database, self._writer)

    @property
    def look(self) -> Look:
        """There is one file and no copy of it."""
        return self

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """What happened to the file since the start: unclean ends, damage, files set aside."""
        return tuple(self._opening.incidents)

    def prepare(self, table: Table) -> None:
        def work(cursor: duckdb.DuckDBPyConnection) -> None:
            self._prepare(cursor, table)

        self._writer.run(f"preparing the rows of {table.pipeline_id}", work, self._writer.lane(table))

    def progress(self, pipeline_id: PipelineId, generation: int | None = None) -> Progress:
        if generation is None:
            return self.counts((pipeline_id,))[pipeline_id]

        def work(cursor: duckdb.DuckDBPyConnection) -> Progress | None:
            return read_progress(cursor, pipeline_id, generation)

        found = self._database.read("reading progress", _COUNTING_SECS, work)
        if found is None:
            raise no_such(pipeline_id, generation)
        return found

    def counts(self, pipeline_ids: Sequence[PipelineId]) -> dict[PipelineId, Progress]:
        found = self._database.read("reading progress", _COUNTING_SECS, read_live_progress)
        return {pipeline_id: found.get(pipeline_id, Progress()) for pipeline_id in pipeline_ids}

    def partitions(self, pipeline_ids: Sequence[PipelineId]) -> dict[PipelineId, dict[int, Progress]]:
        """See ``SilverStore.partitions``: there is one."""
        found = self._database.read("reading progress", _COUNTING_SECS, read_live_progress)
        return {one: {ALONE: found[one]} if one in found else {} for one in pipeline_ids}

    def commit(self, batch: Batch) -> Progress:
        """See ``SilverStore.commit``. A table not prepared, or with fewer columns, is prepared first."""
        table = batch.table

        def work(cursor: duckdb.DuckDBPyConnection) -> Progress:
            number, stored = self._place_of(cursor, table)
            return commit(cursor, batch, number, stored)

        try:
            return self._writer.run(f"storing rows of {table.pipeline_id}", work, self._writer.lane(table))
        except TransientError:
            progress = self.progress(table.pipeline_id, table.generation)
            if progress.seq != batch.last_seq:
                raise
            log.info("silver.commit_landed", pipeline=table.pipeline_id, seq=progress.seq)  # the fault came after it
            return progress

    def records(self, table: Table, query: RecordQuery, *, timeout_secs: float | None = None) -> pa.Table:
        return self._reads.records(table, query, timeout_secs)

    def aggregate(self, table: Table, query: Aggregation, *, timeout_secs: float | None = None) -> pa.Table:
        return self._reads.aggregate(table, query, timeout_secs)

    def dead_letters(self, pipeline_id: PipelineId, query: DeadLetterQuery) -> pa.Table:
        return self._reads.dead_letters(pipeline_id, query)

    def recount(self, table: Table) -> Outcome:
        number, doing = self._writer.number(table), f"counting the rows of {table.pipeline_id}"
        return self._database.read(doing, _COUNTING_SECS, lambda cursor: recount(cursor, table.pipeline_id, number))

    def frozen(self) -> AbstractContextManager[Frozen]:
        """Hold the file as it is now, to be copied while commits go on. Raises as ``frozen.frozen``."""
        return frozen(self._opening.path, self._database, self._writer)

    def lives(self, pipeline_ids: Sequence[PipelineId]) -> dict[PipelineId, int]:
        """Return the number of the live generation of each pipeline."""
        return {one: self._writer.live(one) for one in pipeline_ids}

    def drop(self, pipeline_id: PipelineId) -> None:
        def work(cursor: duckdb.DuckDBPyConnection) -> None:
            with transaction(cursor):
                for number in self._writer.numbers(pipeline_id):
                    remove(cursor, pipeline_id, number)
            self._writer.forget(pipeline_id)
            checkpoint(cursor)

        with self._writer.alone():
            self._writer.run(f"removing the rows of {pipeline_id}", work)

    def _place_of(self, cursor: duckdb.DuckDBPyConnection, table: Table) -> Place:
        """Return where rows of ``table`` are stored, prepared if need be."""
        number = self._writer.number(table)
        stored = self._writer.columns(table.pipeline_id, number)
        ready = self._golds.has(cursor, table, number, self._database.generation)
        if stored is None or not ready or not covers(table, stored):
            stored = self._prepare(cursor, table)
        return Place(number, stored)

    def _prepare(self, cursor: duckdb.DuckDBPyConnection, table: Table) -> Stored:
        number = self._writer.number(table)
        stored = prepare(cursor, table, number, self._writer.columns(table.pipeline_id, number))
        self._writer.learn(table.pipeline_id, number, stored)
        return stored

    def begin_anew(self, reason: str) -> None:
        """Set the file aside and begin an empty one: the way out of damage that was found while reading.

        Refiners find the progress at zero and refine everything again that Bronze still has. What only this file had
        is in the file set aside.
        """
        with self._writer.alone():
            self._database.exchange(lambda: self._opening.set_aside(reason), patience_secs=0.0)

    def close(self) -> None:
        self.upkeep.stop()
        self._writer.close()
        self._database.close()


_: type[Transferable] = DuckDbSilver
