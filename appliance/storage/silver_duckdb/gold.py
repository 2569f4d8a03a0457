"""Gold in the file: rollups of a generation's rows, kept right inside the transaction that changes the rows.

Everything here runs on the writer's cursor, inside a transaction that the caller has begun and ends. Where the table
has no rollups nothing happens and no statement is sent.

What a caller does with rows, and what it calls then:

* made or changed a generation's tables (``prepare``, ``begin`` of a shadow, after carried rows are in it) → ``begin``
* inserted a batch's rows → ``add``, after the insert, while ``batch_rows`` is registered
* deleted or changed rows otherwise (superseded, amended, erased, spliced) → ``recompute``, as the last of all; after
  ``add`` where both are called
* is about to remove rows by retention → ``trim``, before they are deleted
* filled a generation's rows by other means than ``add`` → ``rebuild``
* removes a generation → ``drop``
"""

from datetime import datetime

import duckdb

from appliance.components.silver import Batch, Table
from appliance.domain.ids import PipelineId


def begin(cursor: duckdb.DuckDBPyConnection, table: Table, number: int) -> None:
    """Make the rollups that ``table`` declares and drop all others of this generation; new ones count its rows.

    Idempotent: a rollup that is there, declared just so, is left as it is. A rollup declared otherwise than before
    is another one. ``table.generation`` is not looked at: ``number`` says which.
    """


def add(cursor: duckdb.DuckDBPyConnection, batch: Batch, number: int) -> None:
    """Count the rows of the registered view ``batch_rows``, which are in the generation's table by now."""


def recompute(cursor: duckdb.DuckDBPyConnection, table: Table, number: int, touched: str) -> None:
    """Count those buckets again, from the rows as they are now, that hold a ``_time`` of ``touched``.

    ``touched``: the name of a registered view or table with ``_time`` of rows that were removed or changed; other
    columns and repetitions do not matter.
    """


def trim(cursor: duckdb.DuckDBPyConnection, table: Table, number: int, before: datetime) -> None:
    """Keep what was counted of rows with ``_time`` < ``before``, which retention is about to remove."""


def rebuild(cursor: duckdb.DuckDBPyConnection, table: Table, number: int) -> None:
    """Count every row again. What ``trim`` kept of rows that are gone stays."""


def drop(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, number: int | None = None) -> None:
    """Remove the rollups of a generation; None: of every generation of the pipeline."""
