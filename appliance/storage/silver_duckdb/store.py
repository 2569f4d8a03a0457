"""The row store of one organisation in one DuckDB file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import structlog

from appliance.components.silver import Aggregation, Batch, DeadLetterQuery, Progress, RecordQuery, SilverStore, Table
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.errors import DashError, TransientError
from appliance.storage.silver_duckdb import schema
from appliance.storage.silver_duckdb.commit import commit, read_all_progress
from appliance.storage.silver_duckdb.database import Database
from appliance.storage.silver_duckdb.opening import Incident, Opening
from appliance.storage.silver_duckdb.reads import Reads
from appliance.storage.silver_duckdb.recount import recount
from appliance.storage.silver_duckdb.writer import Writer
from appliance.storage.sql.source import dead_table, rows_table

_COUNTING_SECS: Final = 600.0

log = structlog.get_logger("silver")


class DuckDbSilver:
    """SilverStore on ``path``, which it alone has open. The folder must exist.

    ``memory_limit``: bytes that DuckDB may use. ``timeout_secs``: for a read that does not name its own.

    Raises:
        TransientError: another process has the file open, or the disk refuses.
        FatalError: a newer version wrote the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        memory_limit: int = 256 << 20,
        threads: int = 2,
        timeout_secs: float = 15.0,
        clock: Clock = utc_now,
    ) -> None:
        self._opening = Opening(path, memory_limit, threads, clock)
        self._database = Database(self._opening)
        try:
            self._writer = Writer(self._database)
        except DashError:
            self._database.close()
            raise
        self._reads = Reads(self._database, self._writer.columns, timeout_secs)

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """What happened to the file since the start: unclean ends, damage, files set aside."""
        return tuple(self._opening.incidents)

    def prepare(self, table: Table) -> None:
        pipeline_id = table.pipeline_id

        def work(cursor: duckdb.DuckDBPyConnection) -> None:
            self._writer.learn(pipeline_id, schema.prepare(cursor, table, self._writer.columns(pipeline_id)))

        self._writer.run(f"preparing the rows of {pipeline_id}", work)

    def progress(self, pipeline_id: PipelineId) -> Progress:
        return self.counts((pipeline_id,))[pipeline_id]

    def counts(self, pipeline_ids: Sequence[PipelineId]) -> dict[PipelineId, Progress]:
        with self._database.reading("reading progress", _COUNTING_SECS) as cursor:
            found = read_all_progress(cursor)
        return {pipeline_id: found.get(pipeline_id, Progress()) for pipeline_id in pipeline_ids}

    def commit(self, batch: Batch) -> Progress:
        """See ``SilverStore.commit``. A table not prepared, or with fewer columns, is prepared first."""
        pipeline_id = batch.table.pipeline_id
        stored = self._writer.columns(pipeline_id)
        if stored is None or any(stored.get(one.name.lower()) is not one.type for one in batch.table.columns):
            self.prepare(batch.table)
        try:
            return self._writer.run(f"storing rows of {pipeline_id}", lambda cursor: commit(cursor, batch))
        except TransientError:
            progress = self.progress(pipeline_id)
            if progress.seq != batch.last_seq:
                raise
            log.info("silver.commit_landed", pipeline=pipeline_id, seq=progress.seq)  # the fault came after the commit
            return progress

    def records(self, table: Table, query: RecordQuery, *, timeout_secs: float | None = None) -> pa.Table:
        return self._reads.records(table, query, timeout_secs)

    def aggregate(self, table: Table, query: Aggregation, *, timeout_secs: float | None = None) -> pa.Table:
        return self._reads.aggregate(table, query, timeout_secs)

    def dead_letters(self, pipeline_id: PipelineId, query: DeadLetterQuery) -> pa.Table:
        return self._reads.dead_letters(pipeline_id, query)

    def recount(self, table: Table) -> Outcome:
        with self._database.reading(f"counting the rows of {table.pipeline_id}", _COUNTING_SECS) as cursor:
            return recount(cursor, table.pipeline_id)

    def drop(self, pipeline_id: PipelineId) -> None:
        def work(cursor: duckdb.DuckDBPyConnection) -> None:
            _drop(cursor, pipeline_id)
            self._writer.learn(pipeline_id, None)

        self._writer.run(f"removing the rows of {pipeline_id}", work)

    def close(self) -> None:
        self._writer.close()
        self._database.close()


def _drop(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId) -> None:
    cursor.execute("BEGIN")
    for table in (rows_table(pipeline_id), dead_table(pipeline_id)):
        cursor.execute(f"DROP TABLE IF EXISTS {schema.quoted(table)}")
    cursor.execute("DELETE FROM _progress WHERE pipeline_id = $id", {"id": pipeline_id})
    cursor.execute("COMMIT")
    try:
        cursor.execute("CHECKPOINT")  # DROP and CHECKPOINT together give the space back to the file system
    except duckdb.TransactionException as error:
        log.info("silver.checkpoint_later", pipeline=pipeline_id, reason=str(error))


_: type[SilverStore] = DuckDbSilver
