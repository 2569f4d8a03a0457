"""The one writer of a file: its cursor, its lock, what it knows of the schema, what it does when the handle dies."""

import threading
from collections.abc import Callable
from typing import TypeVar

import duckdb

from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType
from appliance.errors import DashError
from appliance.storage.silver_duckdb import faults, schema
from appliance.storage.silver_duckdb.database import Database

T = TypeVar("T")


class Writer:
    """Runs one piece of work at a time. Readers never wait for it: they see the last commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._busy = threading.RLock()
        self._generation = -1
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._columns: schema.Columns = {}
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

    def columns(self, pipeline_id: PipelineId) -> dict[str, FieldType] | None:
        """Return the columns of the pipeline's rows, names in lower case; None where there is no table."""
        if self._generation != self._database.generation:
            self.run("reading the schema", lambda _: None)
        return self._columns.get(pipeline_id)

    def learn(self, pipeline_id: PipelineId, columns: dict[str, FieldType] | None) -> None:
        """Remember the columns as they are after a change; None: the tables are gone."""
        with self._busy:
            if columns is None:
                self._columns.pop(pipeline_id, None)
            else:
                self._columns[pipeline_id] = columns

    def close(self) -> None:
        """Wait for what is under way, then let go of the cursor."""
        with self._busy:
            self._let_go()

    def _ready(self) -> duckdb.DuckDBPyConnection:
        if self._cursor is None or self._generation != self._database.generation:
            self._let_go()
            self._cursor, generation = self._database.cursor()
            self._columns = schema.begin(self._cursor)
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
