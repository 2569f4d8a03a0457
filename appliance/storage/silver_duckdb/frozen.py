"""The file held as it is while it is copied, with commits going on beside it.

DuckDB changes blocks that a reader of the file could find in a checkpoint only; between two of them everything new is
in the write-ahead log, or in blocks that nothing points to yet. So the file alone, from one checkpoint to the next, is
the rows as they were at the first. A transaction that has written something and stays open keeps the next one away.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb
import structlog

from appliance.domain.ids import PipelineId
from appliance.errors import TransientError
from appliance.storage.silver_duckdb import faults
from appliance.storage.silver_duckdb.commit import read_live_progress
from appliance.storage.silver_duckdb.database import Database
from appliance.storage.silver_duckdb.writer import Writer

_TRIES: Final = 20
_PAUSE_SECS: Final = 0.05
_HOLD: Final = "INSERT INTO _format SELECT max(format) FROM _format"  # rolled back; in the way of nobody

log = structlog.get_logger("silver")


class Frozen:
    """``path``: the file, to be read up to ``size``. ``refined``: how far each pipeline's rows in it are."""

    def __init__(self, path: Path, refined: dict[PipelineId, int], leaving: Callable[[], bool]) -> None:
        self.path, self.refined = path, refined
        self.size = path.stat().st_size
        self._leaving = leaving

    def check(self) -> None:
        """Return if it still holds; asked before each piece that is read.

        Raises:
            TransientError: the store closes or exchanges its file, and waits for this to end.
        """
        if self._leaving():
            raise TransientError(
                f"Copying {self.path.name}: the file is about to be closed or exchanged; try again.", 5
            )


@contextmanager
def frozen(path: Path, database: Database, writer: Writer) -> Iterator[Frozen]:
    """Hold the file as it is now. Commits wait for the checkpoint at the beginning, and for nothing else.

    Raises:
        TransientError: there was no moment for a checkpoint, or the handle died.
    """
    doing = f"copying {path.name}"
    with database.writing() as (cursor, _):
        try:
            refined = _hold(cursor, writer, doing)
            try:
                yield Frozen(path, refined, lambda: database.expelling)
            finally:
                cursor.execute("ROLLBACK")
        except duckdb.Error as error:
            raise faults.translated(error, doing) from error


def _hold(cursor: duckdb.DuckDBPyConnection, writer: Writer, doing: str) -> dict[PipelineId, int]:
    for _ in range(_TRIES):
        with writer.alone():
            try:
                cursor.execute("CHECKPOINT")
                refined = {one: progress.seq for one, progress in read_live_progress(cursor).items()}
                cursor.execute("BEGIN")
                cursor.execute(_HOLD)
            except duckdb.TransactionException as error:
                log.debug("silver.not_frozen_yet", reason=str(error))
            else:
                return refined
        time.sleep(_PAUSE_SECS)
    raise TransientError(f"{doing}: somebody else writes to it all the time; try again", 30.0)
