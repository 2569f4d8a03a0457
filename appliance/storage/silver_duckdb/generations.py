"""Generations of a pipeline's rows: begun beside the live one, exchanged with it in one step, removed."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import duckdb
import msgspec

from appliance.components.generations import Eras, Generation, Generations, Span, Stretch
from appliance.components.silver import Progress, Table
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.partition import ALONE
from appliance.errors import Conflict, TransientError
from appliance.storage.silver_duckdb import gold, spans, splice, tables
from appliance.storage.silver_duckdb.carry import carry_over
from appliance.storage.silver_duckdb.database import Database
from appliance.storage.silver_duckdb.lanes import LONG
from appliance.storage.silver_duckdb.transaction import checkpoint, transaction
from appliance.storage.silver_duckdb.writer import Writer, no_such
from appliance.storage.sql.checksum import select_checksum
from appliance.storage.sql.columns import check
from appliance.storage.sql.dialect import DuckDb
from appliance.storage.sql.source import Stored, rows_of
from appliance.storage.sql.spliced import Aligned, Pair

_SECS: Final = 3600.0  # counting and comparing read everything: longer than any query may take
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEXT: Final = "UPDATE _numbers SET last = last + 1 RETURNING last"
_ALL: Final = """
SELECT number, live, first_seq, epoch_us(created_at), seq, stored, filtered, duplicate, dead
FROM _generations JOIN _progress ON _progress.pipeline_id = _generations.pipeline_id AND generation = number
WHERE _generations.pipeline_id = $id ORDER BY number
"""
_SWAP: Final = "UPDATE _generations SET live = (number = $number) WHERE pipeline_id = $id"
_DIALECT: Final = DuckDb()


class DuckDbGenerations:
    """The ``generations`` of a DuckDbSilver."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database, self._writer = database, writer

    def begin(self, table: Table, first_seq: int = 1, *, carry: bool = True, elsewhere: Sequence[int] = ()) -> Table:
        """See ``Generations.begin``. What is carried over is as the live generation had it when this began.

        Raises:
            Conflict: columns that clash; or the live generation is not refined up to ``first_seq - 1``; or there is
                something ``elsewhere``, for a file has one partition.
        """
        _check_alone(elsewhere)

        def work(cursor: duckdb.DuckDBPyConnection) -> Table:
            with transaction(cursor):
                number: int = cursor.execute(_NEXT).fetchall()[0][0]
                stored = tables.create(cursor, table, number, first_seq, live=False)
                if carry and first_seq > 1:
                    stored = carry_over(cursor, table, number, stored)
                gold.begin(cursor, table, number)
                if carry:
                    gold.carry(cursor, table, self._writer.live(table.pipeline_id), number, first_seq)
            self._writer.learn(table.pipeline_id, number, stored)
            return msgspec.structs.replace(table, generation=number)

        def make_live(cursor: duckdb.DuckDBPyConnection) -> None:
            if self._writer.columns(table.pipeline_id) is None:
                stored = tables.prepare(cursor, table, 1, None)
                self._writer.learn(table.pipeline_id, 1, stored)

        doing = f"beginning a generation of {table.pipeline_id}"
        self._writer.run(doing, make_live)  # for there is always one that is live
        return self._writer.run(doing, work, LONG)  # what is carried over may be a lot

    def all(self, pipeline_id: PipelineId) -> list[Generation]:
        def work(cursor: duckdb.DuckDBPyConnection) -> list[Generation]:
            found = cursor.execute(_ALL, {"id": pipeline_id}).fetchall()
            told = []
            for number, live, first_seq, us, seq, *counts in found:
                progress = Progress(seq, Outcome(*counts))
                made = _EPOCH + timedelta(0, 0, us)
                told.append(Generation(number, live, first_seq, progress, made, {ALONE: progress}))
            return told

        return self._database.read(f"listing the generations of {pipeline_id}", _SECS, work)

    def swap(self, pipeline_id: PipelineId, number: int, eras: Eras | None = None, *, behind: bool = True) -> int:
        """See ``Generations.swap``. One process writes to a file, which knows what is in use: there are no eras."""

        def work(cursor: duckdb.DuckDBPyConnection) -> int:
            before = self._writer.live(pipeline_id)
            if number not in self._writer.numbers(pipeline_id):
                raise no_such(pipeline_id, number)
            if number != before and not behind:
                self._check_reached(pipeline_id, number, before)
            if number != before:
                with transaction(cursor):
                    cursor.execute(_SWAP, {"id": pipeline_id, "number": number})
                self._writer.make_live(pipeline_id, number)
            return before

        with self._writer.alone():
            return self._writer.run(f"making generation {number} of {pipeline_id} the live one", work)

    def _check_reached(self, pipeline_id: PipelineId, number: int, live: int) -> None:
        found = {one.number: one for one in self.all(pipeline_id)}
        if found[number].short_of(found[live]) is not None:
            told = f"Making generation {number} of {pipeline_id} the live one: the rows in use are refined further"
            raise TransientError(told)

    def hold(self, pipeline_id: PipelineId, secs: float) -> None:
        """Hold nothing: who puts rows in use is the one process that commits, and holds itself."""

    def splice(
        self, table: Table, number: int, first_seq: int, last_seq: int, elsewhere: Sequence[Stretch] = ()
    ) -> Progress:
        """See ``Generations.splice``. Commits wait meanwhile, about a second for a million rows on each side."""
        _check_alone(elsewhere)
        if table.keyed:
            raise Conflict(
                f"Exchanging events {first_seq} to {last_seq} of {table.pipeline_id}: its rows have keys, so that rows"
                " outside of the range might have to go or to come back; replay everything instead."
            )

        def work(cursor: duckdb.DuckDBPyConnection) -> Progress:
            live = self._writer.live(table.pipeline_id)
            pair = Pair(live, number)
            columns = {one: self._columns(table.pipeline_id, one) for one in pair}
            with transaction(cursor):
                stored = splice.align(cursor, table, pair, columns)
                progress = splice.exchange(cursor, table, pair, Aligned(first_seq, last_seq, stored))
            for one in pair:
                self._writer.learn(table.pipeline_id, one, stored[one])
            return progress

        with self._writer.alone():
            return self._writer.run(f"exchanging events {first_seq} to {last_seq} of {table.pipeline_id}", work)

    def discard(self, pipeline_id: PipelineId, number: int) -> None:
        def work(cursor: duckdb.DuckDBPyConnection) -> None:
            if number not in self._writer.numbers(pipeline_id):
                return
            if number == self._writer.live(pipeline_id):
                raise Conflict(f"Discarding generation {number} of {pipeline_id}: it is the live one; swap first.")
            with transaction(cursor):
                tables.remove(cursor, pipeline_id, number)
            self._writer.forget(pipeline_id, number)
            checkpoint(cursor)

        with self._writer.alone():
            self._writer.run(f"discarding generation {number} of {pipeline_id}", work)

    def checksum(self, table: Table, first_seq: int = 1, last_seq: int | None = None) -> str:
        number = self._writer.number(table)
        stored = self._writer.columns(table.pipeline_id, number)
        check(table, stored or {})
        source = rows_of(table, stored, _DIALECT, number)
        statement = select_checksum(table, source, _DIALECT, (first_seq, last_seq))

        def work(cursor: duckdb.DuckDBPyConnection) -> str:
            sums = cursor.execute(statement.sql, statement.values).fetchall()[0]
            names = [f"{column.name}:{column.type.value}" for column in table.columns]
            return hashlib.blake2b(repr((names, sums)).encode(), digest_size=16).hexdigest()

        return self._database.read(f"comparing rows of {table.pipeline_id}", _SECS, work)

    def spans(self, pipeline_id: PipelineId, generation: int | None = None) -> list[Span]:
        number = self._writer.live(pipeline_id) if generation is None else generation
        if generation is not None and number not in self._writer.numbers(pipeline_id):
            raise no_such(pipeline_id, number)

        def work(cursor: duckdb.DuckDBPyConnection) -> list[Span]:
            return spans.read(cursor, pipeline_id, number)

        return self._database.read(f"reading the ledger of {pipeline_id}", _SECS, work)

    def _columns(self, pipeline_id: PipelineId, number: int) -> Stored:
        columns = self._writer.columns(pipeline_id, number)
        if columns is None:
            raise no_such(pipeline_id, number)
        return columns


def _check_alone(elsewhere: Sequence[object]) -> None:
    if elsewhere:
        raise Conflict("A file of rows has one partition of events: several need a database.")


_: type[Generations] = DuckDbGenerations
