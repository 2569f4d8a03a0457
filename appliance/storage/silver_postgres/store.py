"""The row store of one organisation in one schema of a PostgreSQL database."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

import pyarrow as pa
import structlog

from appliance.components.letters import Amendment
from appliance.components.polls import TakesTurns
from appliance.components.silver import Aggregation, Batch, DeadLetterQuery, Progress, RecordQuery, Table
from appliance.components.transfer import Transferable
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.partition import ALONE, Partition, base_of, partition_of
from appliance.errors import FatalError, TransientError
from appliance.storage.silver_postgres import claims, deliveries, gold, places, polls, progress, schema, tables
from appliance.storage.silver_postgres.amend import amend
from appliance.storage.silver_postgres.commit import check_outcome, commit
from appliance.storage.silver_postgres.connections import Connections, Cursor
from appliance.storage.silver_postgres.database import Database
from appliance.storage.silver_postgres.feed import PostgresFeed
from appliance.storage.silver_postgres.generations import PostgresGenerations
from appliance.storage.silver_postgres.letters import PostgresLetters
from appliance.storage.silver_postgres.locks import Lock
from appliance.storage.silver_postgres.periods import Periods
from appliance.storage.silver_postgres.places import Place
from appliance.storage.silver_postgres.reads import Reads
from appliance.storage.silver_postgres.recount import recount
from appliance.storage.silver_postgres.replicas import Replicas
from appliance.storage.silver_postgres.summaries import Summaries
from appliance.storage.silver_postgres.timescale import find
from appliance.storage.silver_postgres.timescale_chunks import Chunks
from appliance.storage.silver_postgres.timescale_wanted import Wanted
from appliance.storage.silver_postgres.transfer import PostgresTransfer
from appliance.storage.silver_postgres.upkeep import PostgresUpkeep

T = TypeVar("T")

_COUNTING_SECS: Final = 600.0
_TRIES: Final = 3  # of somebody who prepares a table, while somebody else prepares it otherwise

log = structlog.get_logger("silver")


class Reading(NamedTuple):
    """How rows are read. ``timeout_secs``: for a read that does not name its own. ``replicas`` may answer who looks."""

    connections: Connections
    timeout_secs: float = 15.0
    replicas: Replicas | None = None


class PostgresSilver:
    """SilverStore in the schema ``name``, which is made where it is not there; any number of nodes may have it open.

    ``writing``: connections to the database. ``reading``: how rows are read; by the same connections where it is not
    given. None are closed with the store. ``partition``: of the node whose store it is; what is about one partition and
    names no event is about this one. ``timescale``: what of TimescaleDB is used where the database has it by the time
    the store is opened. ``leases``: the schema of the control plane, which has them.

    Raises:
        TransientError: the database cannot be reached. FatalError: a newer version made the schema.
        ConfigError: the role may not do what it has to, or the database cannot hold every text.
    """

    def __init__(  # noqa: PLR0913 - keywords, each with a default
        self,
        writing: Connections,
        name: str,
        *,
        reading: Reading | None = None,
        clock: Clock = utc_now,
        partition: Partition = ALONE,
        timescale: Wanted | None = None,
        leases: str = "dash",
    ) -> None:
        reading = reading or Reading(writing)
        timeout_secs = reading.timeout_secs
        self._name = name
        self._database = Database(name, writing, reading.connections, reading.replicas)
        self._database.run("opening the row store", lambda cursor: schema.begin(cursor, name))
        self._chunks = Chunks(self._database.run("looking for TimescaleDB", find), timescale)
        self._golds, self._periods = gold.Ready(), Periods()
        self._summaries = Summaries(self._database)
        self._clock, self._partition = clock, partition
        self._reads = Reads(self._database, timeout_secs)
        self.look = Reads(self._database, timeout_secs, looking=True)
        self.generations = PostgresGenerations(self._database, partition, self._chunks)
        self.letters = PostgresLetters(self._database, timeout_secs, self._amend)
        self.feed = PostgresFeed(self._database, timeout_secs, clock)
        self.deliveries = deliveries.PostgresDeliveries(self._database, clock, partition)
        self.polls = polls.PostgresPolls(self._database, partition, leases)
        self.upkeep = PostgresUpkeep(self._database, clock, partition, self._chunks)
        self.transfer = PostgresTransfer(self._database, self._summaries, clock)

    def prepare(self, table: Table) -> None:
        """See ``SilverStore.prepare``. Where nothing has to be done nobody is waited for."""

        def ready(cursor: Cursor, place: Place | None) -> bool:
            # Where others are in use than those meant, their columns and rollups are not this table's.
            return (place is not None and place.outdated(table)) or tables.prepared(cursor, table, place)

        def look(cursor: Cursor) -> bool:
            return ready(cursor, places.find_of(cursor, table))

        def work(cursor: Cursor) -> None:
            place = places.find_of(cursor, table)
            if not ready(cursor, place):
                tables.prepare(cursor, table, place, self._chunks)

        doing = f"preparing the rows of {table.pipeline_id}"
        if not self._database.write(doing, look, table.pipeline_id):
            self._database.write(doing, work, table.pipeline_id, Lock.ALONE)

    def progress(self, pipeline_id: PipelineId, generation: int | None = None) -> Progress:
        return self._progress(pipeline_id, generation, self._partition)

    def counts(self, pipeline_ids: Sequence[PipelineId]) -> dict[PipelineId, Progress]:
        found, nothing = self.partitions(pipeline_ids), Progress(base_of(self._partition))
        return {pipeline_id: of.get(self._partition, nothing) for pipeline_id, of in found.items()}

    def partitions(self, pipeline_ids: Sequence[PipelineId]) -> dict[PipelineId, dict[int, Progress]]:
        def work(cursor: Cursor) -> dict[PipelineId, dict[int, Progress]]:
            return progress.read_live(cursor, list(pipeline_ids))

        found = self._database.read("reading progress", _COUNTING_SECS, work)
        return {pipeline_id: found.get(pipeline_id, {}) for pipeline_id in pipeline_ids}

    def commit(self, batch: Batch) -> Progress:
        """See ``SilverStore.commit``. A table not prepared, or with fewer columns, is prepared first."""
        check_outcome(batch)
        table = batch.table
        how = Lock.ALONE if table.keyed else Lock.SHARED

        def work(cursor: Cursor, place: Place) -> Progress:
            places.check_free(table, place)
            own = claims.take(cursor, batch)
            self._periods.make(cursor, table, place, own.rows, self._clock())
            with self._chunks.room(cursor, table.pipeline_id, place, own.rows):
                done = commit(cursor, own, place)
            if batch.polled is not None:
                polls.advance(cursor, table.pipeline_id, batch.last_seq, batch.polled)
            return done

        try:
            done = self._prepared(table, how, work, "storing rows of")
        except TransientError:
            stood = self._progress(table.pipeline_id, table.generation, partition_of(batch.first_seq))
            if stood.seq != batch.last_seq:
                raise
            self._database.doubt(table.pipeline_id)
            log.info("silver.commit_landed", pipeline=table.pipeline_id, seq=stood.seq)  # the fault came after it
            return stood
        self._summaries.stored(table, batch.rows.num_rows)
        return done

    def records(self, table: Table, query: RecordQuery, *, timeout_secs: float | None = None) -> pa.Table:
        return self._reads.records(table, query, timeout_secs)

    def aggregate(self, table: Table, query: Aggregation, *, timeout_secs: float | None = None) -> pa.Table:
        return self._reads.aggregate(table, query, timeout_secs)

    def dead_letters(self, pipeline_id: PipelineId, query: DeadLetterQuery) -> pa.Table:
        return self._reads.dead_letters(pipeline_id, query)

    def recount(self, table: Table) -> Outcome:
        def work(cursor: Cursor) -> Outcome:
            place = places.find_of(cursor, table)
            return recount(cursor, table.pipeline_id, place.number, self._partition) if place else Outcome()

        return self._database.read(f"counting the rows of {table.pipeline_id}", _COUNTING_SECS, work)

    def drop(self, pipeline_id: PipelineId) -> None:
        def work(cursor: Cursor) -> None:
            for number in places.numbers(cursor, pipeline_id):
                tables.remove(cursor, pipeline_id, number)
            deliveries.forget_all(cursor, pipeline_id)
            cursor.execute("DELETE FROM _pipelines WHERE pipeline_id = %(id)s", {"id": pipeline_id})

        self._database.write(f"removing the rows of {pipeline_id}", work, pipeline_id, Lock.ALONE)

    def leave(self, *, whole: bool = False) -> None:
        """Remove every pipeline of every node, and the store's own tables; it cannot be used any more.

        ``whole``: and the schema, where nothing of somebody else's is in it.
        """
        for pipeline_id in self._database.read("listing what there is", _COUNTING_SECS, places.pipelines):
            self.drop(pipeline_id)
        self._database.run("leaving the row store", schema.end)
        if whole:
            self._database.run("removing the schema of the row store", lambda cursor: schema.drop(cursor, self._name))

    def close(self) -> None:
        self._database.close()
        self._summaries.close()

    def _amend(self, amendment: Amendment) -> Progress:
        def work(cursor: Cursor, place: Place) -> Progress:
            amend(cursor, amendment, place, self._clock())
            return self._reached(cursor, amendment.table.pipeline_id, place)

        return self._prepared(amendment.table, Lock.ALONE, work, "amending events of")

    def _progress(self, pipeline_id: PipelineId, generation: int | None, of: Partition) -> Progress:
        def work(cursor: Cursor) -> Progress | None:
            place = places.find(cursor, pipeline_id, generation)
            return progress.read(cursor, pipeline_id, place.number, of) if place else None

        return self._database.read("reading progress", _COUNTING_SECS, work) or Progress(base_of(of))

    def _reached(self, cursor: Cursor, pipeline_id: PipelineId, place: Place) -> Progress:
        """Return the progress of this node's partition, inside a transaction."""
        stood = progress.read(cursor, pipeline_id, place.number, self._partition)
        return stood or Progress(base_of(self._partition))

    def _prepared(self, table: Table, how: Lock, work: Callable[[Cursor, Place], T], doing: str) -> T:
        """Return ``work(cursor, place)``, committed, of a table that was prepared if need be."""

        def once(cursor: Cursor) -> tuple[T] | None:
            place = places.enter(cursor, table, how)
            if place is not None:
                places.check_in_use(table, place)
            if place is None or not tables.stores(table, place):
                return None
            if not self._golds.has(cursor, table, place.number, place.version):
                return None
            return (work(cursor, place),)

        for _ in range(_TRIES):
            done = self._database.write(f"{doing} {table.pipeline_id}", once, table.pipeline_id)
            if done is not None:
                return done[0]
            self.prepare(table)
        raise FatalError(
            f"Preparing the rows of {table.pipeline_id}: its tables are changed again and again meanwhile.",
            hint="two nodes refine this pipeline with mappings that differ; run one of them",
        )


_: type[Transferable] = PostgresSilver
_turns: type[TakesTurns] = PostgresSilver
