"""The one writer of a file: its lanes, what it knows of the schema, what it does when the handle dies."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import duckdb

from appliance.components.silver import Table
from appliance.domain.ids import PipelineId
from appliance.errors import NotFound
from appliance.storage.silver_duckdb import faults, schema
from appliance.storage.silver_duckdb.database import Database
from appliance.storage.silver_duckdb.lanes import LIVE, Lanes
from appliance.storage.silver_duckdb.transaction import checkpoint
from appliance.storage.sql.source import Stored

T = TypeVar("T")

_LOG_BOUND: Final = 96 << 20  # emptying that much holds up commits for a third of a second


class Writer:
    """Runs one piece of work at a time in a lane. Readers never wait for it: they see the last commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lanes = Lanes()
        self._learning = threading.RLock()
        self._generation = -1
        self._known: schema.Known = {}
        self._log_bound = _LOG_BOUND
        self.run("opening the row store", lambda _: None)

    def run(self, doing: str, work: Callable[[duckdb.DuckDBPyConnection], T], lane: str = LIVE) -> T:
        """Return ``work(cursor)``. ``work`` ends the transactions it begins.

        Raises:
            TransientError: the disk is full, or the handle died; in that case it has been opened again. What was under
                way may have been committed: compare progress.
            FatalError: the file is damaged.
        """
        with self._lanes.one(lane):
            answer = self._work(doing, work)
        if not self._lanes.inside and not self._lanes.long_work():
            self._relieve()
        return answer

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep everybody else from writing, in every lane: for work on every generation, or on the whole file.

        What is ``run`` inside runs in here; between such runs the writer has no cursor.
        """
        with self._lanes.alone():
            yield

    def lane(self, table: Table) -> str:
        """Return in which lane to commit to ``table``."""
        number = table.generation
        if number is None or number == self.live(table.pipeline_id):
            return LIVE
        return f"{table.pipeline_id}#{number}"

    def live(self, pipeline_id: PipelineId) -> int:
        """Return the number of the pipeline's live generation; 1 for a pipeline without tables."""
        return self._of(pipeline_id).live

    def number(self, table: Table) -> int:
        """Return the number of the generation that ``table`` means: the live one, or the one it names.

        Raises:
            NotFound: it names one that is not there.
        """
        own = self._of(table.pipeline_id)
        number = own.live if table.generation is None else table.generation
        if table.generation is not None and number not in own.columns:
            raise no_such(table.pipeline_id, number)
        return number

    def numbers(self, pipeline_id: PipelineId) -> list[int]:
        """Return the generations there are, oldest first."""
        return sorted(self._of(pipeline_id).columns)

    def columns(self, pipeline_id: PipelineId, generation: int | None = None) -> Stored | None:
        """Return the columns of a generation's rows, of the live one where none is named; None: there is no table."""
        own = self._of(pipeline_id)
        return own.columns.get(own.live if generation is None else generation)

    def learn(self, pipeline_id: PipelineId, number: int, columns: Stored) -> None:
        """Remember a generation's columns as they are after a change."""
        with self._learning:
            before = self._of(pipeline_id)
            self._known[pipeline_id] = schema.Generations(before.live, {**before.columns, number: columns})

    def forget(self, pipeline_id: PipelineId, number: int | None = None) -> None:
        """Forget a generation that is gone; None: all of the pipeline's."""
        with self._learning:
            before = self._of(pipeline_id)
            left = {one: columns for one, columns in before.columns.items() if number is not None and one != number}
            self._known[pipeline_id] = schema.Generations(before.live if left else 1, left)

    def make_live(self, pipeline_id: PipelineId, number: int) -> None:
        """Remember which generation is live since a swap."""
        with self._learning:
            self._known[pipeline_id] = schema.Generations(number, self._of(pipeline_id).columns)

    def close(self) -> None:
        """Wait for what is under way."""
        with self.alone():
            return

    def _of(self, pipeline_id: PipelineId) -> schema.Generations:
        """Return what is known of a pipeline; never changed in place, so that readers need no lock."""
        if self._generation != self._database.generation:
            with self._database.writing() as (_, generation):
                self._refresh(generation)
        return self._known.get(pipeline_id) or schema.Generations()

    def _work(self, doing: str, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        generation = -1
        try:
            with self._database.writing() as (cursor, generation):
                self._refresh(generation)
                return work(cursor)
        except duckdb.Error as error:
            if not faults.is_dead(error):
                raise faults.translated(error, doing) from error
            self._database.reopen(generation)
            raise faults.reopened(doing) from error

    def _refresh(self, generation: int) -> None:
        """Take over the schema where the file was opened again since."""
        if self._generation == generation:
            return
        with self._learning:
            if self._generation != generation:
                self._known = self._database.known
                self._generation = generation

    def _relieve(self) -> None:
        """Empty a log that has grown: DuckDB does so by itself only in a moment when nobody else writes."""
        size = self._database.log_bytes()
        if size <= _LOG_BOUND:
            self._log_bound = _LOG_BOUND
        elif size > self._log_bound:
            self._log_bound = size + _LOG_BOUND  # if it cannot be emptied now, try again then
            with self.alone():
                self._work("emptying the log", checkpoint)


def no_such(pipeline_id: PipelineId, number: int) -> NotFound:
    """Return what to raise for a generation that is not there."""
    told = "it was discarded, or the store was begun anew; replay again"
    return NotFound(f"Pipeline {pipeline_id} has no generation {number}: {told}.")
