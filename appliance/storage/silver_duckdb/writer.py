"""The one writer of a file: its cursor, its lock, what it knows of the schema, what it does when the handle dies."""

import threading
from collections.abc import Callable
from typing import TypeVar

import duckdb

from appliance.components.silver import Table
from appliance.domain.ids import PipelineId
from appliance.errors import DashError, NotFound
from appliance.storage.silver_duckdb import faults, schema
from appliance.storage.silver_duckdb.database import Database
from appliance.storage.sql.source import Stored

T = TypeVar("T")


class Writer:
    """Runs one piece of work at a time. Readers never wait for it: they see the last commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._busy = threading.RLock()
        self._generation = -1
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._known: schema.Known = {}
        self.run("opening the row store", lambda _: None)

    def run(self, doing: str, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Return ``work(cursor)``. ``work`` ends the transactions it begins.

        Raises:
            TransientError: the disk is full, or the handle died; in that case it has been opened again. What was under
                way may have been committed: compare progress.
            FatalError: the file is damaged.
        """
        with self._busy:
            try:
                return work(self._ready())
            except duckdb.Error as error:
                raise self._recovered(error, doing) from error

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
        with self._busy:
            before = self._of(pipeline_id)
            self._known[pipeline_id] = schema.Generations(before.live, {**before.columns, number: columns})

    def forget(self, pipeline_id: PipelineId, number: int | None = None) -> None:
        """Forget a generation that is gone; None: all of the pipeline's."""
        with self._busy:
            before = self._of(pipeline_id)
            left = {one: columns for one, columns in before.columns.items() if number is not None and one != number}
            self._known[pipeline_id] = schema.Generations(before.live if left else 1, left)

    def make_live(self, pipeline_id: PipelineId, number: int) -> None:
        """Remember which generation is live since a swap."""
        with self._busy:
            self._known[pipeline_id] = schema.Generations(number, self._of(pipeline_id).columns)

    def close(self) -> None:
        """Wait for what is under way, then let go of the cursor."""
        with self._busy:
            self._let_go()

    def _of(self, pipeline_id: PipelineId) -> schema.Generations:
        """Return what is known of a pipeline; never changed in place, so that readers need no lock."""
        if self._generation != self._database.generation:
            self.run("reading the schema", lambda _: None)
        return self._known.get(pipeline_id) or schema.Generations()

    def _ready(self) -> duckdb.DuckDBPyConnection:
        if self._cursor is None or self._generation != self._database.generation:
            self._let_go()
            self._cursor, generation = self._database.cursor()
            self._known = schema.begin(self._cursor)
            self._generation = generation
        return self._cursor

    def _recovered(self, error: duckdb.Error, doing: str) -> DashError:
        if not faults.is_dead(error):
            return faults.translated(error, doing)
        self._let_go()
        self._database.reopen(self._generation)
        return faults.reopened(doing)

    def _let_go(self) -> None:
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None


def no_such(pipeline_id: PipelineId, number: int) -> NotFound:
    """Return what to raise for a generation that is not there."""
    told = "it was discarded, or the store was begun anew; replay again"
    return NotFound(f"Pipeline {pipeline_id} has no generation {number}: {told}.")
